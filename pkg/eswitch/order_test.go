package eswitch_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/eswitchtest"
	"github.com/flowshunt/flowshunt/pkg/eswitch/model"
)

// gate is a driver whose Apply stops at the door until it is let in, and again
// on the way out.
type gate struct {
	*model.Model
	steps chan chan struct{}
}

func (g *gate) Apply(ctx context.Context, changes []eswitch.Change) {
	g.pass()
	g.Model.Apply(ctx, changes)
	g.pass()
}

func (g *gate) pass() {
	if g.steps == nil {
		return
	}
	wait := make(chan struct{})
	g.steps <- wait
	<-wait
}

// let lets the next one through.
func (g *gate) let() { close(<-g.steps) }

func open(t *testing.T, cfg model.Config) (*eswitch.Eswitch, *gate, *eswitchtest.Rig) {
	t.Helper()
	g := &gate{Model: model.New(cfg, 1, 2)}
	e := eswitch.New(g, eswitch.Config{Chunk: 1, Workers: 1})
	if err := errors.Join(e.PreparePort(t.Context(), 1), e.PreparePort(t.Context(), 2)); err != nil {
		t.Fatal(err)
	}
	return e, g, &eswitchtest.Rig{Driver: g, A: 1, B: 2}
}

// TestRemoveWins starts a removal at each moment of an installation of three
// sessions. Whenever that is, in the end the session is not there, the others are.
func TestRemoveWins(t *testing.T) {
	for moment := range 7 {
		for target := range 3 {
			t.Run(fmt.Sprintf("moment %d session %d", moment, target), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					e, g, r := open(t, model.Config{})
					g.steps = make(chan chan struct{})
					s := r.Sessions(3)
					installed := make(chan []eswitch.Result, 1)
					go func() { installed <- e.Install(t.Context(), s) }()
					for range moment {
						if moment < 6 || g.Len() < 6 {
							synctest.Wait()
							g.let()
						}
					}
					synctest.Wait()
					removed := make(chan error, 1)
					go func() { removed <- e.Remove(t.Context(), []flows.SessionID{s[target].ID})[0] }()
					synctest.Wait()
					results, err := drain(g, installed, removed)
					if err != nil {
						t.Errorf("remove: %v", err)
					}
					for i, res := range results {
						if res.Err != nil && (i != target || !errors.Is(res.Err, eswitch.ErrOvertaken)) {
							t.Errorf("session %d: %v", i, res.Err)
						}
					}
					if g.Len() != 4 || e.Len() != 2 {
						t.Errorf("%d rules, %d sessions are left, want 4 and 2", g.Len(), e.Len())
					}
					for range 2 {
						if g.Hit(s[target].ID, flows.Orig, 1, 1) {
							t.Error("a rule of the removed session is there")
						}
					}
				})
			})
		}
	}
}

// drain lets everything through until both calls have returned.
func drain(g *gate, installed <-chan []eswitch.Result, removed <-chan error) (results []eswitch.Result, err error) {
	for installed != nil || removed != nil {
		select {
		case wait := <-g.steps:
			close(wait)
		case results = <-installed:
			installed = nil
		case err = <-removed:
			removed = nil
		}
	}
	return results, err
}

// TestQueuedIsNotSent: what is removed before its turn never reaches the driver.
func TestQueuedIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent []flows.SessionID
		e, g, r := open(t, model.Config{Fail: func(c eswitch.Change) error {
			sent = append(sent, c.Session)
			return nil
		}})
		g.steps = make(chan chan struct{})
		s := r.Sessions(2)
		installed := make(chan []eswitch.Result, 1)
		removed := make(chan error, 1)
		go func() { installed <- e.Install(t.Context(), s) }()
		synctest.Wait()
		go func() { removed <- e.Remove(t.Context(), []flows.SessionID{s[1].ID})[0] }()
		synctest.Wait()
		results, err := drain(g, installed, removed)
		if err != nil || !errors.Is(results[1].Err, eswitch.ErrOvertaken) {
			t.Errorf("remove: %v, install: %v", err, results[1].Err)
		}
		if len(sent) != 2 || sent[0] != s[0].ID || sent[1] != s[0].ID {
			t.Errorf("sent %v, want the two rules of %s", sent, s[0].ID)
		}
	})
}

