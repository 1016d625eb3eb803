package control

import (
	"fmt"
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
	pb "github.com/flowshunt/flowshunt/pkg/control/controlpb"
)

func fromFilter(f *Filter) *pb.SessionsRequest {
	m := &pb.SessionsRequest{
		All:    f.All,
		Port:   f.Port,
		States: convert(f.States, func(s *State) pb.State { return pb.State(*s) }),
		Reason: string(f.Reason),
		Zone:   fromZonePtr(f.Zone),
		Sort:   pb.Sort(f.Sort),
		Limit:  f.Limit,
	}
	if f.Prefix.IsValid() {
		m.Prefix = f.Prefix.String()
	}
	return m
}

func toFilter(m *pb.SessionsRequest) (Filter, error) {
	zone, err := toZonePtr(m.Zone)
	if err != nil {
		return Filter{}, err
	}
	f := Filter{
		All:    m.GetAll(),
		Port:   m.GetPort(),
		States: convert(m.GetStates(), func(s *pb.State) State { return enum[State](*s) }),
		Reason: flows.Reason(m.GetReason()),
		Zone:   zone,
		Sort:   enum[Sort](m.GetSort()),
		Limit:  m.GetLimit(),
	}
	if f.Sort > SortAge {
		return Filter{}, fmt.Errorf("order %d: not known to this agent", m.GetSort())
	}
	if m.GetPrefix() != "" {
		if f.Prefix, err = netip.ParsePrefix(m.GetPrefix()); err != nil {
			return Filter{}, fmt.Errorf("prefix: %w", err)
		}
	}
	return f, nil
}
