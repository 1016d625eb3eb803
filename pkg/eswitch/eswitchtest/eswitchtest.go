// Package eswitchtest holds what every driver of an eswitch must do, as a test
// that the drivers' own tests run.
package eswitchtest

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
)

// Rig is a driver with two ports to install rules between.
type Rig struct {
	Driver eswitch.Driver
	A, B   int32
	Gone   func()                // makes port B vanish
	Vanish func(f eswitch.Found) // deletes a rule behind the driver's back
	// Refuses says which Shapes the driver has no words for; nil: none.
	Refuses func(Shape) bool
}

// Session returns a session between the rig's ports, the nth of its kind.
func (r *Rig) Session(n int, proto flows.Proto, v6 bool) flows.Session {
	t := flows.Tuple{Proto: proto}
	if v6 {
		t.Src = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 12: byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		t.Dst = netip.MustParseAddr("2001:db8::ffff")
	} else {
		t.Src = netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
		t.Dst = netip.MustParseAddr("192.0.2.1")
	}
	if proto.HasPorts() {
		t.SrcPort, t.DstPort = 40000, 443
	}
	there := flows.Rule{
		Dir: flows.Orig, In: r.A, Out: r.B,
		Frame: flows.Frame{SrcMAC: flows.MAC{2, 0, 0, 0, 0, 1}, DstMAC: flows.MAC{2, 0, 0, 0, 0, 2}}, Tuple: t,
	}
	back := flows.Rule{
		Dir: flows.Reply, In: r.B, Out: r.A,
		Frame: flows.Frame{SrcMAC: there.DstMAC, DstMAC: there.SrcMAC}, Tuple: t.Reverse(),
	}
	return flows.Session{ID: flows.SessionID(1<<40 + n), Rules: []flows.Rule{there, back}}
}

// Sessions returns n TCP sessions over IPv4.
func (r *Rig) Sessions(n int) []flows.Session {
	s := make([]flows.Session, n)
	for i := range s {
		s[i] = r.Session(i+1, flows.TCP, false)
	}
	return s
}

// IDs returns the ids of sessions.
func IDs(sessions []flows.Session) []flows.SessionID {
	ids := make([]flows.SessionID, len(sessions))
	for i, s := range sessions {
		ids[i] = s.ID
	}
	return ids
}

// Run runs all tests, each on a new rig.
func Run(t *testing.T, open func(t *testing.T) *Rig) {
	for _, tt := range []struct {
		name string
		run  func(*testing.T, *Rig)
	}{
		{"RoundTrip", roundTrip},
		{"AllClasses", allClasses},
		{"Shapes", shapes},
		{"Guards", guards},
		{"GuardVanishes", guardVanishes},
		{"GuardGone", guardGone},
		{"AdoptGuarded", adoptGuarded},
		{"AdoptUnguarded", adoptUnguarded},
		{"AllOrNone", allOrNone},
		{"NotPrepared", notPrepared},
		{"Duplicate", duplicate},
		{"Idempotent", idempotent},
		{"PortGone", portGone},
		{"Lost", lost},
		{"SweepLeftovers", sweepLeftovers},
		{"Adopt", adopt},
		{"HalfIsNotAdopted", halfIsNotAdopted},
		{"FlushWithoutState", flushWithoutState},
		{"ReleasePort", releasePort},
		{"Cancelled", cancelled},
		{"RandomOrder", randomOrder},
		{"Many", many},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.run(t, open(t))
		})
	}
}

