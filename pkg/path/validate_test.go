package path

import (
	"errors"
	"slices"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
)

func TestValidate(t *testing.T) {
	away := errors.New("no OVS")
	tests := []struct {
		name   string
		change func(*lab)
		want   flows.Reason
		err    error
	}{
		{name: "nothing", change: func(*lab) {}},
		{name: "station moved", change: func(l *lab) { l.at(3, macB) }, want: flows.PathChanged},
		{name: "station forgotten", change: func(l *lab) { clear(l.stations) }, want: flows.UnsupportedOutputs},
		{name: "dropped", change: func(l *lab) { l.refuses[2] = flows.PathDropped }, want: flows.PathDropped},
		{name: "OVS away", change: func(l *lab) { l.away = away }, err: away},
		{name: "attached-mac set", change: func(l *lab) { l.port(1, attach(macA)) }},
		{name: "attached-mac changed", change: func(l *lab) { l.port(1, attach(macZ)) }, want: flows.PathChanged},
		{name: "attached elsewhere", change: func(l *lab) { l.port(3, attach(macA)) }, want: flows.PathChanged},
		{name: "port down", change: func(l *lab) { l.port(2, func(p *Port) { p.Up = false }) }, want: flows.PortDown},
		{name: "policing", change: func(l *lab) { l.port(2, func(p *Port) { p.QoS = true }) }, want: flows.PortQoS},
		{name: "port gone", change: func(l *lab) { delete(l.ports, 2); l.port(1, func(*Port) {}) }, want: flows.PortGone},
	}
	for _, test := range tests {
		l := newLab(t)
		l.honest()
		answer, err := l.resolve(5)
		if err != nil {
			t.Fatal(err)
		}
		l.r.seen = NewSightings(0) // it needs no packets
		test.change(l)
		got, err := l.r.Validate(t.Context(), Validation{Tuples: answer.Tuples, Paths: answer.Paths}, now)
		if reasonOf(err) != test.want || test.err != nil && !errors.Is(err, test.err) || err == nil && got.Paths != answer.Paths {
			t.Errorf("%s: %+v, %v, want %q", test.name, got, err, test.want)
		}
	}
}

func TestValidateTellsZones(t *testing.T) {
	l := newLab(t)
	l.honest()
	answer, err := l.resolve(5)
	if err != nil {
		t.Fatal(err)
	}
	l.zones[1] = []flows.Zone{8, 5}
	got, err := l.r.Validate(t.Context(), Validation{Tuples: answer.Tuples, Paths: answer.Paths}, now)
	if err != nil || !slices.Equal(zonesOf(got.Stands), []flows.Zone{5, 8}) || !got.Plain {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestValidateWire(t *testing.T) {
	l := newWireLab(t)
	v := Validation{Tuples: [2]flows.Tuple{l.orig, l.orig.Reverse()}, Paths: paths(8, 9, macA, macB)}
	if _, err := l.r.Validate(t.Context(), v, now); err != nil {
		t.Error(err)
	}
	v.Paths[0].In, v.Paths[1].Out = 2, 2
	if _, err := l.r.Validate(t.Context(), v, now); reasonOf(err) != flows.PathChanged {
		t.Errorf("from elsewhere onto a wire: %v", err)
	}
	v.Paths = paths(8, 9, macA, macB)
	l.port(9, func(p *Port) { p.Up = false })
	if _, err := l.r.Validate(t.Context(), v, now); reasonOf(err) != flows.PortDown {
		t.Errorf("an end is down: %v", err)
	}
}
