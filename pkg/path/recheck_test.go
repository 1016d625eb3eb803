package path

import (
	"context"
	"errors"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
)

func TestRecheck(t *testing.T) {
	tests := []struct {
		name   string
		change func(*lab)
		want   flows.Reason
	}{
		{"nothing", func(*lab) {}, ""},
		{"aged out of the FDB", func(l *lab) { l.tables = nil }, ""},
		{"moved in the FDB", func(l *lab) { l.fdb(3, macB) }, flows.PathChanged},
		{"FDB not readable", func(l *lab) { l.fdbErr = errors.New("gone") }, flows.PathUnknown},
		{"attached-mac set", func(l *lab) { l.port(1, attach(macA)) }, ""},
		{"attached-mac changed", func(l *lab) { l.port(1, attach(macZ)) }, flows.PathChanged},
		{"attached elsewhere", func(l *lab) { l.port(3, attach(macA)) }, flows.PathChanged},
		{"tag set", func(l *lab) { l.port(1, tag(10)) }, flows.PathChanged},
		{"trunk now", func(l *lab) { l.port(2, func(p *Port) { p.Trunk = true }) }, flows.PathChanged},
		{"port down", func(l *lab) { l.port(2, func(p *Port) { p.Up = false }) }, flows.PortDown},
		{"policing", func(l *lab) { l.port(2, func(p *Port) { p.QoS = true }) }, flows.PortQoS},
		{"port gone", func(l *lab) { delete(l.ports, 2); l.port(1, func(*Port) {}) }, flows.PortGone},
	}
	for _, test := range tests {
		l := newLab(t)
		l.honest()
		answer, err := l.resolve(5)
		if err != nil {
			t.Fatal(err)
		}
		test.change(l)
		var got flows.Reason
		refusal := l.r.Recheck(context.Background(), answer.Paths, now)
		if refusal != nil {
			got = refusal.Reason
		}
		if got != test.want {
			t.Errorf("%s: %v, want %q", test.name, refusal, test.want)
		}
	}
}

func TestRecheckWire(t *testing.T) {
	l := newWireLab(t)
	p := paths(8, 9, macA, macB)
	if refusal := l.r.Recheck(t.Context(), p, now); refusal != nil {
		t.Error(refusal)
	}
	l.port(9, func(p *Port) { p.Up = false })
	if refusal := l.r.Recheck(t.Context(), p, now); refusal == nil || refusal.Reason != flows.PortDown {
		t.Error(refusal)
	}
}
