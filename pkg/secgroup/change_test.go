package secgroup_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// small is two groups, a and b, with a port in each, p, and one in both, both. The group's
// rules allow what its set's members send.
func small() *secgroup.Update {
	port := func(groups ...secgroup.GroupID) *secgroup.Port { return &secgroup.Port{Groups: groups} }
	u := &secgroup.Update{
		Reset: true,
		Ports: map[flows.LogicalPort]*secgroup.Port{"pa": port("a"), "pb": port("b"), "both": port("a", "b")},
		Rules: map[secgroup.RuleID]*secgroup.Rule{},
		Sets:  map[secgroup.SetID]secgroup.SetChange{},
	}
	for _, g := range []secgroup.GroupID{"a", "b"} {
		set := secgroup.SetID("of-" + g)
		u.Rules["allow-"+secgroup.RuleID(g)] = rule(g, secgroup.Allow, secgroup.Addrs{Sets: []secgroup.SetID{set}})
		var members []netip.Prefix
		for i := range 1000 {
			members = append(members, hostPrefix(i))
		}
		u.Sets[set] = secgroup.SetChange{Add: members}
	}
	return u
}

func rule(g secgroup.GroupID, a secgroup.Action, remote secgroup.Addrs) *secgroup.Rule {
	return &secgroup.Rule{
		Name: "rule of " + string(g), Groups: []secgroup.GroupID{g}, Direction: flows.Ingress,
		Priority: 1, Action: a, Matches: []secgroup.Match{{Remote: remote}},
	}
}

