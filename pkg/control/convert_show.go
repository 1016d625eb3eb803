package control

import (
	"time"

	"github.com/flowshunt/flowshunt/flows"
	pb "github.com/flowshunt/flowshunt/pkg/control/controlpb"
)

func fromStatus(s *Status) *pb.ShowResponse {
	return &pb.ShowResponse{
		Version:       text(s.Version),
		Mode:          pb.Mode(s.Mode),
		ObserveReason: text(s.ObserveReason),
		ObserveDetail: text(s.ObserveDetail),
		NowNs:         fromTime(s.Now),
		UptimeNs:      int64(s.Uptime),
		Ready:         s.Ready,
		Components:    convert(s.Components, fromComponent),
		Ports:         convert(s.Ports, fromPort),
		Budgets:       convert(s.Budgets, fromBudget),
		Tables:        convert(s.Tables, fromTable),
		LastDump:      fromDump(s.LastDump),
		Wires:         convert(s.Wires, fromWire),
	}
}

func toStatus(m *pb.ShowResponse) Status {
	return Status{
		Version:       m.GetVersion(),
		Mode:          enum[Mode](m.GetMode()),
		ObserveReason: flows.Reason(m.GetObserveReason()),
		ObserveDetail: m.GetObserveDetail(),
		Now:           toTime(m.GetNowNs()),
		Uptime:        time.Duration(m.GetUptimeNs()),
		Ready:         m.GetReady(),
		Components:    convert(m.GetComponents(), toComponent),
		Ports:         convert(m.GetPorts(), toPort),
		Budgets:       convert(m.GetBudgets(), toBudget),
		Tables:        convert(m.GetTables(), toTable),
		LastDump:      toDump(m.GetLastDump()),
		Wires:         convert(m.GetWires(), toWire),
	}
}

func fromComponent(c *Component) *pb.Component {
	return &pb.Component{
		Name: text(c.Name), Health: pb.Health(c.Health), SinceNs: fromTime(c.Since),
		LastError: text(c.LastError), LastErrorAtNs: fromTime(c.LastErrorAt),
	}
}

func toComponent(m **pb.Component) Component {
	return Component{
		Name: (*m).GetName(), Health: enum[Health]((*m).GetHealth()), Since: toTime((*m).GetSinceNs()),
		LastError: (*m).GetLastError(), LastErrorAt: toTime((*m).GetLastErrorAtNs()),
	}
}

func fromPort(p *Port) *pb.Port {
	return &pb.Port{
		Name: text(p.Name), Bridge: text(p.Bridge), Ifindex: p.Ifindex,
		Usable: p.Usable, Reason: text(p.Reason), Detail: text(p.Detail),
		Sessions: p.Sessions, Candidates: p.Candidates, Eswitch: text(p.Eswitch), Function: text(p.Function),
		Device: text(p.Device), VfDevice: text(p.VFDevice), HwTcOffload: text(p.HWTCOffload),
	}
}

func toPort(m **pb.Port) Port {
	return Port{
		Name: (*m).GetName(), Bridge: (*m).GetBridge(), Ifindex: (*m).GetIfindex(),
		Usable: (*m).GetUsable(), Reason: flows.Reason((*m).GetReason()), Detail: (*m).GetDetail(),
		Sessions: (*m).GetSessions(), Candidates: (*m).GetCandidates(),
		Eswitch: flows.EswitchID((*m).GetEswitch()), Function: (*m).GetFunction(),
		Device: (*m).GetDevice(), VFDevice: (*m).GetVfDevice(), HWTCOffload: (*m).GetHwTcOffload(),
	}
}

func fromWire(w *Wire) *pb.Wire {
	return &pb.Wire{
		Name: text(w.Name), Port0: text(w.Ports[0]), Port1: text(w.Ports[1]), Inspector0: text(w.Inspectors[0]), Inspector1: text(w.Inspectors[1]),
		FailOpen: w.FailOpen, State: text(w.State), SinceNs: fromTime(w.Since), Bridge: text(w.Bridge),
		Zone0: uint32(w.Zones[0]), Zone1: uint32(w.Zones[1]), Detail: text(w.Detail), Problem: text(w.Problem),
	}
}

func toWire(m **pb.Wire) Wire {
	w := *m
	return Wire{
		Name: w.GetName(), Ports: [2]string{w.GetPort0(), w.GetPort1()}, Inspectors: [2]string{w.GetInspector0(), w.GetInspector1()},
		FailOpen: w.GetFailOpen(), State: w.GetState(), Since: toTime(w.GetSinceNs()), Bridge: w.GetBridge(),
		Zones: [2]uint16{uint16(w.GetZone0()), uint16(w.GetZone1())}, Detail: w.GetDetail(), Problem: w.GetProblem(),
	}
}

func fromBudget(b *Budget) *pb.Budget {
	return &pb.Budget{Name: text(b.Name), Unit: text(b.Unit), Used: b.Used, Limit: b.Limit}
}

func toBudget(m **pb.Budget) Budget {
	return Budget{Name: (*m).GetName(), Unit: (*m).GetUnit(), Used: (*m).GetUsed(), Limit: (*m).GetLimit()}
}

func fromTable(t *Table) *pb.Table {
	return &pb.Table{
		Eswitch: text(t.Eswitch), Rules: t.Rules, Believed: t.Believed, LearnedAtNs: fromTime(t.LearnedAt),
		Window: t.Window, Installing: t.Installing, PerSecond: t.PerSecond, Waiting: t.Waiting, Refused: t.Refused,
		Shut: convert(t.Shut, func(s *string) string { return text(*s) }),
	}
}

func toTable(m **pb.Table) Table {
	return Table{
		Eswitch: flows.EswitchID((*m).GetEswitch()), Rules: (*m).GetRules(), Believed: (*m).GetBelieved(),
		LearnedAt: toTime((*m).GetLearnedAtNs()), Window: (*m).GetWindow(), Installing: (*m).GetInstalling(),
		PerSecond: (*m).GetPerSecond(), Waiting: (*m).GetWaiting(), Refused: (*m).GetRefused(), Shut: (*m).GetShut(),
	}
}

func fromDump(d Dump) *pb.Dump {
	if d == (Dump{}) {
		return nil
	}
	return &pb.Dump{AtNs: fromTime(d.At), TookNs: int64(d.Took), Entries: d.Entries}
}

func toDump(m *pb.Dump) Dump {
	return Dump{At: toTime(m.GetAtNs()), Took: time.Duration(m.GetTookNs()), Entries: m.GetEntries()}
}
