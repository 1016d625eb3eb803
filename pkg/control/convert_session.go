package control

import (
	"github.com/flowshunt/flowshunt/flows"
	pb "github.com/flowshunt/flowshunt/pkg/control/controlpb"
)

func fromSession(s *Session) *pb.Session {
	return &pb.Session{
		Id:             uint64(s.ID),
		Generation:     s.Generation,
		Tuple:          fromTuple(s.Tuple),
		Zones:          convert(s.Zones, func(z *flows.Zone) uint32 { return uint32(*z) }),
		State:          pb.State(s.State),
		Verdict:        pb.Verdict(fromVerdict(s.Verdict)),
		Reason:         text(s.Reason),
		Detail:         text(s.Detail),
		Rate:           s.Rate,
		SlowBytes:      s.SlowBytes,
		OffloadedOrig:  fromCounters(s.Offloaded[flows.Orig]),
		OffloadedReply: fromCounters(s.Offloaded[flows.Reply]),
		SinceNs:        fromTime(s.Since),
		InPort:         text(s.In),
		OutPort:        text(s.Out),
		InHw:           s.InHW,
	}
}

func toSession(m *pb.Session) (Session, error) {
	tuple, err := toTuple(m.GetTuple())
	if err != nil {
		return Session{}, err
	}
	zones, err := toZones(m.GetZones())
	if err != nil {
		return Session{}, err
	}
	return Session{
		ID:         flows.SessionID(m.GetId()),
		Generation: m.GetGeneration(),
		Tuple:      tuple,
		Zones:      zones,
		State:      enum[State](m.GetState()),
		Verdict:    toVerdict(m.GetVerdict()),
		Reason:     flows.Reason(m.GetReason()),
		Detail:     m.GetDetail(),
		Rate:       m.GetRate(),
		SlowBytes:  m.GetSlowBytes(),
		Offloaded:  [2]flows.Counters{toCounters(m.GetOffloadedOrig()), toCounters(m.GetOffloadedReply())},
		Since:      toTime(m.GetSinceNs()),
		In:         m.GetInPort(),
		Out:        m.GetOutPort(),
		InHW:       m.GetInHw(),
	}, nil
}

func toZones(in []uint32) ([]flows.Zone, error) {
	out := make([]flows.Zone, len(in))
	for i, n := range in {
		var err error
		if out[i], err = toZone(n); err != nil {
			return nil, err
		}
	}
	return out, nil
}
