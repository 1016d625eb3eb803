package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// tenant is a pair of machines whose addresses, MACs and ports another pair has too.
type tenant struct {
	*harness.Pair
	f *flow
}

func (n *tenant) start(sport uint16) {
	n.f = elephantFlow(n.Pair, "tcp", sport)
	n.f.filter = append(n.f.filter, "-w", fmt.Sprint(n.Zone))
}

// becomes waits until the tenant's connection, which is known by its zone only, is in
// a state for a reason, and returns its session.
func (n *tenant) becomes(state, reason string) (id string) {
	n.T.Helper()
	harness.Within(n.T, patience, fmt.Sprintf("%s in zone %d: %s for %s", n.f.tuple, n.Zone, state, reason), func() error {
		out := ctl(n.World, "sessions", "--all", "--limit=0", "--format=csv")
		for _, line := range table(n.T, out) {
			if line["tuple"] == n.f.tuple && line["zones"] == fmt.Sprint(n.Zone) && line["state"] == state && line["reason"] == reason {
				id = line["id"]
				return nil
			}
		}
		return fmt.Errorf("\n%s", out)
	})
	return id
}

// rules fails unless there are so many, all between the tenant's own ports.
func (n *tenant) rules(want int) (rules []harness.Filter) {
	n.T.Helper()
	other := map[string]string{n.A.Rep: n.B.Rep, n.B.Rep: n.A.Rep}
	for _, r := range n.Rules() {
		if to, ours := other[r.Dev]; ours {
			rules = append(rules, r)
			if len(r.Actions) != 1 || r.Actions[0].ToDev != to {
				n.T.Errorf("%v: to %+v, want %s", r, r.Actions, to)
			}
		}
	}
	if len(rules) != want {
		n.T.Errorf("zone %d: %d rules, want %d: %v", n.Zone, len(rules), want, rules)
	}
	return rules
}

// goes fails unless the tenant's data arrive by the path that is said.
func (n *tenant) goes(hardware bool) {
	n.T.Helper()
	const bytes = 300_000
	entry, rules := n.World.Entry(n.f.filter...), n.bytes()
	var eyes *onlooker
	if hardware {
		eyes = watchSlowPath(n.World, n.f.filter, n.f.from.Port(), 9000, n.A, n.B)
		defer eyes.close()
	}
	harness.Within(n.T, patience, "data", func() error {
		slow, fast := n.World.Entry(n.f.filter...).Bytes()-entry.Bytes(), n.bytes()-rules
		switch {
		case hardware && slow > bytes/10 || !hardware && fast > 0:
			n.T.Fatalf("zone %d: %d bytes in the slow path, %d past it; want hardware: %v", n.Zone, slow, fast, hardware)
		case slow+fast < bytes:
			return fmt.Errorf("%d + %d bytes", slow, fast)
		}
		return nil
	})
	if hardware {
		eyes.saw(3)
	}
}

func (n *tenant) bytes() (sum uint64) {
	for _, r := range n.Rules() {
		if r.Dev == n.A.Rep || r.Dev == n.B.Rep {
			sum += r.Bytes()
		}
	}
	return sum
}

// Two tenants with the same addresses, MACs and ports at the same time: what one is
// granted or denied, the other is not.
func TestTenants(t *testing.T) {
	betterOnEswsim(t)
	w := harness.SwitchedPair(t)
	w.Bridge("br1")
	first := &tenant{Pair: w}
	second := &tenant{Pair: &harness.Pair{World: w.World, A: w.Twin("br1", "vm3", w.A), B: w.Twin("br1", "vm4", w.B), Zone: 20}}
	w.Switch("br1", harness.Pipeline{Zone: second.Zone})
	a := startAgent(w.World, modest...)
	for _, n := range []*tenant{first, second} {
		n.B.Listen(t, "tcp", 9000, false)
	}
	// round starts the same connection twice, and denies one in a way.
	// A connection whose packets are dropped is a mouse before long.
	round := func(sport uint16, granted, denied *tenant, reason, later string, deny func()) {
		first.start(sport)
		second.start(sport)
		id := denied.becomes("offloaded", "elephant")
		kept := granted.becomes("offloaded", "elephant")
		first.rules(2)
		second.rules(2)
		deny()
		if cause := a.Logged(t, patience, "remove", "session", id).Attrs["cause"]; cause != reason {
			t.Errorf("left for %s, want %s", cause, reason)
		}
		a.Logged(t, patience, "removed", "session", id, "error", "<nil>")
		granted.rules(2)
		denied.rules(0)
		granted.goes(true)
		if reason == later {
			denied.goes(false)
		}
		granted.rules(2)
		denied.rules(0)
		if now := granted.becomes("offloaded", "elephant"); now != kept {
			t.Errorf("session %s, now %s", kept, now)
		}
		denied.becomes("following", later)
		out, _ := tryCtl(w.World, "why", granted.f.tuple)
		for _, verdict := range []string{
			fmt.Sprintf("(zone %d) is OFFLOADED: elephant", granted.Zone),
			fmt.Sprintf("(zone %d) is NOT OFFLOADED: %s", denied.Zone, later),
		} {
			if !strings.Contains(out, verdict) {
				t.Errorf("why does not say %q:\n%s", verdict, out)
			}
		}
		first.f.Stop()
		second.f.Stop()
		rulesWithin(t, w.World, patience, 0)
	}
	round(47000, first, second, "ct-blocked", "ct-blocked", func() { mark(w.World, second.f, markBlocked) })
	if slow() {
		round(47001, second, first, "ct-blocked", "ct-blocked", func() { mark(w.World, first.f, markBlocked) })
	}
	round(47002, second, first, "path-dropped", "mouse", func() {
		addFlow(w.World, "br0", "table=0,priority=300,tcp,ct_state=-trk,tp_src=47002,actions=drop")
		addFlow(w.World, "br1", "table=0,priority=300,tcp,ct_state=-trk,tp_src=47002,actions=ct(table=1,zone=%d)", second.Zone)
	})
}
