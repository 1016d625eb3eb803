package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/control"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/model"
)

// order gives one over the socket.
func order(t *testing.T, r *running, o control.Order) []control.Ordered {
	t.Helper()
	c, err := control.Dial(t.Context(), r.cfg.Control.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var list []control.Ordered
	if err := c.Order(t.Context(), o, func(r control.Ordered) error { list = append(list, r); return nil }); err != nil {
		t.Fatalf("%v: %v", o.Kind, err)
	}
	return list
}

func wantOrdered(t *testing.T, got []control.Ordered, want ...control.Outcome) {
	t.Helper()
	var outcomes []control.Outcome
	for _, r := range got {
		outcomes = append(outcomes, r.Outcome)
	}
	if !slices.Equal(outcomes, want) {
		t.Fatalf("want %v: %+v", want, got)
	}
}

// marksOf returns how many entries have bits of a mark.
func marksOf(t *testing.T, r *running, tuples []flows.Tuple, bits uint32) (n int) {
	t.Helper()
	for _, tuple := range tuples {
		found, err := (*backend)(r.Agent).find(t.Context(), control.Question{Tuple: tuple})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range found {
			if e.Mark&bits != 0 {
				n++
			}
		}
	}
	return n
}

// Orders are carried out in the kernel and in the eswitch, and the answers say how that went.
func TestOrders(t *testing.T) {
	r, m, _, _ := enforcing(t, 4, func(c *Config, _ *model.Config) { c.Engine.Mark.Never = engine.MaskedMark{Value: 8, Mask: 8} })
	var tuples []flows.Tuple
	for i := range 4 {
		tuple, err := flows.ParseTuple(fmt.Sprintf("udp,10.1.0.%d:40000,10.2.0.1:5201", i))
		if err != nil {
			t.Fatal(err)
		}
		tuples = append(tuples, tuple)
	}
	wantOrdered(t, order(t, r, control.Order{Kind: control.OrderRevoke, DryRun: true, Filter: &control.Filter{All: true}}),
		control.OutcomeDone, control.OutcomeDone, control.OutcomeDone, control.OutcomeDone)
	if m.Len() != 8 {
		t.Fatalf("after a dry run %d rules are left", m.Len())
	}

	got := order(t, r, control.Order{Kind: control.OrderInspect, Tuples: []flows.Tuple{tuples[0].Reverse(), tuples[1]}})
	wantOrdered(t, got, control.OutcomeDone, control.OutcomeDone)
	if m.Len() != 4 || !got[0].Remembered || marksOf(t, r, tuples, 8) != 2 {
		t.Fatalf("%d rules, %d marks: %+v", m.Len(), marksOf(t, r, tuples, 8), got)
	}
	got = order(t, r, control.Order{Kind: control.OrderRevoke, Tuples: tuples[2:3]})
	wantOrdered(t, got, control.OutcomeDone)
	if m.Len() != 2 || got[0].Reason != flows.OrderRevoke {
		t.Fatalf("%d rules: %+v", m.Len(), got)
	}
	got = order(t, r, control.Order{Kind: control.OrderOffload, Tuples: tuples[:3]})
	slices.SortFunc(got, func(a, b control.Ordered) int { return a.Key.Tuple.Src.Compare(b.Key.Tuple.Src) })
	wantOrdered(t, got, control.OutcomeDone, control.OutcomeDone, control.OutcomeRefused)
	if n := r.states()[engine.Offloaded]; n != 3 || marksOf(t, r, tuples, 8) != 1 {
		t.Errorf("%d offloaded, %d marks", n, marksOf(t, r, tuples, 8))
	}
	nobody := tuples[0]
	nobody.SrcPort = 1
	got = order(t, r, control.Order{Kind: control.OrderInspect, For: time.Hour, Tuples: []flows.Tuple{nobody}})
	wantOrdered(t, got, control.OutcomeRefused)
	if got[0].Reason != flows.Gone {
		t.Errorf("%+v", got)
	}
	for _, said := range []string{"what=inspect by.uid=0", "what=revoke", "dry-run=true", "done=2 waits=0 refused=1", "udp,10.1.0.2:40000,10.2.0.1:5201 zone 0"} {
		if !strings.Contains(r.log.String(), said) {
			t.Errorf("the log does not say %q", said)
		}
	}
}

// Rules that are stuck are told in time.
func TestOrderThatTakesLong(t *testing.T) {
	var stuck atomic.Bool
	r, m, _, _ := enforcing(t, 1, func(_ *Config, c *model.Config) {
		c.Fail = func(c eswitch.Change) error {
			if stuck.Load() && c.Op == eswitch.Delete {
				return errors.New("device busy")
			}
			return nil
		}
	})
	stuck.Store(true)
	defer stuck.Store(false)
	c, err := control.Dial(t.Context(), r.cfg.Control.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	var got []control.Ordered
	err = c.Order(ctx, control.Order{Kind: control.OrderRevoke, Filter: &control.Filter{All: true}}, func(r control.Ordered) error { got = append(got, r); return nil })
	if err != nil {
		t.Fatal(err)
	}
	wantOrdered(t, got, control.OutcomeWaits)
	if m.Len() == 0 {
		t.Error("nothing was stuck")
	}
}
