package eswitch_test

import (
	"context"
	"errors"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/eswitchtest"
	"github.com/flowshunt/flowshunt/pkg/eswitch/model"
)

var errKernel = errors.New("the kernel says no")

// TestRollbackFails keeps what could not be rolled back in mind.
func TestRollbackFails(t *testing.T) {
	broken := true
	e, m, r := open(t, model.Config{Fail: func(c eswitch.Change) error {
		if broken && (c.Op == eswitch.Delete || c.Rule.Dir == flows.Reply) {
			return errKernel
		}
		return nil
	}})
	s := r.Sessions(1)
	err := e.Install(t.Context(), s)[0].Err
	if !errors.Is(err, errKernel) || !errors.Is(err, eswitch.ErrUnknown) {
		t.Errorf("got %v, want both errors", err)
	}
	if m.Len() != 1 || e.Len() != 1 {
		t.Errorf("%d rules, %d sessions, want one of each", m.Len(), e.Len())
	}
	if err := e.Remove(t.Context(), eswitchtest.IDs(s))[0]; !errors.Is(err, errKernel) {
		t.Errorf("remove: %v", err)
	}
	if err := e.Install(t.Context(), s)[0].Err; !errors.Is(err, eswitch.ErrBusy) {
		t.Errorf("install on top of a residue: %v", err)
	}
	broken = false
	if err := e.Remove(t.Context(), eswitchtest.IDs(s))[0]; err != nil || m.Len() != 0 || e.Len() != 0 {
		t.Errorf("remove again: %v, %d rules, %d sessions", err, m.Len(), e.Len())
	}
}

// TestUnknownOutcome rolls back also what nobody knows to be there.
func TestUnknownOutcome(t *testing.T) {
	var deleted []eswitch.Ref
	e, _, r := open(t, model.Config{Fail: func(c eswitch.Change) error {
		if c.Op == eswitch.Delete {
			deleted = append(deleted, c.Ref)
		} else if c.Rule.Dir == flows.Orig {
			return eswitch.ErrUnknown
		}
		return nil
	}})
	if err := e.Install(t.Context(), r.Sessions(1))[0].Err; !errors.Is(err, eswitch.ErrUnknown) {
		t.Errorf("got %v", err)
	}
	if len(deleted) != 2 {
		t.Errorf("%d rules were rolled back, want both", len(deleted))
	}
}

// TestResidueIsSwept: a sweep takes away what a failed rollback left.
func TestResidueIsSwept(t *testing.T) {
	broken := true
	e, m, r := open(t, model.Config{Fail: func(c eswitch.Change) error {
		if broken && (c.Op == eswitch.Delete || c.Rule.Dir == flows.Reply) {
			return errKernel
		}
		return nil
	}})
	e.Install(t.Context(), r.Sessions(1))
	broken = false
	if n, err := e.Sweep(t.Context()); n != 1 || err != nil || m.Len() != 0 || e.Len() != 0 {
		t.Errorf("swept %d, %v, %d rules and %d sessions left", n, err, m.Len(), e.Len())
	}
}

// dumper is a driver with rules that are nowhere, for tests of reading.
type dumper struct {
	*model.Model
	found []eswitch.Found
	skip  map[flows.SessionID]int // how often still a session is left out

	during func() // called once, in the middle of a dump
}

func (d *dumper) Apply(_ context.Context, changes []eswitch.Change) {
	for i := range changes {
		c := &changes[i]
		c.Err = nil
		d.found = append(d.found, eswitch.Found{Ref: c.Ref, Session: c.Session, Count: flows.Counters{Packets: 1, Bytes: 60}})
	}
}

func (d *dumper) Rules(_ context.Context, scope eswitch.Scope, fn func(*eswitch.Found)) error {
	if during := d.during; during != nil {
		d.during = nil
		during()
	}
	for i := range d.found {
		f := &d.found[i]
		if f.Ref.Link != scope.Link || f.Ref.Class != scope.Class {
			continue
		}
		if d.skip[f.Session] > 0 {
			d.skip[f.Session]--
			continue
		}
		fn(f)
	}
	return nil
}

// TestLostIsLookedForTwice: a rule that one dump missed is no loss.
func TestLostIsLookedForTwice(t *testing.T) {
	d := &dumper{skip: make(map[flows.SessionID]int)}
	e := eswitch.New(d, eswitch.Config{Chunk: 100})
	r := &eswitchtest.Rig{A: 1, B: 2}
	s := r.Sessions(10)
	e.Install(t.Context(), s)
	d.skip[s[2].ID] = 1   // missed once
	d.skip[s[3].ID] = 2   // both rules missed once
	d.skip[s[4].ID] = 999 // gone
	counters, lost, err := e.Counters(t.Context())
	if err != nil || len(lost) != 1 || lost[0] != s[4].ID || len(counters) != 9 {
		t.Errorf("%d counters, lost %v, %v; want 9 and session %s", len(counters), lost, err, s[4].ID)
	}
	for _, c := range counters {
		if c.Count != [2]flows.Counters{{Packets: 1, Bytes: 60}, {Packets: 1, Bytes: 60}} {
			t.Errorf("counted wrongly: %+v", c)
		}
	}
}

