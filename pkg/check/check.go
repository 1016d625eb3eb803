package check

import "context"

// look is one look at a node. Most return one line.
type look func(ctx context.Context, n *node) []Line

// groups are the subjects in the order in which what is missing is best mended.
var groups = []struct {
	name  string
	looks []look
}{
	{"kernel", []look{release, bugs, modules, skbExtension}},
	{"conntrack", []look{access, switches, usage, buckets, pickup, timeouts, losses}},
	{"ovs", []look{
		database, daemon, hwOffload, restoreWait, upcalls, maxIdle, bridges, openFlow, ageing, refusedPorts, guarded, notUnderstood,
	}},
	{"nic", []look{eswitches, representors, hwTCOffload, virtualFunctions, drivers}},
	{"tc", []look{ingressQdiscs, filters}},
	{"process", []look{privileges, openFiles, receiveBuffers, processors, clock}},
	{"agent", []look{running, unit, rivals}},
}

// Run looks at everything and returns a line or more for each look, whatever fails.
func Run(ctx context.Context, cfg Config) []Line {
	n := newNode(ctx, cfg)
	var lines []Line
	for _, g := range groups {
		for _, look := range g.looks {
			for _, l := range look(ctx, n) {
				l.Group = g.name
				lines = append(lines, l)
			}
		}
	}
	return lines
}
