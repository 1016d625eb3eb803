// Package metrics shows how an agent does to those who watch many: Prometheus
// metrics, liveness and readiness over HTTP.
//
// What the agent is at one moment is asked of a Source at each scrape. What is
// only seen while it happens, as latencies, a Recorder takes from the stream of
// events and effects that passes the engine. Traffic keeps what the eswitch
// counted for each port beyond the end of the sessions.
//
// The package decides nothing and never keeps the engine waiting: a scrape asks
// the engine once, and goes without when there is no answer in time.
package metrics

//go:generate go run gen.go ../../docs/metrics.md
