package agent

import (
	"maps"
	"slices"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/path"
	"github.com/flowshunt/flowshunt/pkg/wire"
)

var inspected = wire.Spec{Name: "w0", Ports: [2]string{"p0", "p1"}, Inspectors: [2]string{"fw0", "fw1"}}

func TestShutEnds(t *testing.T) {
	through, open := inspected, inspected
	through.Inspectors, open.FailOpen = [2]string{}, true
	down := func(port string) bool { return port == "fw1" }
	for _, tt := range []struct {
		name string
		is   wire.Status
		down func(string) bool
		want bool
	}{
		{"inspected", wire.Status{Spec: inspected, State: wire.Inspected}, never, false},
		{"closed", wire.Status{Spec: inspected, State: wire.Closed}, never, true},
		{"unready", wire.Status{Spec: inspected}, never, true},
		{"unready without inspector", wire.Status{Spec: through}, never, false},
		{"unready, fails open", wire.Status{Spec: open}, never, false},
		{"open", wire.Status{Spec: open, State: wire.Open}, never, false},
		{"no link", wire.Status{Spec: inspected, State: wire.Inspected}, down, true},
		{"no link, fails open", wire.Status{Spec: open, State: wire.Inspected}, down, false},
		{"no link of nobody's", wire.Status{Spec: through, State: wire.Through}, down, false},
	} {
		got := slices.Sorted(maps.Keys(shutEnds([]wire.Status{tt.is}, tt.down)))
		if want := []string{"p0", "p1"}; slices.Equal(got, want) != tt.want || len(got) != 0 && !tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// TestSetWires: the engine is told at once, and of an inspector that is another too.
func TestSetWires(t *testing.T) {
	l := newLoop(newClock(), nil, nil)
	p := &ports{paths: path.NewResolver(path.Config{}), loop: l, again: make(chan struct{}, 1)}
	table := &portTable{}
	for i, name := range []string{"p0", "p1", "fw0", "fw1", "x"} {
		table.list = append(table.list, portStatus{Port: path.Port{ID: flows.PortID(i + 1), Name: name, Ifindex: int32(i + 10)}})
	}
	p.now.Store(table)
	refused := func() (ids []flows.PortID) {
		for _, m := range l.inbox.take() {
			for _, s := range m.event.(engine.PortsChanged).Ports {
				if s.Reason == flows.InspectorDown {
					ids = append(ids, s.ID)
				}
			}
		}
		return ids
	}
	other := inspected
	other.Inspectors = [2]string{"gw0", "gw1"}
	for _, tt := range []struct {
		name string
		list []wire.Status
		want []flows.PortID
	}{
		{"a wire", []wire.Status{{Spec: inspected, State: wire.Inspected}}, nil},
		{"closed", []wire.Status{{Spec: inspected, State: wire.Closed}}, []flows.PortID{1, 2}},
		{"back", []wire.Status{{Spec: inspected, State: wire.Inspected}}, nil},
		{"another inspector", []wire.Status{{Spec: other, State: wire.Inspected}}, []flows.PortID{1, 2}},
		{"unready", []wire.Status{{Spec: other}}, []flows.PortID{1, 2}},
		{"none", nil, nil},
	} {
		p.setWires(tt.list)
		if got := refused(); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
		if _, _, ok := p.places(1); ok != (tt.want == nil) && tt.want != nil {
			t.Errorf("%s: rules are sent to a port that is shut", tt.name)
		}
		p.now.Store(table) // as the next update does
	}
}
