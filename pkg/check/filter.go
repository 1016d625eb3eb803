package check

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/tc"
)

// maxFilters bounds how many filters are looked at.
const maxFilters = 300_000

// census counts the filters on the ingress hook of every device.
type census struct {
	ours    int      // rules
	passing int      // guards and curtains, which only let pass
	foreign []string // at preferences of ours
	ovs     []string // devices with filters that look like those of OVS
	undo    []string // what removes these, a preference each
	all     int
}

var errEnough = errors.New("more filters than can be looked at")

func filters(ctx context.Context, n *node) []Line {
	c, err := n.count(ctx)
	if err != nil {
		return []Line{unknown("filters", err)}
	}
	return []Line{c.rulesLine(n), c.foreignLine(n), c.ovsLine(n)}
}

func (n *node) count(ctx context.Context) (c census, err error) {
	kinds, err := readQdiscs(ctx)
	if err != nil {
		return c, err
	}
	conn, err := tc.Dial(tc.Config{Timeout: patience})
	if err != nil {
		return c, err
	}
	defer conn.Close()
	for link := range kinds {
		scope := tc.Scope{Link: link, Parent: tc.Ingress, OnChain: false}
		if err := conn.Filters(ctx, scope, func(f *tc.Filter) error { return c.add(n, f) }); err != nil {
			return c, err
		}
	}
	slices.Sort(c.foreign)
	slices.Sort(c.ovs)
	slices.Sort(c.undo)
	c.foreign, c.ovs, c.undo = slices.Compact(c.foreign), slices.Compact(c.ovs), slices.Compact(c.undo)
	return c, nil
}

// add takes one filter; a preference itself is reported too, as one without a handle.
func (c *census) add(n *node, f *tc.Filter) error {
	if c.all++; c.all > maxFilters {
		return errEnough
	}
	ours, rule, ovs := false, false, false
	for i := range f.Actions {
		cookie := f.Actions[i].Cookie.Bytes()
		_, id, mine := eswitch.DecodeCookie(cookie)
		ours, rule = ours || mine, rule || mine && id != 0
		// OVS has a flow's id for a cookie (lib/netdev-offload-tc.c). Others may have one of
		// that length too.
		ovs = ovs || len(cookie) == 16
	}
	place := int(f.Pref) - int(n.Preference)
	switch {
	case rule:
		c.ours++
	case ours:
		c.passing++
	case ovs:
		c.ovs = append(c.ovs, n.deviceName(f.Link))
		c.undo = append(c.undo, removal(n.deviceName(f.Link), f))
	case place >= -eswitch.GuardClasses && place < eswitch.Classes && !(f.Kind == tc.KindFlower && f.Handle == 0):
		c.foreign = append(c.foreign, fmt.Sprintf("%s: %s at preference %d", n.deviceName(f.Link), f.Kind, f.Pref))
	}
	return nil
}

func (n *node) deviceName(index int32) string {
	for _, d := range n.devices {
		if d.index == index {
			return d.Name
		}
	}
	return fmt.Sprintf("ifindex %d", index)
}

func (c *census) rulesLine(n *node) Line {
	const name = "our rules"
	switch {
	case c.ours == 0 && c.passing > 0 && n.agent.gone():
		return warning(name, "none, but %s that let packets pass, and no agent", plural(c.passing, "filter", "filters")).
			why("they may keep packets from the filters of others behind them").fix("flowshuntctl flush")
	case c.ours == 0:
		return ok(name, "none")
	case n.agent.gone():
		return fatal(name, "%s and no agent", plural(c.ours, "rule", "rules")).
			why("they forward packets past every check").fix("flowshuntctl audit", "flowshuntctl flush")
	case n.agent.err != nil:
		return warning(name, "%s; whether an agent has them is not known", plural(c.ours, "rule", "rules")).
			why("without one they forward packets past every check").fix("flowshuntctl audit")
	}
	return ok(name, "%s; flowshuntctl audit tells whether the agent has them all", plural(c.ours, "rule", "rules"))
}

func (c *census) foreignLine(n *node) Line {
	const name = "preferences"
	first, last := int(n.Preference)-eswitch.GuardClasses, int(n.Preference)+eswitch.Classes-1
	if len(c.foreign) == 0 {
		return ok(name, "%d to %d are free for ours", first, last)
	}
	return fatal(name, "somebody else's filters stand at %d to %d: %s", first, last, some(c.foreign)).
		why("a preference has one owner, so these ports cannot be used (port-unready)").
		fix(fmt.Sprintf("flowshuntd --preference=N # N and the %d behind it, and the %d before it, must be free", eswitch.Classes-1, eswitch.GuardClasses)).detail(c.foreign)
}

// removal is what removes the filters of a preference, whichever qdisc they stand on: it
// may be OVS's `ingress`, or our clsact with filters of ours.
func removal(device string, f *tc.Filter) string {
	command := fmt.Sprintf("tc filter del dev %s ingress pref %d", device, f.Pref)
	if f.Chain != 0 {
		command += fmt.Sprintf(" chain %d", f.Chain)
	}
	return command
}

// ovsLine finds what hw-offload=true leaves behind when it is switched off: OVS takes out
// only what it remembers, and a restart, which the switch needs, forgets
// (rackerlabs/genestack pull request 1740).
func (c *census) ovsLine(n *node) Line {
	const name = "ovs filters"
	switch {
	case len(c.ovs) == 0:
		return ok(name, "none")
	case n.inventory.err != nil:
		return warning(name, "some on %s look like OVS's", some(c.ovs)).why("OVS offloads, or did and left them").detail(c.ovs)
	case n.Switch.HWOffload:
		return ok(name, "on %s, of hw-offload=true", some(c.ovs)).detail(c.ovs)
	}
	fix := []string{"restart ovs-vswitchd first, they may still be its own; then look whose those are that stay:",
		"tc filter show dev " + c.ovs[0] + " ingress"}
	fix = append(fix, c.undo[:min(len(c.undo), maxCommands)]...)
	if more := len(c.undo) - maxCommands; more > 0 {
		fix = append(fix, fmt.Sprintf("and %d more such commands: flowshuntctl check --verbose", more))
	}
	return fatal(name, "some on %s look like OVS's, and hw-offload is false", some(c.ovs)).
		why("if an ovs-vswitchd that offloaded left them, they still forward packets ahead of OVS").
		fix(fix...).detail(append(slices.Clone(c.ovs), c.undo...))
}