// TestNewcomersAreNotJudged: what is installed while a dump runs need not be in it.
func TestNewcomersAreNotJudged(t *testing.T) {
	r := &eswitchtest.Rig{A: 1, B: 2}
	s := r.Sessions(2)
	d := &dumper{skip: map[flows.SessionID]int{s[1].ID: 999}}
	e := eswitch.New(d, eswitch.Config{})
	e.Install(t.Context(), s[:1])
	d.during = func() { e.Install(t.Context(), s[1:]) }
	if c, lost, err := e.Counters(t.Context()); len(c) != 1 || len(lost) != 0 || err != nil {
		t.Errorf("%d counters, lost %v, %v", len(c), lost, err)
	}
	if _, lost, _ := e.Counters(t.Context()); len(lost) != 1 {
		t.Errorf("lost %v, want the one that is still missing", lost)
	}
}

// TestHardwareIsLeft: a session is in hardware while all of its rules are.
func TestHardwareIsLeft(t *testing.T) {
	e, m, r := open(t, model.Config{})
	e.Install(t.Context(), r.Sessions(2))
	inHW := func() (n int) {
		counters, _, err := e.Counters(t.Context())
		if err != nil || len(counters) != 2 {
			t.Fatalf("%d counters, %v", len(counters), err)
		}
		for _, c := range counters {
			if c.InHW {
				n++
			}
		}
		return n
	}
	if n := inHW(); n != 2 {
		t.Errorf("%d of 2 sessions in hardware", n)
	}
	m.LeaveHardware(r.B) // where the replies come in
	if n := inHW(); n != 0 {
		t.Errorf("%d sessions in hardware with half of their rules", n)
	}
}

// TestCountersAllocate: a reading allocates for its result, not for each rule.
func TestCountersAllocate(t *testing.T) {
	d := &dumper{}
	e := eswitch.New(d, eswitch.Config{Chunk: 100, Workers: 1})
	r := &eswitchtest.Rig{A: 1, B: 2}
	e.Install(t.Context(), r.Sessions(1000))
	read := func() {
		if c, lost, err := e.Counters(t.Context()); len(c) != 1000 || lost != nil || err != nil {
			t.Fatalf("%d counters, lost %v, %v", len(c), lost, err)
		}
	}
	read() // grows the scratch memory
	if n := testing.AllocsPerRun(10, read); n > 10 {
		t.Errorf("%v allocations for 2,000 rules", n)
	}
}

func TestInvalidSessions(t *testing.T) {
	e, m, r := open(t, model.Config{})
	for name, change := range map[string]func(*flows.Session){
		"id":       func(s *flows.Session) { s.ID = 0 },
		"no rules": func(s *flows.Session) { s.Rules = nil },
		"too many": func(s *flows.Session) { s.Rules = make([]flows.Rule, eswitch.MaxRules+1) },
		"hairpin":  func(s *flows.Session) { s.Rules[1].Out = s.Rules[1].In },
		"port":     func(s *flows.Session) { s.Rules[0].In = 0 },
		"MAC":      func(s *flows.Session) { s.Rules[0].SrcMAC = flows.MAC{} },
		"tuple":    func(s *flows.Session) { s.Rules[0].Tuple = flows.Tuple{Proto: flows.TCP} },
		"DCCP":     func(s *flows.Session) { s.Rules[0].Tuple.Proto = flows.DCCP },
	} {
		s := r.Session(1, flows.TCP, false)
		change(&s)
		if err := e.Install(t.Context(), []flows.Session{s})[0].Err; !errors.Is(err, eswitch.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	if m.Len() != 0 || e.Len() != 0 {
		t.Error("something of them is in")
	}
}

func FuzzCookie(f *testing.F) {
	c := eswitch.EncodeCookie(7, 0x0102030405060708)
	f.Add(c[:])
	f.Add([]byte{})
	f.Add(append(c[:], 0, 0, 0, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		generation, id, ours := eswitch.DecodeCookie(b)
		if !ours {
			return
		}
		if again := eswitch.EncodeCookie(generation, id); string(again[:]) != string(b) {
			t.Errorf("% x became % x", b, again)
		}
	})
}

func BenchmarkInstallRemove(b *testing.B) {
	m := model.New(model.Config{}, 1, 2)
	e := eswitch.New(m, eswitch.Config{})
	if err := errors.Join(e.PreparePort(b.Context(), 1), e.PreparePort(b.Context(), 2)); err != nil {
		b.Fatal(err)
	}
	r := &eswitchtest.Rig{A: 1, B: 2}
	s := r.Sessions(1000)
	b.ReportAllocs()
	for b.Loop() {
		e.Install(b.Context(), s)
		e.Remove(b.Context(), eswitchtest.IDs(s))
	}
	b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "sessions/s")
}
