package eswitch_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/eswitchtest"
	"github.com/flowshunt/flowshunt/pkg/eswitch/model"
)

// allGuarded fails the test where a rule stands without its guard.
func allGuarded(t *testing.T, e *eswitch.Eswitch) {
	t.Helper()
	found, err := e.Audit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		guard, needed := eswitch.GuardOf(f.Rule)
		if needed && !slices.ContainsFunc(found, func(g eswitch.Found) bool { return g.Session == 0 && g.Rule == guard }) {
			t.Errorf("unguarded: %+v", f)
		}
	}
}

func counted(t *testing.T, e *eswitch.Eswitch) (lost []flows.SessionID) {
	t.Helper()
	_, lost, err := e.Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lost)
	return lost
}

// Somebody replaces the clsact between two installations: the second does not believe
// that the guard of the first still stands.
func TestGuardGoneBetween(t *testing.T) {
	m := model.New(model.Config{Unguarded: true}, 1, 2)
	e, r := ready(t, m)
	s := []flows.Session{r.Shaped(1, routed), r.Shaped(2, routed), r.Session(3, flows.TCP, false)}
	if res := e.Install(t.Context(), s[:1]); res[0].Err != nil {
		t.Fatal(res[0].Err)
	}
	m.Clear(1)
	if err := e.PreparePort(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	res := e.Install(t.Context(), s[1:])
	var rule *eswitch.RuleError
	if !errors.Is(res[0].Err, eswitch.ErrUnguarded) || !errors.As(res[0].Err, &rule) || res[1].Err != nil {
		t.Errorf("got %v and %v, want ErrUnguarded for the routed one", res[0].Err, res[1].Err)
	}
	allGuarded(t, e)
	if lost := counted(t, e); !slices.Equal(lost, []flows.SessionID{s[0].ID}) {
		t.Errorf("lost %v, want %s", lost, s[0].ID)
	}
	if res := e.Install(t.Context(), s[1:2]); res[0].Err != nil {
		t.Errorf("again: %v", res[0].Err)
	}
	allGuarded(t, e)
}

// hooked is a driver that calls before each reading.
type hooked struct {
	*model.Model
	read func() error
}

func (d *hooked) Rules(ctx context.Context, s eswitch.Scope, fn func(*eswitch.Found)) error {
	if d.read != nil {
		if err := d.read(); err != nil {
			return err
		}
	}
	return d.Model.Rules(ctx, s, fn)
}

// Where it cannot be read whether the guards are there, nothing that needs them stays.
func TestGuardsCannotBeRead(t *testing.T) {
	d := &hooked{Model: model.New(model.Config{}, 1, 2)}
	e, r := ready(t, d)
	d.read = func() error { return errKernel }
	res := e.Install(t.Context(), []flows.Session{r.Shaped(1, routed), r.Session(2, flows.TCP, false)})
	if !errors.Is(res[0].Err, errKernel) || res[1].Err != nil || e.Len() != 1 || d.Len() != 4 {
		t.Errorf("got %v and %v, %d sessions, %d rules", res[0].Err, res[1].Err, e.Len(), d.Len())
	}
}

// A session that came in during the reading that misses its guard is lost with it.
func TestNewcomerWithoutGuard(t *testing.T) {
	d := &hooked{Model: model.New(model.Config{}, 1, 2)}
	e, r := ready(t, d)
	s := []flows.Session{r.Shaped(1, routed), r.Shaped(2, routed)}
	e.Install(t.Context(), s[:1])
	found, err := e.Audit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d.read = func() error {
		d.read = nil
		if res := e.Install(t.Context(), s[1:]); res[0].Err != nil {
			t.Error(res[0].Err)
		}
		for _, f := range found {
			if f.Session == 0 && f.Ref.Link == 1 {
				d.Delete(f.Ref)
			}
		}
		return nil
	}
	if lost := counted(t, e); !slices.Equal(lost, eswitchtest.IDs(s)) {
		t.Errorf("lost %v, want both", lost)
	}
}

// Hardware loses a guard while tc keeps it (hw-tc-offload off and on): the sessions are
// lost, and once they are out the guard is put into hardware anew.
func TestGuardLeavesHardware(t *testing.T) {
	m := model.New(model.Config{}, 1, 2)
	e, r := ready(t, m)
	s := []flows.Session{r.Shaped(1, routed), r.Shaped(2, routed)}
	e.Install(t.Context(), s[:1])
	m.LeaveHardware(1)
	if lost := counted(t, e); !slices.Equal(lost, eswitchtest.IDs(s[:1])) {
		t.Errorf("lost %v", lost)
	}
	if res := e.Install(t.Context(), s[1:]); !errors.Is(res[0].Err, eswitch.ErrNotOffloaded) {
		t.Errorf("while a session relies on the guard: %v, want ErrNotOffloaded", res[0].Err)
	}
	e.Remove(t.Context(), eswitchtest.IDs(s[:1]))
	if res := e.Install(t.Context(), s[1:]); res[0].Err != nil || !res[0].InHW {
		t.Errorf("afterwards: %+v", res[0])
	}
	if m.Len() != 4 {
		t.Errorf("%d rules, want two and two guards", m.Len())
	}
	allGuarded(t, e)
	m.LeaveHardware(1)
	lost := counted(t, e)
	e.Remove(t.Context(), lost)
	counted(t, e)
	if m.Len() != 1 {
		t.Errorf("%d guards are left, want that of port 2", m.Len())
	}
}

// So it is when many sessions come at once, in more than one chunk.
func TestGuardLeavesHardwareForMany(t *testing.T) {
	m := model.New(model.Config{}, 1, 2)
	e, r := ready(t, m)
	first := r.Shaped(1, routed)
	e.Install(t.Context(), []flows.Session{first})
	m.LeaveHardware(1)
	counted(t, e)
	e.Remove(t.Context(), []flows.SessionID{first.ID})
	var many []flows.Session
	for n := range 50 {
		many = append(many, r.Shaped(n+2, routed))
	}
	for i, res := range e.Install(t.Context(), many) {
		if res.Err != nil || !res.InHW {
			t.Errorf("session %d: %+v", i, res)
		}
	}
	allGuarded(t, e)
}

// Guards that nobody needs go now and then, without a sweep.
func TestGuardsGo(t *testing.T) {
	m := model.New(model.Config{}, 1, 2)
	e, r := ready(t, m)
	s := []flows.Session{r.Shaped(1, routed), r.Shaped(2, eswitchtest.Shape{Proto: flows.TCP, V6: true, Hops: 1})}
	e.Install(t.Context(), s)
	e.Remove(t.Context(), eswitchtest.IDs(s[:1]))
	for range 100 {
		if lost := counted(t, e); len(lost) > 0 {
			t.Fatalf("lost %v", lost)
		}
	}
	if m.Len() != 4 {
		t.Errorf("%d rules, want two and their guards", m.Len())
	}
	if res := e.Install(t.Context(), s[:1]); res[0].Err != nil {
		t.Error(res[0].Err)
	}
	allGuarded(t, e)
}

// slowPort is a driver that hangs when it shall add a guard at a port.
type slowPort struct {
	*model.Model
	class  eswitch.Class
	resume chan struct{}
}

func (d *slowPort) Apply(ctx context.Context, changes []eswitch.Change) {
	if slices.ContainsFunc(changes, func(c eswitch.Change) bool { return c.Ref.Link == 1 && c.Ref.Class == d.class }) {
		<-d.resume
	}
	d.Model.Apply(ctx, changes)
}

// A port whose driver hangs with a guard keeps nobody else waiting: neither those at other
// ports, nor those whose guards are in.
func TestGuardHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &slowPort{model.New(model.Config{}, 1, 2, 3, 4), eswitch.GuardIPv6, make(chan struct{})}
		e, r := ready(t, d)
		if err := errors.Join(e.PreparePort(t.Context(), 3), e.PreparePort(t.Context(), 4)); err != nil {
			t.Fatal(err)
		}
		routed6 := eswitchtest.Shape{Proto: flows.TCP, V6: true, Hops: 1}
		elsewhere := &eswitchtest.Rig{A: 3, B: 4}
		if res := e.Install(t.Context(), []flows.Session{r.Shaped(1, routed)}); res[0].Err != nil {
			t.Fatal(res[0].Err)
		}
		hanging := make(chan error, 1)
		go func() { hanging <- e.Install(t.Context(), []flows.Session{r.Shaped(2, routed6)})[0].Err }()
		synctest.Wait()
		others := make(chan error, 2)
		for _, s := range []flows.Session{r.Shaped(3, routed), elsewhere.Shaped(4, routed6)} {
			go func() { others <- e.Install(t.Context(), []flows.Session{s})[0].Err }()
		}
		synctest.Wait()
		if len(others) != 2 || len(hanging) != 0 {
			t.Errorf("%d of 2 others are done, %d of those that hang", len(others), len(hanging))
		}
		close(d.resume)
		if err := errors.Join(<-hanging, <-others, <-others); err != nil {
			t.Error(err)
		}
	})
}

