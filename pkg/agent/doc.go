// Package agent is the composition root: it connects the watchers that turn the
// outside into events, the engine that decides, and the executors that carry out
// its effects and report back. It holds no policy of its own.
//
//	ovsdb, link ----> ports.go ----+                      +--> resolve.go  pkg/path
//	conntrack ------> dumper.go    |                      +--> entries.go  pkg/conntrack
//	                  listener.go -+-> inbox -> loop.go --+--> rules.go    pkg/eswitch
//	tap ------------> taps.go -----+     (engine.Step)    |
//	eswitch --------> counters.go -+                      |
//	secgroup -------> groups.go ---+                      |
//	        ^---------------- answers are events ---------+
package agent
