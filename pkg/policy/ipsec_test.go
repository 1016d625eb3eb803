package policy_test

import (
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/policy"
)

// lifeOf lets an engine with policies have a connection of a protocol between two ports, and
// returns its reason once everything that it orders was done.
func lifeOf(t *testing.T, policies engine.Policies, proto flows.Proto) (flows.Reason, int) {
	t.Helper()
	cfg := engine.DefaultConfig()
	cfg.Enforce, cfg.AwaitPolicies = true, true
	e := flows.Entry{Key: flows.EntryKey{ID: 1, Tuple: mustTuple(t, "udp,10.0.0.1:0,10.0.0.2:0")}, HasCount: true, Timeout: 100,
		Status: flows.StatusConfirmed | flows.StatusSeenReply | flows.StatusAssured,
		Count:  [2]flows.Counters{{Packets: 500, Bytes: 500_000}, {Packets: 500, Bytes: 500_000}}}
	e.Key.Tuple.Proto = proto
	e.Reply = e.Key.Tuple.Reverse()
	paths := flows.Paths{
		{In: 1, Out: 2, Frame: flows.Frame{SrcMAC: flows.MAC{2, 1}, DstMAC: flows.MAC{2, 2}}},
		{In: 2, Out: 1, Frame: flows.Frame{SrcMAC: flows.MAC{2, 2}, DstMAC: flows.MAC{2, 1}}},
	}
	g, now, installed := engine.New(cfg), flows.Instant(time.Second), 0
	events := []engine.Event{engine.PortsChanged{Ports: []engine.PortState{{ID: 1}, {ID: 2}}}, engine.PoliciesChanged{Policies: policies}}
	for range 10 {
		now = now.Add(time.Second)
		e.Count[0].Bytes += 1_000_000
		effects := g.Step(now, append(events, engine.EntriesRead{At: now, Entries: []flows.Entry{e}}))
		for events = nil; len(effects) > 0; effects = g.Step(now, events) {
			events = nil
			for _, effect := range effects {
				switch x := effect.(type) {
				case engine.Resolve:
					events = append(events, engine.PathResolved{Session: x.Session, Op: x.Op, Paths: paths, Tuples: [2]flows.Tuple{x.Entry.Tuple, x.Reply}})
				case engine.Relax:
					events = append(events, engine.Relaxed{Session: x.Session, Op: x.Op})
				case engine.Install:
					installed++
					events = append(events, engine.Installed{Session: x.Session, Op: x.Op})
				case engine.Read:
					events = append(events, engine.SessionRead{Session: x.Session, Op: x.Op, At: now, Found: []flows.Entry{e}})
				}
			}
			if len(events) == 0 {
				break
			}
		}
		events = nil
	}
	return g.Explain(&e).View.Reason, installed
}

func mustTuple(t *testing.T, s string) flows.Tuple {
	t.Helper()
	tuple, err := flows.ParseTuple(s)
	if err != nil {
		t.Fatal(err)
	}
	return tuple
}

// IPsec is uninspectable without a look at its packets; what may be anything is not surely so.
func TestIPsecIsOffloaded(t *testing.T) {
	encrypted := policy.Spec{Name: "encrypted", Verdict: "offload", Applications: []string{policy.Uninspectable}}
	covered := policy.ProfileSpec{Name: "gateway", DstPrefixes: []string{"10.0.0.2"}}
	for _, tt := range []struct {
		name     string
		proto    flows.Proto
		profiles []policy.ProfileSpec
		want     flows.Reason
	}{
		{"ESP", flows.ESP, nil, flows.PolicyOffload},
		{"AH", flows.AH, nil, flows.PolicyOffload},
		{"ESP that the firewall can look into", flows.ESP, []policy.ProfileSpec{covered}, flows.PolicyNone},
		{"UDP", flows.UDP, nil, flows.PolicyNone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table, problems := policy.Compile([]policy.Spec{encrypted}, tt.profiles, nil)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			table = table.WithPorts([]policy.Port{{ID: 1, Name: "tap1"}, {ID: 2, Name: "tap2"}})
			got, installed := lifeOf(t, table, tt.proto)
			if got != tt.want || (installed > 0) != (tt.want == flows.PolicyOffload) {
				t.Errorf("%q, installed %d times, want %q", got, installed, tt.want)
			}
		})
	}
}