func prefixes(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// TestChangeIsSmall shows that a Change names no more than it must.
func TestChangeIsSmall(t *testing.T) {
	c := secgroup.NewCompiler()
	table, change := c.Apply(small())
	if !isEmpty(change) {
		t.Errorf("before there was anything, something is judged otherwise: %+v", change)
	}
	web := flows.Tuple{Src: host(3), Dst: host(5000), Proto: flows.TCP, SrcPort: 40000, DstPort: 80}
	refA := table.Judge("pa", flows.Ingress, web).Rule
	refB := table.Judge("pb", flows.Ingress, web).Rule
	if refA == 0 || refB == 0 || refA == refB {
		t.Fatalf("rules %v and %v", refA, refB)
	}
	set := func(s secgroup.SetChange) *secgroup.Update {
		return &secgroup.Update{Sets: map[secgroup.SetID]secgroup.SetChange{"of-a": s}}
	}
	portUpdate := func(name flows.LogicalPort, p *secgroup.Port) *secgroup.Update {
		return &secgroup.Update{Ports: map[flows.LogicalPort]*secgroup.Port{name: p}}
	}
	drop := rule("b", secgroup.Drop, secgroup.Addrs{Prefixes: prefixes("10.0.0.0/24")})
	dropHost := rule("b", secgroup.Drop, secgroup.Addrs{Prefixes: prefixes("10.0.0.3/32")})

	tests := []struct {
		name string
		u    *secgroup.Update
		want secgroup.Change
	}{
		{"told again", small(), secgroup.Change{}},
		{"a member leaves", set(secgroup.SetChange{Remove: prefixes("10.0.0.3/32")}), secgroup.Change{Addrs: []netip.Addr{host(3)}}},
		{"a member joins", set(secgroup.SetChange{Add: prefixes("10.0.0.3/32", "10.2.0.0/16")}), secgroup.Change{}},
		{"a prefix leaves", set(secgroup.SetChange{Remove: prefixes("10.2.0.0/16")}), secgroup.Change{Rules: []flows.RuleRef{refA}}},
		{"a member that never was leaves", set(secgroup.SetChange{Remove: prefixes("10.9.0.3/32")}), secgroup.Change{}},
		{"an allow joins", ruleUpdate("more", rule("a", secgroup.Allow, secgroup.Addrs{})), secgroup.Change{}},
		{"a rule gets another name", ruleUpdate("allow-b", renamed(small().Rules["allow-b"])), secgroup.Change{}},
		{"a drop joins", ruleUpdate("drop", drop), secgroup.Change{Ports: []flows.LogicalPort{"both", "pb"}}},
		{"a drop leaves", ruleUpdate("drop", nil), secgroup.Change{}},
		{"a drop of a host joins", ruleUpdate("drop", dropHost), secgroup.Change{Addrs: []netip.Addr{host(3)}}},
		{"a port joins a group that drops", portUpdate("pa", &secgroup.Port{Groups: []secgroup.GroupID{"a", "b"}}), secgroup.Change{Ports: []flows.LogicalPort{"pa"}}},
		{"a port joins a group that allows", portUpdate("pb", &secgroup.Port{Groups: []secgroup.GroupID{"b", "a"}}), secgroup.Change{}},
		{"a port leaves a group", portUpdate("pb", &secgroup.Port{Groups: []secgroup.GroupID{"a"}}), secgroup.Change{Ports: []flows.LogicalPort{"pb"}}},
		{"a port is opened", portUpdate("pb", &secgroup.Port{Open: true}), secgroup.Change{}},
		{"a port is closed", portUpdate("pb", &secgroup.Port{}), secgroup.Change{Ports: []flows.LogicalPort{"pb"}}},
		{"a port moves", portUpdate("both", &secgroup.Port{Reason: flows.PortUnbound}), secgroup.Change{Ports: []flows.LogicalPort{"both"}}},
		{"a port that was not here leaves", portUpdate("both", nil), secgroup.Change{}},
		{"a rule leaves", ruleUpdate("allow-b", nil), secgroup.Change{Rules: []flows.RuleRef{refB}}},
		{"a set vanishes", set(secgroup.SetChange{Gone: true}), secgroup.Change{Rules: []flows.RuleRef{refA}}},
		{"a set that no rule uses vanishes", &secgroup.Update{Sets: map[secgroup.SetID]secgroup.SetChange{"of-b": {Gone: true}}}, secgroup.Change{}},
	}
	for _, tt := range tests {
		_, got := c.Apply(tt.u)
		if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func renamed(r *secgroup.Rule) *secgroup.Rule {
	r.Name = "another name"
	return r
}

// TestRuleRef shows for how long a reference names a rule.
func TestRuleRef(t *testing.T) {
	c := secgroup.NewCompiler()
	first, _ := c.Apply(small())
	web := flows.Tuple{Src: host(3), Dst: host(5000), Proto: flows.TCP, SrcPort: 40000, DstPort: 80}
	ref := first.Judge("pa", flows.Ingress, web).Rule

	again, _ := c.Apply(small())
	if got := again.Judge("pa", flows.Ingress, web).Rule; got != ref {
		t.Errorf("told again, its reference is %v and not %v", got, ref)
	}
	other := small().Rules["allow-a"]
	other.Priority++
	changed, _ := c.Apply(ruleUpdate("allow-a", other))
	now := changed.Judge("pa", flows.Ingress, web).Rule
	if now == ref || now == 0 {
		t.Errorf("another rule has reference %v, as before: %v", now, ref)
	}
	if got := changed.Describe(ref); got != "" {
		t.Errorf("a rule that is gone is still %q", got)
	}
	if got := first.Describe(ref); got != "rule of a" {
		t.Errorf("in the table before, it is %q", got)
	}
	c.Apply(ruleUpdate("allow-a", nil))
	last, _ := c.Apply(ruleUpdate("allow-a", other))
	if got := last.Judge("pa", flows.Ingress, web).Rule; got == now || got == ref {
		t.Errorf("reference %v was given again", got)
	}
	for _, r := range []flows.RuleRef{ref, now} {
		if got := last.Describe(r); got != "" {
			t.Errorf("a rule that is gone is %q", got)
		}
	}
}

func TestDetailAndSize(t *testing.T) {
	u := small()
	u.Ports["gone"] = &secgroup.Port{Reason: flows.PortUnbound, Detail: "bound to hv2"}
	table, _ := secgroup.NewCompiler().Apply(u)
	for name, want := range map[flows.LogicalPort]string{
		"pa":   "",
		"gone": "bound to hv2",
		"who":  `the source of security groups does not know port "who"`,
	} {
		if got := table.Detail(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got, want := table.Size(), (secgroup.Size{Ports: 4, Rules: 2, Sets: 2, Members: 2000}); got != want {
		t.Errorf("size %+v, want %+v", got, want)
	}
	if got := new(secgroup.Table).Judge("pa", flows.Ingress, flows.Tuple{}).Reason; got != flows.SGUnknown {
		t.Errorf("a table of nothing says %q", got)
	}
}
