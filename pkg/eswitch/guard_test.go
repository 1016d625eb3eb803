package eswitch_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/eswitchtest"
	"github.com/flowshunt/flowshunt/pkg/eswitch/model"
)

var routed = eswitchtest.Shape{Proto: flows.TCP, Hops: 1}

func ready(t *testing.T, d eswitch.Driver) (*eswitch.Eswitch, *eswitchtest.Rig) {
	t.Helper()
	e := eswitch.New(d, eswitch.Config{Chunk: 4})
	if err := errors.Join(e.PreparePort(t.Context(), 1), e.PreparePort(t.Context(), 2)); err != nil {
		t.Fatal(err)
	}
	return e, &eswitchtest.Rig{Driver: d, A: 1, B: 2}
}

// What refuses the guard refuses the sessions that need it, and only these.
func TestGuardRefused(t *testing.T) {
	asked := 0
	m := model.New(model.Config{Fail: func(c eswitch.Change) error {
		if c.Op == eswitch.Add && c.Ref.Class.IsGuard() {
			asked++
			return eswitch.ErrNotOffloaded
		}
		return nil
	}}, 1, 2)
	e, r := ready(t, m)
	res := e.Install(t.Context(), []flows.Session{r.Shaped(1, routed), r.Session(2, flows.TCP, false), r.Shaped(3, routed)})
	var rule *eswitch.RuleError
	if !errors.Is(res[0].Err, eswitch.ErrNotOffloaded) || !errors.As(res[2].Err, &rule) || rule.Session != r.Shaped(3, routed).ID || res[1].Err != nil {
		t.Errorf("results %v", res)
	}
	if m.Len() != 2 || e.Len() != 1 || asked != 2 {
		t.Errorf("%d rules and %d sessions are in, %d guards were asked for", m.Len(), e.Len(), asked)
	}
}

// softGuards is a driver whose hardware does not take guards, while the kernel does.
type softGuards struct{ *model.Model }

func (d softGuards) Apply(ctx context.Context, changes []eswitch.Change) {
	d.Model.Apply(ctx, changes)
	for i := range changes {
		changes[i].InHW = changes[i].InHW && changes[i].Session != 0
	}
}

// A rule in hardware needs its guard there: hardware does not ask the kernel first.
func TestGuardInSoftware(t *testing.T) {
	d := softGuards{model.New(model.Config{}, 1, 2)}
	e, r := ready(t, d)
	res := e.Install(t.Context(), []flows.Session{r.Shaped(1, routed)})
	if !errors.Is(res[0].Err, eswitch.ErrNotOffloaded) || e.Len() != 0 {
		t.Errorf("got %v, %d sessions are in", res[0].Err, e.Len())
	}
	if n, err := e.Sweep(t.Context()); n != 2 || err != nil || d.Len() != 0 {
		t.Errorf("swept %d guards, %v, %d rules are left", n, err, d.Len())
	}
}

// A driver that needs none gets none.
func TestNoGuards(t *testing.T) {
	d := &dumper{}
	e := eswitch.New(d, eswitch.Config{NoGuards: true})
	r := &eswitchtest.Rig{A: 1, B: 2}
	if res := e.Install(t.Context(), []flows.Session{r.Shaped(1, routed)}); res[0].Err != nil {
		t.Fatal(res[0].Err)
	}
	if _, lost, err := e.Counters(t.Context()); len(lost) > 0 || err != nil {
		t.Errorf("lost %v, %v", lost, err)
	}
}

// TestGuardsUnderway installs, removes, sweeps, releases and deletes guards at once. The
// model refuses any rule that comes before its guard; in the end none is without.
func TestGuardsUnderway(t *testing.T) {
	m := model.New(model.Config{}, 1, 2)
	e, r := ready(t, m)
	var all []flows.Session
	for n := range 30 {
		all = append(all, r.Shaped(n, eswitchtest.Shape{Proto: flows.TCP, V6: n%2 == 0, Hops: 1}))
	}
	var wg sync.WaitGroup
	for g := range 4 {
		rng := rand.New(rand.NewPCG(uint64(g), 3))
		wg.Go(func() {
			for range 200 {
				from := rng.IntN(len(all))
				part := all[from : from+1+rng.IntN(len(all)-from)]
				switch rng.IntN(6) {
				case 0:
					_ = errors.Join(e.ReleasePort(t.Context(), 1), e.PreparePort(t.Context(), 1))
				case 1:
					_, _ = e.Sweep(t.Context())
				case 2:
					e.Remove(t.Context(), eswitchtest.IDs(part))
				case 3:
					_, lost, _ := e.Counters(t.Context())
					e.Remove(t.Context(), lost)
				default:
					e.Install(t.Context(), part)
				}
			}
		})
	}
	wg.Wait()
	_, lost, err := e.Counters(t.Context())
	e.Remove(t.Context(), lost)
	found, errAudit := e.Audit(t.Context())
	if err != nil || errAudit != nil {
		t.Fatal(err, errAudit)
	}
	for _, f := range found {
		guard, needed := eswitch.GuardOf(f.Rule)
		if needed && !slices.ContainsFunc(found, func(g eswitch.Found) bool { return g.Session == 0 && g.Rule == guard }) {
			t.Errorf("unguarded: %+v", f)
		}
	}
	for i, res := range e.Install(t.Context(), all) {
		if res.Err != nil && !errors.Is(res.Err, eswitch.ErrNotPrepared) {
			t.Errorf("session %d: %v", i, res.Err)
		}
	}
}

// TestClasses: each has a name of its own, and the rules of each have the protocol that
// its name says.
func TestClasses(t *testing.T) {
	names := make(map[string]bool)
	for c := eswitch.Class(0); c <= eswitch.AllClasses; c++ {
		if names[c.String()] {
			t.Errorf("two classes are called %s", c)
		}
		names[c.String()] = true
	}
	for c, want := range map[eswitch.Class]string{
		eswitch.UDPv6: "udp6", eswitch.TCPv4 + 8: "vlan-tcp4", eswitch.Classes: "svlan-portless6", eswitch.GuardProvider: "svlan-guard",
	} {
		if c.String() != want {
			t.Errorf("class %d is %s, want %s", c, c, want)
		}
	}
}
