package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// A port with security groups that nothing tells of is not offloaded, unless the word
// of OVS is to do: then a rule that is taken back pulls the connection, which the
// pipeline condemns at its next packet, and it never returns.
func TestGroupsUnknown(t *testing.T) {
	slowly(t)
	w := harness.New(t)
	w.Bridge("br0")
	p := &harness.Pair{World: w, Zone: harness.NeutronVLAN,
		A: w.AddVM("br0", "vm1", harness.VMConfig{IfaceID: "2b1c9df0-6a4e-4a57-8b5e-0d5ce7f6a901"}),
		B: w.AddVM("br0", "vm2", harness.VMConfig{IfaceID: "f4a7b7c2-03d1-4b0e-9f0f-5a0a3c1d2e02"})}
	w.Neutron("br0", p.A, p.B)
	const rule = "tcp,tp_dst=9000"
	w.NeutronAccept("br0", 2, p.B, rule)
	a := startAgent(w, modest...)
	p.B.Listen(t, "tcp", 9000, false)
	f := elephantFlow(p, "tcp", 47000)
	becomes(w, patience, f.tuple, "candidate", "sg-unknown")
	harness.Throughout(t, 3*pollInterval, "nothing installed", func() error { return traces(w) })
	text, code := tryCtl(w, "why", f.tuple)
	mustMatch(t, text, `is NOT OFFLOADED: sg-unknown\n`)
	if code != 1 {
		t.Errorf("why: status %d", code)
	}
	mustMatch(t, ctl(w, "show"), `(?m)^rep-vm1 .*sg-unknown`, `(?m)^rep-vm2 .*sg-unknown`)
	a.Stop()

	a = startAgent(w, append(modest, "--trust-ovs")...)
	c := offloaded(w, f.tuple)
	carried(t, w, f, 47000, p.A, p.B)
	arriving := way{p.B.Capture(t, "eth0"), "to the receiver", 47000, 9000}
	(&drift{running: &running{flow: f}, t: t}).arriveBy(arriving)
	w.NeutronRevoke("br0", 2, rule)
	revoked := time.Now()
	harness.Throughout(t, 2*driftWithin, "no packet", func() error {
		if late := arriving.last(t).Sub(revoked); late > driftWithin {
			return fmt.Errorf("one %v after the rule was revoked", late)
		}
		return nil
	})
	cause := a.Logged(t, patience, "remove", "session", c.ID).Attrs["cause"]
	if cause == "ct-blocked" {
		t.Error("left for the mark of the pipeline, which no packet should have met before")
	}
	t.Logf("left for %s; last packet %v after the rule was gone", cause, arriving.last(t).Sub(revoked).Round(time.Millisecond))
	rulesWithin(t, w, 0, 0)
	becomes(w, patience, f.tuple, "following", "ct-blocked")
	if e := w.Entry(f.filter...); e.Mark != 1 || e.State != "ESTABLISHED" {
		t.Errorf("entry %+v", e)
	}

	w.NeutronAccept("br0", 2, p.B, rule)
	offloaded(w, elephantFlow(p, "tcp", 47001).tuple)
	becomes(w, patience, f.tuple, "following", "ct-blocked")
	if rules := rulesOf(w, 47000); len(rules) != 0 {
		t.Errorf("rules of what is condemned: %v", rules)
	}
}
