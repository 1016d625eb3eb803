package control

import (
	"errors"
	"fmt"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	pb "github.com/flowshunt/flowshunt/pkg/control/controlpb"
)

func fromOrder(o *Order) *pb.OrderRequest {
	m := &pb.OrderRequest{
		Kind: pb.OrderKind(o.Kind), Zone: fromZonePtr(o.Zone), ForNs: int64(o.For), Unmark: o.Unmark, DryRun: o.DryRun,
		Tuples: convert(o.Tuples, func(t *flows.Tuple) *pb.Tuple { return fromTuple(*t) }),
	}
	if o.Filter != nil {
		m.Filter = fromFilter(o.Filter)
	}
	return m
}

func toOrder(m *pb.OrderRequest) (Order, error) {
	o := Order{Kind: enum[OrderKind](m.GetKind()), For: time.Duration(m.GetForNs()), Unmark: m.GetUnmark(), DryRun: m.GetDryRun()}
	var err error
	if o.Zone, err = toZonePtr(m.Zone); err != nil {
		return o, err
	}
	for _, t := range m.GetTuples() {
		tuple, err := toTuple(t)
		if err != nil {
			return o, err
		}
		o.Tuples = append(o.Tuples, tuple)
	}
	if m.GetFilter() != nil {
		f, err := toFilter(m.GetFilter())
		if err != nil {
			return o, err
		}
		o.Filter = &f
	}
	return o, o.check()
}

// check says what makes no sense.
func (o *Order) check() error {
	switch {
	case o.Kind < OrderOffload || o.Kind > OrderRevoke:
		return fmt.Errorf("order %d: not known to this agent", o.Kind)
	case len(o.Tuples) == 0 && o.Filter == nil:
		return errors.New("the order names no connection")
	case o.For < 0 || o.For > 0 && o.Kind != OrderInspect:
		return errors.New("only an order to inspect can be for a while")
	case o.Unmark && o.Kind != OrderOffload:
		return errors.New("only an order to offload takes a mark off")
	}
	return nil
}

func fromOrdered(r *Ordered) *pb.OrderResponse {
	return &pb.OrderResponse{
		Tuple: fromTuple(r.Key.Tuple), Zone: uint32(r.Key.Zone), Id: r.Key.ID, SessionId: uint64(r.Session),
		Outcome: pb.Outcome(r.Outcome), Reason: text(r.Reason), Detail: text(r.Detail), Remembered: r.Remembered,
	}
}

func toOrdered(m *pb.OrderResponse) (Ordered, error) {
	tuple, err := toTuple(m.GetTuple())
	if err != nil {
		return Ordered{}, err
	}
	zone, err := toZone(m.GetZone())
	if err != nil {
		return Ordered{}, err
	}
	return Ordered{
		Key: flows.EntryKey{ID: m.GetId(), Zone: zone, Tuple: tuple}, Session: flows.SessionID(m.GetSessionId()),
		Outcome: enum[Outcome](m.GetOutcome()), Reason: flows.Reason(m.GetReason()), Detail: m.GetDetail(), Remembered: m.GetRemembered(),
	}, nil
}
