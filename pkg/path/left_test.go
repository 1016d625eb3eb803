package path

import (
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/ofproto"
)

func inVLAN(vlan uint16, macs ...flows.MAC) map[ofproto.StationKey]bool {
	stations := make(map[ofproto.StationKey]bool)
	for _, mac := range macs {
		stations[ofproto.StationKey{VLAN: vlan, MAC: mac}] = true
	}
	return stations
}

// moves puts a behind another port, as OVS learns it and tells.
func (l *lab) moves(to flows.PortID) {
	l.at(to, macA)
	l.r.Left([]flows.PortID{1, 2, 3, 4}, inVLAN(0, macA))
}

// A station that has moved has its path as soon as it speaks where it is now, and none on what
// was seen before.
func TestStationMoved(t *testing.T) {
	l := newLab(t)
	l.honest()
	l.wantPath(5, paths(1, 2, macA, macB))
	l.moves(3)
	l.wantReason(5, flows.PathUnknown)
	l.packet(3, l.orig, macA, macB)
	l.wantPath(5, paths(3, 2, macA, macB))

	l.moves(1) // and back
	l.wantReason(5, flows.PathUnknown)
	l.packet(1, l.orig, macA, macB)
	l.wantPath(5, paths(1, 2, macA, macB))
}

// Two ports that send from one MAC are rivals if both did so since it moved; whatever
// else they did.
func TestRivalsAfterAMove(t *testing.T) {
	l := newLab(t)
	l.honest()
	l.moves(3)
	l.packet(3, l.orig, macA, macB)
	l.packet(1, mustTuple(t, "udp,10.9.9.9:9,10.9.9.8:8"), macA, macB)
	l.wantReason(5, flows.PathAmbiguous)
}

// Only what the ports of the bridge have sent from the station is forgotten.
func TestOthersStay(t *testing.T) {
	l := newLab(t)
	l.honest()
	l.r.Left([]flows.PortID{3, 4}, inVLAN(0, macA, macB))
	l.r.Left([]flows.PortID{1, 2}, inVLAN(0, macX))
	l.wantPath(5, paths(1, 2, macA, macB))
}

// A router has one MAC in many VLANs, and the owner of a VLAN may use whichever he likes:
// what is seen in the others stays.
func TestLeftInAnotherVLAN(t *testing.T) {
	l := newLab(t)
	l.port(1, func(p *Port) { p.Tag = 7 })
	l.port(2, func(p *Port) { p.Tag = 7 })
	l.honest()
	everywhere := []flows.PortID{1, 2, 3, 4}
	l.r.Left(everywhere, inVLAN(0, macA, macB))
	l.r.Left(everywhere, inVLAN(8, macA, macB))
	l.wantPath(5, paths(1, 2, macA, macB))
	l.r.Left(everywhere, inVLAN(7, macA))
	l.wantReason(5, flows.PathUnknown)
}