// TestRemoveGivesUpWaiting: a removal whose context ends wins all the same.
func TestRemoveGivesUpWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, g, r := open(t, model.Config{})
		g.steps = make(chan chan struct{})
		s := r.Sessions(1)
		installed := make(chan []eswitch.Result, 1)
		go func() { installed <- e.Install(t.Context(), s) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := e.Remove(ctx, eswitchtest.IDs(s))[0]; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		results, _ := drain(g, installed, nil)
		if !errors.Is(results[0].Err, eswitch.ErrOvertaken) || g.Len() != 0 || e.Len() != 0 {
			t.Errorf("%v, %d rules, %d sessions", results[0].Err, g.Len(), e.Len())
		}
	})
}

// TestBusy: an installation does not interfere with a removal in flight, and a
// second removal waits for the first.
func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, g, r := open(t, model.Config{})
		s := r.Sessions(1)
		e.Install(t.Context(), s)
		g.steps = make(chan chan struct{})
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { first <- e.Remove(t.Context(), eswitchtest.IDs(s))[0] }()
		synctest.Wait()
		go func() { second <- e.Remove(t.Context(), eswitchtest.IDs(s))[0] }()
		synctest.Wait()
		if err := e.Install(t.Context(), s)[0].Err; !errors.Is(err, eswitch.ErrBusy) {
			t.Errorf("got %v, want ErrBusy", err)
		}
		select {
		case <-second:
			t.Error("the second removal did not wait")
		default:
		}
		_, err1 := drain(g, nil, first)
		_, err2 := drain(g, nil, second)
		if err1 != nil || err2 != nil || g.Len() != 0 {
			t.Errorf("%v, %v, %d rules", err1, err2, g.Len())
		}
	})
}

// TestForgottenAndInstalledAgain: while one session of a chunk is rolled back,
// another of the chunk, of which nothing had to be, is installed anew.
func TestForgottenAndInstalledAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		again := false
		g := &gate{}
		r := &eswitchtest.Rig{Driver: g, A: 1, B: 2}
		s := r.Sessions(2)
		g.Model = model.New(model.Config{Fail: func(c eswitch.Change) error {
			if c.Op == eswitch.Add && !again && (c.Session == s[0].ID || c.Rule.Dir == flows.Reply) {
				return eswitch.ErrFull
			}
			return nil
		}}, 1, 2)
		e := eswitch.New(g, eswitch.Config{Chunk: 2, Workers: 1})
		if err := errors.Join(e.PreparePort(t.Context(), 1), e.PreparePort(t.Context(), 2)); err != nil {
			t.Fatal(err)
		}
		g.steps = make(chan chan struct{})
		first, second := make(chan []eswitch.Result, 1), make(chan []eswitch.Result, 1)
		go func() { first <- e.Install(t.Context(), s) }()
		g.let()
		g.let()
		rollback := <-g.steps
		again = true
		go func() { second <- e.Install(t.Context(), s[:1]) }()
		adding := <-g.steps
		close(rollback)
		g.let() // the rollback's way out
		synctest.Wait()
		if e.Len() != 1 {
			t.Errorf("%d sessions are known, want the new one", e.Len())
		}
		close(adding)
		if res, _ := drain(g, second, nil); res[0].Err != nil {
			t.Error(res[0].Err)
		}
		g.steps = nil
		if err := e.Remove(t.Context(), eswitchtest.IDs(s[:1]))[0]; err != nil || g.Len() != 0 {
			t.Errorf("%v, %d rules are left", err, g.Len())
		}
	})
}
