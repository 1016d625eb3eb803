package engine

import (
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// What waits for its turn in an eswitch whose ports become another's gets in there.
func TestPortsMove(t *testing.T) {
	a, b := &nic{id: "a", perRule: 50 * time.Millisecond}, &nic{id: "b"}
	l := newLab(t, DefaultConfig(), a, b)
	l.allPortsOf("a")
	l.add(l.zipf(50, 2e8, 0.7)...)
	for l.g.Used()[Relaxing] == 0 {
		l.run(labTurn)
	}
	l.allPortsOf("b")
	l.run(20 * time.Second)
	if n := len(a.rules) + len(b.rules); n != 50 {
		t.Errorf("promise 7: %d of 50 sessions are in, %v", n, l.g.Used())
	}
	l.allPortsOf("b")
	l.settle()
	if tables := l.g.Tables(); len(tables) != 1 || tables[0].Rules != 100 {
		t.Errorf("promise 7: %+v", tables)
	}
}

// allPortsOf gives all ports to one eswitch.
func (l *lab) allPortsOf(id flows.EswitchID) {
	var ports PortsChanged
	for i := range 2 * len(l.nics) {
		ports.Ports = append(ports.Ports, PortState{ID: flows.PortID(i + 1), Eswitch: id})
	}
	l.event = append(l.event, ports)
}
