package control

import (
	"github.com/flowshunt/flowshunt/flows"
	pb "github.com/flowshunt/flowshunt/pkg/control/controlpb"
)

func fromQuestion(q *Question) *pb.WhyRequest {
	return &pb.WhyRequest{Tuple: fromTuple(q.Tuple), Zone: fromZonePtr(q.Zone)}
}

func toQuestion(m *pb.WhyRequest) (Question, error) {
	tuple, err := toTuple(m.GetTuple())
	if err != nil {
		return Question{}, err
	}
	zone, err := toZonePtr(m.Zone)
	return Question{Tuple: tuple, Zone: zone}, err
}

func fromExplanation(e *Explanation) *pb.WhyResponse {
	return &pb.WhyResponse{
		Checks:  convert(e.Checks, fromCheck),
		Entries: convert(e.Entries, fromEntry),
		Reason:  text(e.Reason),
		Detail:  text(e.Detail),
	}
}

func toExplanation(m *pb.WhyResponse) (Explanation, error) {
	e := Explanation{
		Checks: convert(m.GetChecks(), toCheck),
		Reason: flows.Reason(m.GetReason()),
		Detail: m.GetDetail(),
	}
	for _, in := range m.GetEntries() {
		entry, err := toEntry(in)
		if err != nil {
			return Explanation{}, err
		}
		e.Entries = append(e.Entries, entry)
	}
	return e, nil
}

func fromEntry(e *Entry) *pb.Entry {
	return &pb.Entry{
		Id:        e.Key.ID,
		Zone:      uint32(e.Key.Zone),
		Tuple:     fromTuple(e.Key.Tuple),
		Reply:     e.Dir == flows.Reply,
		Followed:  e.Followed,
		SessionId: uint64(e.Session),
		State:     pb.State(e.State),
		Checks:    convert(e.Checks, fromCheck),
		Verdict:   pb.Verdict(fromVerdict(e.Verdict)),
		Reason:    text(e.Reason),
		Detail:    text(e.Detail),
	}
}

func toEntry(m *pb.Entry) (Entry, error) {
	tuple, err := toTuple(m.GetTuple())
	if err != nil {
		return Entry{}, err
	}
	zone, err := toZone(m.GetZone())
	if err != nil {
		return Entry{}, err
	}
	e := Entry{
		Key:      flows.EntryKey{ID: m.GetId(), Zone: zone, Tuple: tuple},
		Followed: m.GetFollowed(),
		Session:  flows.SessionID(m.GetSessionId()),
		State:    enum[State](m.GetState()),
		Checks:   convert(m.GetChecks(), toCheck),
		Verdict:  toVerdict(m.GetVerdict()),
		Reason:   flows.Reason(m.GetReason()),
		Detail:   m.GetDetail(),
	}
	if m.GetReply() {
		e.Dir = flows.Reply
	}
	return e, nil
}

func fromCheck(c *Check) *pb.Check {
	return &pb.Check{Name: text(c.Name), Result: pb.Result(c.Result), Detail: text(c.Detail)}
}

func toCheck(m **pb.Check) Check {
	return Check{Name: (*m).GetName(), Result: enum[Result]((*m).GetResult()), Detail: (*m).GetDetail()}
}
