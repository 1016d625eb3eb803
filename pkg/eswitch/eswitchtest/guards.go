package eswitchtest

import (
	"errors"
	"slices"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
)

// shapes installs a session of every kind and reads it back.
func shapes(t *testing.T, r *Rig) {
	e := r.start(t)
	var all []flows.Session
	for i, s := range Shapes {
		session := r.Shaped(i, s)
		refused := r.Refuses != nil && r.Refuses(s)
		res := e.Install(t.Context(), []flows.Session{session})[0]
		switch {
		case refused && !errors.Is(res.Err, eswitch.ErrRefused):
			t.Errorf("%s: %v, want ErrRefused", s.Name, res.Err)
		case !refused && res.Err != nil:
			t.Errorf("%s: %v", s.Name, res.Err)
		case !refused:
			all = append(all, session)
		}
	}
	wantRules(t, e, all...)
	counters, lost, err := e.Counters(t.Context())
	if err != nil || len(counters) != len(all) || len(lost) != 0 {
		t.Errorf("%d counters, lost %v, %v", len(counters), lost, err)
	}
	remove(t, e, IDs(all)...)
	if _, err := e.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	if left := audit(t, e); len(left) > 0 {
		t.Errorf("left: %+v", left)
	}
}

func routed(v6 bool) Shape { return Shape{Proto: flows.TCP, V6: v6, Hops: 1} }

func guardsIn(t *testing.T, e *eswitch.Eswitch) (found []eswitch.Found) {
	t.Helper()
	return slices.DeleteFunc(audit(t, e), func(f eswitch.Found) bool { return f.Session != 0 })
}

// guards come with the first session that needs them, are shared, and go with the port.
func guards(t *testing.T, r *Rig) {
	e := r.start(t)
	install(t, e, r.Session(1, flows.TCP, false))
	if g := guardsIn(t, e); len(g) != 0 {
		t.Errorf("guards for a plain session: %+v", g)
	}
	s := []flows.Session{r.Shaped(2, routed(false)), r.Shaped(3, routed(false)), r.Shaped(4, routed(true))}
	install(t, e, s...)
	wantRules(t, e, append(s, r.Session(1, flows.TCP, false))...)
	if n := len(guardsIn(t, e)); n != 4 {
		t.Errorf("%d guards, want one for each family on both ports", n)
	}
	if n, err := e.Sweep(t.Context()); n != 0 || err != nil {
		t.Errorf("a sweep removed %d rules, %v", n, err)
	}
	remove(t, e, s[0].ID, s[2].ID)
	if n, err := e.Sweep(t.Context()); n != 2 || err != nil || len(guardsIn(t, e)) != 2 {
		t.Errorf("a sweep removed %d rules, %v, want the guards of IPv6", n, err)
	}
	install(t, e, s[2])
	wantRules(t, e, s[1], s[2], r.Session(1, flows.TCP, false))
	if err := e.ReleasePort(t.Context(), r.A); err != nil {
		t.Error(err)
	}
	for _, f := range audit(t, e) {
		if f.Ref.Link == r.A {
			t.Errorf("left on the port: %+v", f)
		}
	}
	if err := e.PreparePort(t.Context(), r.A); err != nil {
		t.Fatal(err)
	}
	install(t, e, s[0])
	wantRules(t, e, s[0])
}

// guardVanishes: without its guard a session is lost, and the guard is back before
// anything else of the kind.
func guardVanishes(t *testing.T, r *Rig) {
	e := r.start(t)
	s := []flows.Session{r.Shaped(1, routed(false)), r.Shaped(2, routed(true)), r.Session(3, flows.TCP, false)}
	install(t, e, s...)
	for _, f := range guardsIn(t, e) {
		if f.Ref.Link == r.A && f.Ref.Class == eswitch.GuardIPv4 {
			r.Vanish(f)
		}
	}
	if _, lost, err := e.Counters(t.Context()); err != nil || !slices.Equal(lost, []flows.SessionID{s[0].ID}) {
		t.Errorf("lost %v, %v, want %s", lost, err, s[0].ID)
	}
	install(t, e, r.Shaped(4, routed(false)))
	remove(t, e, s[0].ID)
	wantRules(t, e, s[1], s[2], r.Shaped(4, routed(false)))
	if _, lost, err := e.Counters(t.Context()); err != nil || len(lost) > 0 {
		t.Errorf("lost %v, %v", lost, err)
	}
}

// guardGone: nothing is installed on the strength of a guard that stands no more, and the
// next that needs it puts it back.
func guardGone(t *testing.T, r *Rig) {
	e := r.start(t)
	install(t, e, r.Shaped(1, routed(false)))
	for _, f := range guardsIn(t, e) {
		r.Vanish(f)
	}
	if res := e.Install(t.Context(), []flows.Session{r.Shaped(2, routed(false))}); res[0].Err == nil {
		t.Error("installed without a guard")
	}
	remove(t, e, r.Shaped(1, routed(false)).ID)
	wantRules(t, e)
	install(t, e, r.Shaped(2, routed(false)))
	wantRules(t, e, r.Shaped(2, routed(false)))
}

func adoptGuarded(t *testing.T, r *Rig) {
	var all []flows.Session
	for i, s := range Shapes {
		if r.Refuses == nil || !r.Refuses(s) {
			all = append(all, r.Shaped(i, s))
		}
	}
	install(t, r.start(t), all...)
	e := r.start(t)
	adopted, n, err := e.Adopt(t.Context())
	if err != nil || n != 0 || len(adopted) != len(all) {
		t.Errorf("removed %d rules, adopted %d sessions of %d, %v", n, len(adopted), len(all), err)
	}
	wantRules(t, e, all...)
	install(t, e, all...) // recognized
	remove(t, e, IDs(all)...)
	if n, err := e.Sweep(t.Context()); err != nil || n == 0 || len(audit(t, e)) != 0 {
		t.Errorf("a sweep removed %d guards, %v, and left %d rules", n, err, len(audit(t, e)))
	}
}

// adoptUnguarded: what lost its guard between two processes comes out, and guards that
// nobody needs go.
func adoptUnguarded(t *testing.T, r *Rig) {
	first := r.start(t)
	s := []flows.Session{r.Shaped(1, routed(false)), r.Shaped(2, routed(true))}
	install(t, first, s...)
	for _, f := range guardsIn(t, first) {
		if f.Ref.Link == r.B && f.Ref.Class == eswitch.GuardIPv4 {
			r.Vanish(f)
		}
	}
	e := r.start(t)
	adopted, n, err := e.Adopt(t.Context())
	if err != nil || n != 3 || len(adopted) != 1 || adopted[0].ID != s[1].ID {
		t.Errorf("removed %d rules, adopted %+v, %v, want 3 and %s", n, adopted, err, s[1].ID)
	}
	wantRules(t, e, s[1])
}
