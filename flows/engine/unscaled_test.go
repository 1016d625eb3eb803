package engine

import (
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// unscaled returns an engine with sessions of TCP connections without window scaling, which
// look picked up in mid-stream once their windows are relaxed.
func unscaled(t *testing.T, n int) (*Engine, []flows.Entry, func(time.Duration, ...Event) []Effect) {
	t.Helper()
	g, entries, step := commanded(t, n, simPolicies{mild(1)}, neverMark)
	offloadedAll(t, g, n)
	for i := range entries {
		entries[i].TCP.Flags = [2]uint8{0x2a, 0x2a}
	}
	step(time.Second)
	offloadedAll(t, g, n)
	return g, entries, step
}

// The flag that relaxed windows leave excuses a connection without window scaling from
// having its handshake seen again, and from nothing else.
func TestUnscaledObeys(t *testing.T) {
	for _, tt := range []struct {
		name   string
		order  func(*flows.Entry) Event
		reason flows.Reason
	}{
		{"revoke", func(e *flows.Entry) Event { return Ordered{Kind: OrderRevoke, Keys: []flows.EntryKey{e.Key}} }, flows.OrderRevoke},
		{"inspect", func(e *flows.Entry) Event { return Ordered{Kind: OrderInspect, Keys: []flows.EntryKey{e.Key}} }, flows.OrderInspect},
		{"drop", func(*flows.Entry) Event { return PoliciesChanged{Policies: drops} }, flows.PolicyDrop},
		{"never", func(e *flows.Entry) Event { e.Mark = 8; return Lost{} }, flows.MarkNever},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, entries, step := unscaled(t, 1)
			step(0, tt.order(&entries[0]))
			if tt.name == "drop" {
				step(time.Second, PoliciesChanged{Policies: simPolicies{mild(1)}})
			}
			for range 5 {
				inspectedAgain(entries)
				step(time.Minute)
				if n := g.Used()[Offloaded]; n != 0 {
					t.Fatalf("promise 3: %d sessions", n)
				}
			}
			if r := reasonOf(g, entries[0]); r != tt.reason {
				t.Errorf("it stays for %q", r)
			}
			want := tt.name == "revoke" || tt.name == "inspect" || tt.name == "never"
			if entries[0].Mark == 8 != want {
				t.Errorf("promise 9: mark %#x", entries[0].Mark)
			}
		})
	}
}
