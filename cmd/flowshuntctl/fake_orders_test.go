package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/control"
)

// Order does what is ordered about an elephant, lets an offload of anything else wait, and
// knows of nothing else.
func (f fake) Order(ctx context.Context, o control.Order) (list []control.Ordered, err error) {
	if err := f.misbehave(ctx); err != nil {
		return nil, err
	}
	if f == "ends" {
		defer func() { err = fmt.Errorf("%w: the agent is going down", control.ErrGiven) }()
	}
	for _, t := range o.Tuples {
		n := len(list)
		for _, s := range sessions() {
			if s.Tuple == t || s.Tuple == t.Reverse() {
				list = append(list, f.ordered(&o, &s)...)
			}
		}
		if len(list) == n {
			list = append(list, control.Ordered{Key: flows.EntryKey{Tuple: t}, Outcome: control.OutcomeRefused, Reason: flows.Gone})
		}
	}
	if o.Filter != nil {
		for _, s := range sessions() {
			if o.Filter.Match(&s) {
				list = append(list, f.ordered(&o, &s)...)
			}
		}
	}
	return list, nil
}

func (f fake) ordered(o *control.Order, s *control.Session) (list []control.Ordered) {
	for i, zone := range s.Zones {
		if o.Zone != nil && *o.Zone != zone {
			continue
		}
		r := control.Ordered{Key: flows.EntryKey{ID: uint32(70 + i), Zone: zone, Tuple: s.Tuple}, Session: s.ID, Outcome: control.OutcomeDone}
		switch o.Kind {
		case control.OrderOffload:
			r.Reason = flows.OrderOffload
			if s.ID != 1 && !o.Unmark {
				r.Outcome, r.Reason, r.Detail = control.OutcomeWaits, flows.PolicyInspect, "no-bank"
			}
		case control.OrderInspect:
			r.Reason, r.Remembered = flows.OrderInspect, o.For > 0
			if !r.Remembered {
				r.Detail = "no --mark-never: another agent would not know"
			}
		case control.OrderRevoke:
			r.Reason = flows.OrderRevoke
		}
		if f == "troubled" {
			r.Outcome, r.Detail = control.OutcomeWaits, "its rules are on their way out"
		}
		list = append(list, r)
	}
	return slices.Clip(list)
}
