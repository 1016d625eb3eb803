package control

import pb "github.com/flowshunt/flowshunt/pkg/control/controlpb"

func fromStat(s *Stat) *pb.Stat {
	m := &pb.Stat{Name: text(s.Name), Value: s.Value}
	if len(s.Labels) > 0 {
		m.Labels = make(map[string]string, len(s.Labels))
	}
	for name, value := range s.Labels {
		m.Labels[text(name)] = text(value)
	}
	return m
}

func toStat(m **pb.Stat) Stat {
	return Stat{Name: (*m).GetName(), Labels: (*m).GetLabels(), Value: (*m).GetValue()}
}
