package main

import (
	"context"
	"os"

	"github.com/flowshunt/flowshunt/pkg/check"
)

// scriptedChecks are what CHECKS names: fine (the default), warned, unknown, denied,
// broken, late, where.
type scriptedChecks struct{}

func (scriptedChecks) Run(ctx context.Context, cfg check.Config) []check.Line {
	lines := []check.Line{
		{Group: "kernel", Name: "release", Status: check.OK, Found: "6.1.0"},
		{Group: "ovs", Name: "bridges", Status: check.OK, Found: "br-int, br-ex", Detail: []string{"br-int", "br-ex"}},
	}
	switch os.Getenv("CHECKS") {
	case "where":
		return []check.Line{{Group: "g", Name: "where", Status: check.OK, Found: cfg.OVSDB + " " + cfg.OVSRundir + " " + cfg.Socket}}
	case "warned":
		lines = append(lines, check.Line{Group: "ovs", Name: "max-idle", Status: check.Warning, Found: "5 ms",
			Why: "too short", Fix: []string{"ovs-vsctl one", "ovs-vsctl two"}})
	case "broken":
		lines = append(lines, check.Line{Group: "conntrack", Name: "accounting", Status: check.Fatal, Found: "is \x1b[31m0, must be 1",
			Why: "no counters", Fix: []string{"sysctl -w a=1"}},
			check.Line{Group: "conntrack", Name: "ctnetlink", Status: check.Unknown, Found: "operation not permitted", Root: true})
	case "denied":
		lines = append(lines, check.Line{Group: "conntrack", Name: "ctnetlink", Status: check.Unknown, Found: "operation not permitted", Root: true})
	case "late":
		<-ctx.Done()
		lines = append(lines, check.Line{Group: "agent", Name: "flowshuntd", Status: check.Unknown, Found: "no time was left to ask"})
	case "unknown":
		lines = append(lines, check.Line{Group: "kernel", Name: "m", Status: check.Unknown, Found: "nobody tells"})
	}
	return lines
}

func (scriptedChecks) Probe(_ context.Context, cfg check.ProbeConfig) []check.Line {
	l := check.Line{Group: "probe", Name: "rule", Status: check.OK, Found: "taken, " + cfg.Port + " to " + cfg.To}
	if cfg.Port == "veth" {
		l.Status, l.Found = check.Fatal, "refused: no driver"
	}
	return []check.Line{l}
}
