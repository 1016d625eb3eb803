package agent

import (
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/path"
)

func TestIdentities(t *testing.T) {
	home := path.Port{Name: "p0", Bridge: "br0", Ofport: 1, Ifindex: 7, Tag: 10, Up: true}
	change := func(f func(*path.Port)) path.Port {
		p := home
		f(&p)
		return p
	}
	for _, tt := range []struct {
		name string
		row  flows.PortID
		life uint64
		port path.Port
		same bool
	}{
		{"nothing", 1, 1, home, true},
		{"carrier", 1, 1, change(func(p *path.Port) { p.Up = false }), true},
		{"policing", 1, 1, change(func(p *path.Port) { p.QoS = true }), true},
		{"mirror", 1, 1, change(func(p *path.Port) { p.Mirrored = true }), true},
		{"hw-tc-offload", 1, 1, change(func(p *path.Port) { p.NotInHW = true }), true},
		{"wire closed", 1, 1, change(func(p *path.Port) { p.Closed = true }), true},
		{"opt-out", 1, 1, change(func(p *path.Port) { p.Optout = true }), true},
		{"opt-in", 1, 1, change(func(p *path.Port) { p.Chosen = true }), true},
		{"row", 2, 1, home, false},
		{"device with the same ifindex", 1, 2, home, false},
		{"VLAN", 1, 1, change(func(p *path.Port) { p.Tag = 20 }), false},
		{"bond", 1, 1, change(func(p *path.Port) { p.Bond = "bond0" }), false},
		{"bridge", 1, 1, change(func(p *path.Port) { p.Bridge = "br1" }), false},
		{"OpenFlow port", 1, 1, change(func(p *path.Port) { p.Ofport = 2 }), false},
		{"attached MAC", 1, 1, change(func(p *path.Port) { p.AttachedMAC = flows.MAC{2} }), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var ids identities
			look := func(row flows.PortID, life uint64, p path.Port) flows.PortID {
				ids.begin()
				defer ids.end()
				return ids.of(row, life, p, nil)
			}
			first := look(1, 1, home)
			if second := look(tt.row, tt.life, tt.port); (second == first) != tt.same {
				t.Errorf("id %d became %d", first, second)
			}
			// Back again is not the same port if it was another one meanwhile.
			if third := look(1, 1, home); (third == first) != tt.same {
				t.Errorf("back again: id %d became %d", first, third)
			}
		})
	}
}