// A port is released while a session comes in that relies on a guard there: the guard
// stays until the session is out again.
func TestReleaseWaitsForNewcomers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{Model: model.New(model.Config{Unguarded: true}, 1, 2)}
		e, r := ready(t, g)
		s := []flows.Session{r.Shaped(1, routed), r.Shaped(2, routed)}
		e.Install(t.Context(), s[:1])
		g.steps = make(chan chan struct{})
		released, installed := make(chan error, 1), make(chan []eswitch.Result, 1)
		go func() { released <- e.ReleasePort(t.Context(), 1) }()
		removing := <-g.steps // after it looked for who uses the port
		go func() { installed <- e.Install(t.Context(), s[1:]) }()
		adding := <-g.steps // after it looked for the guard
		close(removing)
		g.let() // the removal's way out
		synctest.Wait()
		select {
		case <-g.steps:
			t.Fatal("something is deleted before the newcomer is out")
		default:
		}
		close(adding)
		results, err := drain(g, installed, released)
		if err != nil || !errors.Is(results[0].Err, eswitch.ErrUnguarded) {
			t.Errorf("release: %v, newcomer: %v", err, results[0].Err)
		}
		g.steps = nil
		allGuarded(t, e)
		if e.Len() != 0 || g.Len() != 1 {
			t.Errorf("%d sessions, %d rules are left, want the guard of port 2", e.Len(), g.Len())
		}
	})
}