func (r *Rig) start(t *testing.T) *eswitch.Eswitch {
	t.Helper()
	e := eswitch.New(r.Driver, eswitch.Config{Chunk: 8})
	for _, link := range []int32{r.A, r.B} {
		if err := e.PreparePort(t.Context(), link); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func install(t *testing.T, e *eswitch.Eswitch, sessions ...flows.Session) {
	t.Helper()
	for i, r := range e.Install(t.Context(), sessions) {
		if r.Err != nil {
			t.Fatalf("session %d: %v", i, r.Err)
		}
	}
}

func remove(t *testing.T, e *eswitch.Eswitch, ids ...flows.SessionID) {
	t.Helper()
	if err := errors.Join(e.Remove(t.Context(), ids)...); err != nil {
		t.Fatal(err)
	}
}

func audit(t *testing.T, e *eswitch.Eswitch) []eswitch.Found {
	t.Helper()
	found, err := e.Audit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// wantRules checks that the eswitch has exactly the rules of the sessions.
func wantRules(t *testing.T, e *eswitch.Eswitch, sessions ...flows.Session) {
	t.Helper()
	want := make(map[flows.Rule]flows.SessionID)
	for _, s := range sessions {
		for _, r := range s.Rules {
			want[r] = s.ID
		}
	}
	guards, needs := make(map[flows.Rule]bool), make(map[flows.Rule]bool)
	for _, f := range audit(t, e) {
		if f.Session == 0 {
			if guards[f.Rule] || !f.Intact || !f.Ref.Class.IsGuard() {
				t.Errorf("unexpected guard %+v", f)
			}
			guards[f.Rule] = true
			continue
		}
		if id, ok := want[f.Rule]; !ok || id != f.Session || !f.Intact {
			t.Errorf("unexpected rule %+v, changes %+v", f, f.Rule.Change.Value())
		}
		if guard, needed := eswitch.GuardOf(f.Rule); needed {
			needs[guard] = true
		}
		delete(want, f.Rule)
	}
	for r, id := range want {
		t.Errorf("rule of session %s is missing: %+v, changes %+v", id, r, r.Change.Value())
	}
	for g := range needs {
		if !guards[g] {
			t.Errorf("guard is missing: %+v", g)
		}
	}
}

func roundTrip(t *testing.T, r *Rig) {
	e := r.start(t)
	s := r.Sessions(20)
	install(t, e, s...)
	wantRules(t, e, s...)
	counters, lost, err := e.Counters(t.Context())
	if err != nil || len(lost) != 0 || len(counters) != 20 {
		t.Errorf("%d counters, lost %v, %v", len(counters), lost, err)
	}
	for _, c := range counters {
		if c.Count != [2]flows.Counters{} || !slices.Contains(IDs(s), c.ID) {
			t.Errorf("counters without traffic: %+v", c)
		}
	}
	remove(t, e, IDs(s[:10])...)
	wantRules(t, e, s[10:]...)
	remove(t, e, IDs(s)...)
	wantRules(t, e)
	if e.Len() != 0 {
		t.Errorf("%d sessions are remembered", e.Len())
	}
}

func allClasses(t *testing.T, r *Rig) {
	e := r.start(t)
	var all []flows.Session
	classes := make(map[eswitch.Class]bool)
	for i, proto := range []flows.Proto{flows.TCP, flows.UDP, flows.SCTP, flows.ESP, flows.AH, flows.GRE} {
		for j, v6 := range []bool{false, true} {
			n := 6*i + 3*j
			all = append(all, r.Session(n, proto, v6))
			for k, tag := range []flows.Tag{vlan7, svlan8} {
				shape := Shape{Proto: proto, V6: v6, A: flows.Tags{tag}, B: flows.Tags{tag}}
				if r.Refuses == nil || !r.Refuses(shape) {
					all = append(all, r.Shaped(n+1+k, shape))
				}
			}
		}
	}
	install(t, e, all...)
	wantRules(t, e, all...)
	for _, f := range audit(t, e) {
		classes[f.Ref.Class] = true
	}
	want := make(map[eswitch.Class]bool)
	for _, s := range all {
		class, _ := eswitch.ClassOf(s.Rules[0])
		want[class] = true
	}
	if !maps.Equal(classes, want) || r.Refuses == nil && len(classes) != eswitch.Classes {
		t.Errorf("%d classes are in use, want %d of %d", len(classes), len(want), eswitch.Classes)
	}
	icmp := r.Session(100, flows.ICMP, false)
	if res := e.Install(t.Context(), []flows.Session{icmp}); !errors.Is(res[0].Err, eswitch.ErrInvalid) {
		t.Errorf("ICMP: %v, want ErrInvalid", res[0].Err)
	}
	remove(t, e, IDs(all)...)
	wantRules(t, e)
}

// allOrNone installs sessions of which some have a rule that must be refused.
func allOrNone(t *testing.T, r *Rig) {
	e := r.start(t)
	s := r.Sessions(30)
	var good []flows.Session
	for i := range s {
		if i%3 == 1 {
			s[i].Rules[1].Out = 999999
		} else {
			good = append(good, s[i])
		}
	}
	for i, res := range e.Install(t.Context(), s) {
		var rule *eswitch.RuleError
		switch {
		case i%3 != 1 && res.Err != nil:
			t.Errorf("session %d: %v", i, res.Err)
		case i%3 == 1 && (!errors.Is(res.Err, eswitch.ErrPortGone) || !errors.As(res.Err, &rule) || rule.Rule != s[i].Rules[1]):
			t.Errorf("session %d: %v, want ErrPortGone for the second rule", i, res.Err)
		}
	}
	wantRules(t, e, good...)
	if e.Len() != len(good) {
		t.Errorf("%d sessions are remembered, want %d", e.Len(), len(good))
	}
}

func notPrepared(t *testing.T, r *Rig) {
	e := eswitch.New(r.Driver, eswitch.Config{})
	res := e.Install(t.Context(), r.Sessions(1))
	if !errors.Is(res[0].Err, eswitch.ErrNotPrepared) {
		t.Errorf("got %v, want ErrNotPrepared", res[0].Err)
	}
	if err := e.PreparePort(t.Context(), 999999); !errors.Is(err, eswitch.ErrPortGone) {
		t.Errorf("got %v, want ErrPortGone", err)
	}
}

// duplicate installs the same connection under a second id.
func duplicate(t *testing.T, r *Rig) {
	e := r.start(t)
	first := r.Session(1, flows.UDP, false)
	second := first
	second.ID++
	install(t, e, first)
	if res := e.Install(t.Context(), []flows.Session{second}); !errors.Is(res[0].Err, eswitch.ErrExists) {
		t.Errorf("got %v, want ErrExists", res[0].Err)
	}
	wantRules(t, e, first)
}

func idempotent(t *testing.T, r *Rig) {
	e := r.start(t)
	s := r.Session(1, flows.TCP, true)
	install(t, e, s)
	install(t, e, s)
	other := s
	other.Rules = []flows.Rule{s.Rules[1], s.Rules[0]}
	if res := e.Install(t.Context(), []flows.Session{other}); !errors.Is(res[0].Err, eswitch.ErrConflict) {
		t.Errorf("got %v, want ErrConflict", res[0].Err)
	}
	wantRules(t, e, s)
	remove(t, e, s.ID, s.ID, 77)
	remove(t, e, s.ID)
	wantRules(t, e)
	if err := e.PreparePort(t.Context(), r.A); err != nil {
		t.Error(err)
	}
}

func portGone(t *testing.T, r *Rig) {
	e := r.start(t)
	s := r.Sessions(10)
	install(t, e, s...)
	r.Gone()
	_, lost, err := e.Counters(t.Context())
	if err == nil {
		if _, again, _ := e.Counters(t.Context()); len(lost) == 0 {
			lost = again
		}
	}
	if err != nil || len(lost) != 10 {
		t.Errorf("lost %v, %v, want all 10", lost, err)
	}
	if res := e.Install(t.Context(), []flows.Session{r.Session(99, flows.TCP, false)}); !errors.Is(res[0].Err, eswitch.ErrPortGone) {
		t.Errorf("got %v, want ErrPortGone", res[0].Err)
	}
	remove(t, e, IDs(s)...)
	wantRules(t, e)
	if err := e.ReleasePort(t.Context(), r.B); err != nil {
		t.Error(err)
	}
}

func lost(t *testing.T, r *Rig) {
	e := r.start(t)
	s := r.Sessions(5)
	install(t, e, s...)
	for _, f := range audit(t, e) {
		if f.Session == s[3].ID && f.Rule.Dir == flows.Reply {
			r.Vanish(f)
		}
	}
	counters, lost, err := e.Counters(t.Context())
	if err != nil || len(lost) != 1 || lost[0] != s[3].ID || len(counters) != 5 {
		t.Errorf("%d counters, lost %v, %v; want session %s to be lost", len(counters), lost, err, s[3].ID)
	}
	remove(t, e, s[3].ID)
	wantRules(t, e, append(s[:3:3], s[4])...)
}

// sweepLeftovers finds what an earlier process left, with and without sessions of
// its own.
func sweepLeftovers(t *testing.T, r *Rig) {
	s := r.Sessions(10)
	install(t, r.start(t), s[:5]...)
	e := r.start(t)
	install(t, e, s[5:]...)
	n, err := e.Sweep(t.Context())
	if err != nil || n != 10 || e.Len() != 5 {
		t.Errorf("removed %d rules, %d sessions are left, %v, want 10 and 5", n, e.Len(), err)
	}
	wantRules(t, e, s[5:]...)
}

func adopt(t *testing.T, r *Rig) {
	s := r.Sessions(10)
	install(t, r.start(t), s...)
	e := r.start(t)
	handles := make(map[eswitch.Ref]bool)
	for _, f := range audit(t, e) {
		handles[f.Ref] = true
	}
	adopted, n, err := e.Adopt(t.Context())
	if err != nil || n != 0 || e.Len() != 10 {
		t.Errorf("removed %d rules, %d sessions adopted, %v, want 0 and 10", n, e.Len(), err)
	}
	for i, a := range adopted {
		if a.ID != s[i].ID || !slices.Equal(a.Rules, s[i].Rules) {
			t.Errorf("adopted %+v, want %+v", a, s[i])
		}
	}
	if again, n, err := e.Adopt(t.Context()); err != nil || n != 0 || len(again) != len(adopted) {
		t.Errorf("again: removed %d rules, %d sessions adopted, %v, want 0 and 10", n, len(again), err)
	}
	install(t, e, s...) // adopted ones are recognized
	wantRules(t, e, s...)
	for _, f := range audit(t, e) {
		if !handles[f.Ref] {
			t.Errorf("rule at %+v, which was not there before", f.Ref)
		}
	}
	counters, lost, err := e.Counters(t.Context())
	if err != nil || len(counters) != 10 || len(lost) != 0 {
		t.Errorf("%d counters, lost %v, %v", len(counters), lost, err)
	}
	remove(t, e, IDs(s)...)
	wantRules(t, e)
}

func halfIsNotAdopted(t *testing.T, r *Rig) {
	s := r.Sessions(3)
	s[0].Rules = s[0].Rules[:1]
	s[2].Rules[1] = r.Session(4, flows.TCP, false).Rules[1] // the way back of another
	install(t, r.start(t), s...)
	e := r.start(t)
	adopted, n, err := e.Adopt(t.Context())
	if err != nil || n != 3 || len(adopted) != 1 {
		t.Errorf("removed %d rules, adopted %d sessions, %v, want 3 and 1", n, len(adopted), err)
	}
	wantRules(t, e, s[1])
}

func flushWithoutState(t *testing.T, r *Rig) {
	s := r.Sessions(20)
	install(t, r.start(t), s...)
	e := eswitch.New(r.Driver, eswitch.Config{})
	n, err := e.Flush(t.Context())
	if err != nil || n != 40 {
		t.Errorf("removed %d rules, %v, want 40", n, err)
	}
	wantRules(t, e)
	if links, err := r.Driver.Links(t.Context()); err != nil || len(links) != 0 {
		t.Errorf("ports %v are still prepared, %v", links, err)
	}
	e = r.start(t)
	install(t, e, s...)
	if n, err := e.Flush(t.Context()); err != nil || n != 40 || e.Len() != 0 {
		t.Errorf("own: removed %d rules, %d sessions left, %v, want 40 and 0", n, e.Len(), err)
	}
}

func releasePort(t *testing.T, r *Rig) {
	install(t, r.start(t), r.Session(50, flows.UDP, false)) // a leftover
	e := r.start(t)
	install(t, e, r.Sessions(5)...)
	if err := e.ReleasePort(t.Context(), r.A); err != nil {
		t.Fatal(err)
	}
	for _, f := range audit(t, e) {
		if f.Ref.Link == r.A || f.Session != r.Session(50, flows.UDP, false).ID {
			t.Errorf("left: %+v", f)
		}
	}
	if e.Len() != 0 {
		t.Errorf("%d sessions are left", e.Len())
	}
}

func cancelled(t *testing.T, r *Rig) {
	e := r.start(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, res := range e.Install(ctx, r.Sessions(20)) {
		if !errors.Is(res.Err, context.Canceled) {
			t.Errorf("got %v, want Canceled", res.Err)
		}
	}
	wantRules(t, e)
	install(t, e, r.Sessions(20)...)
	for _, err := range e.Remove(ctx, IDs(r.Sessions(20))) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want Canceled", err)
		}
	}
	remove(t, e, IDs(r.Sessions(20))...)
	wantRules(t, e)
}

// randomOrder installs and removes the same sessions from several goroutines.
// Whatever happens: what is remembered is what is there, in whole sessions.
func randomOrder(t *testing.T, r *Rig) {
	e := r.start(t)
	s := r.Sessions(40)
	var wg sync.WaitGroup
	errs := make(chan error, 1000)
	for g := range 4 {
		rng := rand.New(rand.NewPCG(uint64(g), 1))
		wg.Go(func() {
			for range 25 {
				from := rng.IntN(len(s))
				part := s[from : from+1+rng.IntN(len(s)-from)]
				if g%2 == 0 {
					for _, res := range e.Install(t.Context(), part) {
						if res.Err != nil && !errors.Is(res.Err, eswitch.ErrBusy) && !errors.Is(res.Err, eswitch.ErrOvertaken) {
							errs <- res.Err
						}
					}
					continue
				}
				if err := errors.Join(e.Remove(t.Context(), IDs(part))...); err != nil {
					errs <- err
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	perSession := make(map[flows.SessionID]int)
	for _, f := range audit(t, e) {
		perSession[f.Session]++
	}
	for id, n := range perSession {
		if n != 2 {
			t.Errorf("session %s has %d rules", id, n)
		}
	}
	if len(perSession) != e.Len() {
		t.Errorf("%d sessions are there, %d remembered", len(perSession), e.Len())
	}
	remove(t, e, IDs(s)...)
	wantRules(t, e)
}

func many(t *testing.T, r *Rig) {
	e := eswitch.New(r.Driver, eswitch.Config{})
	if err := errors.Join(e.PreparePort(t.Context(), r.A), e.PreparePort(t.Context(), r.B)); err != nil {
		t.Fatal(err)
	}
	s := r.Sessions(5000)
	install(t, e, s...)
	counters, lost, err := e.Counters(t.Context())
	if err != nil || len(counters) != 5000 || len(lost) != 0 {
		t.Errorf("%d counters, %d lost, %v", len(counters), len(lost), err)
	}
	if n := len(audit(t, e)); n != 10000 {
		t.Errorf("%d rules are there", n)
	}
	remove(t, e, IDs(s)...)
	wantRules(t, e)
}
