package model_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/eswitchtest"
	"github.com/flowshunt/flowshunt/pkg/eswitch/model"
)

func rig(m *model.Model) *eswitchtest.Rig {
	return &eswitchtest.Rig{
		Driver: m, A: 1, B: 2,
		Gone:   func() { m.RemoveLink(2) },
		Vanish: func(f eswitch.Found) { m.Delete(f.Ref) },
	}
}

func TestConformance(t *testing.T) {
	eswitchtest.Run(t, func(*testing.T) *eswitchtest.Rig { return rig(model.New(model.Config{}, 1, 2)) })
}

func start(t *testing.T, cfg model.Config) (*eswitch.Eswitch, *model.Model, *eswitchtest.Rig) {
	t.Helper()
	m := model.New(cfg, 1, 2)
	e := eswitch.New(m, eswitch.Config{Workers: 1})
	for link := range int32(2) {
		if err := e.PreparePort(context.Background(), link+1); err != nil {
			t.Fatal(err)
		}
	}
	return e, m, rig(m)
}

// TestCapacity fills the table: whole sessions are in, the rest says why not.
func TestCapacity(t *testing.T) {
	e, m, r := start(t, model.Config{Capacity: 11})
	full := 0
	for _, res := range e.Install(t.Context(), r.Sessions(20)) {
		if errors.Is(res.Err, eswitch.ErrFull) {
			full++
		} else if res.Err != nil {
			t.Error(res.Err)
		}
	}
	if full != 15 || m.Len() != 10 {
		t.Errorf("%d sessions found the table full, %d rules are in, want 15 and 10", full, m.Len())
	}
}

// TestDelay checks that time passes, and that a context ends the waiting.
func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, m, r := start(t, model.Config{Delay: time.Second})
		began := time.Now()
		e.Install(t.Context(), r.Sessions(3))
		if d := time.Since(began); d != 6*time.Second {
			t.Errorf("6 rules took %v", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		if res := e.Install(ctx, []flows.Session{r.Session(9, flows.UDP, false)}); !errors.Is(res[0].Err, context.DeadlineExceeded) {
			t.Errorf("got %v", res[0].Err)
		}
		if m.Len() != 6 {
			t.Errorf("%d rules, want the first 6", m.Len())
		}
	})
}

func TestHit(t *testing.T) {
	e, m, r := start(t, model.Config{})
	s := r.Sessions(3)
	e.Install(t.Context(), s)
	m.Hit(s[1].ID, flows.Orig, 3, 300)
	m.Hit(s[1].ID, flows.Reply, 1, 60)
	counters, _, err := e.Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range counters {
		want := [2]flows.Counters{}
		if c.ID == s[1].ID {
			want = [2]flows.Counters{{Packets: 3, Bytes: 300}, {Packets: 1, Bytes: 60}}
		}
		if c.Count != want {
			t.Errorf("%+v, want %+v", c, want)
		}
	}
	if m.Hit(99, flows.Orig, 1, 1) {
		t.Error("a session that is not there was hit")
	}
}
