package eswitch_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/eswitchtest"
	"github.com/flowshunt/flowshunt/pkg/eswitch/model"
)

// Rules of another version that this one would not install are not taken over, however
// well they fit together.
func TestAdoptOnlyValid(t *testing.T) {
	m := model.New(model.Config{}, 1, 2)
	e, r := ready(t, m)
	good, hairpin, tagged := r.Session(1, flows.TCP, false), r.Session(2, flows.TCP, false), r.Session(3, flows.TCP, false)
	hairpin.Rules[0].Out = hairpin.Rules[0].In
	leaves := tagged.Rules[0].Frame
	leaves.Tags = flows.Tags{{Type: 0x9100, ID: 5}}
	tagged.Rules[0].Change = flows.ChangeTo(tagged.Rules[0].Frame, leaves, 0, flows.Tuple{})
	var left []eswitch.Change
	for _, s := range []flows.Session{good, hairpin, tagged} {
		for i, rule := range s.Rules {
			handle := uint32(len(left)&^1 + i + 100)
			left = append(left, eswitch.Change{Op: eswitch.Add, Session: s.ID, Rule: rule,
				Ref: eswitch.Ref{Link: rule.In, Class: eswitch.TCPv4, Handle: handle}})
		}
	}
	m.Apply(t.Context(), left)
	for _, c := range left {
		if c.Err != nil {
			t.Fatal(c.Err)
		}
	}
	adopted, n, err := e.Adopt(t.Context())
	if err != nil || n != 4 || len(adopted) != 1 || adopted[0].ID != good.ID {
		t.Errorf("removed %d rules, adopted %+v, %v, want 4 and %s", n, adopted, err, good.ID)
	}
}

// oldKernel does not tell MayBreak.
type oldKernel struct{ *model.Model }

func (d oldKernel) Rules(ctx context.Context, s eswitch.Scope, fn func(*eswitch.Found)) error {
	return d.Model.Rules(ctx, s, func(f *eswitch.Found) {
		if c := f.Rule.Change.Value(); !c.Tunnel.IsZero() {
			tunnel := c.Tunnel.Value()
			tunnel.MayBreak = false
			c.Tunnel = flows.RefTo(tunnel)
			f.Rule.Change, f.HidesBreak = flows.RefTo(c), true
		}
		fn(f)
	})
}

// What a kernel does not tell makes no other session of one that was adopted.
func TestAdoptedWithoutMayBreak(t *testing.T) {
	d := oldKernel{model.New(model.Config{}, 1, 2)}
	tunnel := flows.Tunnel{Dst: netip.MustParseAddr("198.51.100.2"), ID: 5, TTL: 64, MayBreak: true}
	first, r := ready(t, d)
	session := func(n int, change func(*flows.Tunnel)) flows.Session {
		tunnel := tunnel
		change(&tunnel)
		s := r.Shaped(n, eswitchtest.Shape{Proto: flows.TCP})
		leaves := s.Rules[0].Frame
		leaves.Tunnel = flows.RefTo(tunnel)
		s.Rules[0].Change = flows.ChangeTo(s.Rules[0].Frame, leaves, 0, flows.Tuple{})
		return s
	}
	s := session(1, func(*flows.Tunnel) {})
	if res := first.Install(t.Context(), []flows.Session{s}); res[0].Err != nil {
		t.Fatal(res[0].Err)
	}
	e, _ := ready(t, d)
	adopted, n, err := e.Adopt(t.Context())
	if err != nil || n != 0 || len(adopted) != 1 || !adopted[0].HidesBreak {
		t.Fatalf("adopted %+v, removed %d, %v", adopted, n, err)
	}
	if err := e.Install(t.Context(), []flows.Session{s})[0].Err; err != nil {
		t.Errorf("the same once more: %v", err)
	}
	other := session(1, func(t *flows.Tunnel) { t.TTL = 65 })
	if err := e.Install(t.Context(), []flows.Session{other})[0].Err; !errors.Is(err, eswitch.ErrConflict) {
		t.Errorf("another tunnel: %v, want ErrConflict", err)
	}
}
