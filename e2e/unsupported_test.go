package e2e

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// A path that a rule cannot repeat is refused by its name; the same connections are
// offloaded before and after.
func TestUnsupportedPaths(t *testing.T) {
	slowly(t)
	const first = 46000
	w := harness.SwitchedPair(t)
	third := w.AddVM("br0", "vm3", harness.VMConfig{})
	out := "output:" + w.OFPort(w.B)
	// Hidden from the datapath, whose flow only outputs: OVS has to be asked.
	w.Run(t, "ovs-ofctl", "-O", "OpenFlow13", "add-group", "br0", "group_id=1,type=indirect,bucket="+out)
	t.Cleanup(func() { w.Run(t, "ovs-ofctl", "-O", "OpenFlow13", "del-groups", "br0") })
	cases := []struct{ actions, reason string }{
		{"dec_ttl,dec_ttl,dec_ttl,dec_ttl," + out, "path-unsupported/routed"},
		{"mod_nw_ttl:9," + out, "path-unsupported/routed"},
		{"mod_nw_tos:64," + out, "path-unsupported/action"},
		{out + ",output:" + w.OFPort(third), "path-unsupported/outputs"},
		{"group:1", "path-unsupported/group"},
		{"controller(max_len=64)," + out, "path-unsupported/userspace"},
		{"in_port", "path-unsupported/hairpin"},
	}
	a := startAgent(w.World, append(modest, "--mark-offload="+markOffload)...)
	w.B.Listen(t, "tcp", 9000, false)
	p := w.A.Dial(t, "tcp", netip.AddrPortFrom(w.B.IP4, 9000), first, len(cases))
	flows, tuples := make([]*flow, len(cases)), make([]string, len(cases))
	for i := range cases {
		p.Do(i+1, "chat 100")
		tuples[i] = fmt.Sprintf("tcp,%v:%d,%v:9000", w.A.IP4, first+i, w.B.IP4)
		flows[i] = &flow{tuple: tuples[i], filter: []string{"-p", "tcp", "--orig-port-src", fmt.Sprint(first + i)}}
		mark(w.World, flows[i], markOffload)
	}
	rulesWithin(t, w.World, 2*patience, 2*len(cases))
	before := connections(w.World)

	var add strings.Builder
	for i, c := range cases {
		fmt.Fprintf(&add, "cookie=0xd1,table=0,priority=300,tcp,ct_state=-trk,tp_src=%d,actions=ct(zone=%d,table=%d)\n", first+i, w.Zone, 10+i)
		fmt.Fprintf(&add, "cookie=0xd1,table=%d,tcp,actions=%s\n", 10+i, c.actions)
	}
	w.Feed(t, add.String(), "ovs-ofctl", "-O", "OpenFlow13", "--bundle", "add-flows", "br0", "-")
	rulesWithin(t, w.World, patience, 0)
	pulled := time.Now()
	for _, c := range before {
		if i := slices.Index(tuples, c.Tuple); i >= 0 {
			if cause := a.Logged(t, patience, "remove", "session", c.ID).Attrs["cause"]; cause != cases[i].reason {
				t.Errorf("%s: left for %s, want %s", cases[i].actions, cause, cases[i].reason)
			}
		}
	}
	for i, c := range cases {
		// once more when the datapath's own flows are believed again, in which no group is seen
		resolvedAgain(t, a, tuples[i], pulled.Add(3*time.Second), c.reason)
	}
	if rules := w.Rules(); len(rules) != 0 {
		t.Errorf("rules: %v; %v", rules, sessions(w.World))
	}
	for i, c := range cases {
		becomes(w.World, patience, tuples[i], "candidate", c.reason)
		text, code := tryCtl(w.World, "why", tuples[i])
		mustMatch(t, text, `is NOT OFFLOADED: `+c.reason+`\n`)
		if code != 1 {
			t.Errorf("why %s: status %d", tuples[i], code)
		}
	}

	delFlows(w.World, "br0")
	rulesWithin(t, w.World, 2*patience, 2*len(cases))
}

// resolvedAgain waits until a path was asked for after a time, and refused for a reason.
func resolvedAgain(t *testing.T, a *harness.Agent, tuple string, after time.Time, reason string) {
	t.Helper()
	harness.Within(t, patience, tuple+" is asked for again, and refused for "+reason, func() error {
		asked := map[string]bool{}
		for _, l := range a.Log() {
			switch id := l.Attrs["session"]; {
			case l.Msg == "resolve" && l.Attrs["connection"] == tuple && l.Time.After(after):
				asked[id] = true
			case l.Msg == "install" && asked[id]:
				t.Fatalf("%s: offloaded: %+v", tuple, l)
			case l.Msg == "no path" && asked[id] && l.Attrs["reason"] == reason:
				return nil
			}
		}
		return fmt.Errorf("asked: %v", asked)
	})
}
