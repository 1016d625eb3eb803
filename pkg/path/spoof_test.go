package path

import (
	"maps"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/tap"
)

// The attacker x is at port 3, and may be at port 4 too. Whatever it sends, no
// path may enter or leave there; and a and b keep theirs where attached-mac, the
// answers and the FDB can tell them apart.
func TestSpoofing(t *testing.T) {
	other := func(l *lab) flows.Tuple { return mustTuple(l.t, "udp,10.9.9.9:9,10.9.9.8:8") }
	tests := []struct {
		name   string
		attack func(*lab)
		// What comes out without and with attached-mac on all ports; "" is the
		// honest path.
		bare, attached flows.Reason
	}{
		{"tuple of a, own MAC", func(l *lab) {
			l.at(3, macX)
			l.packet(3, l.orig, macX, macB)
		}, "", ""},
		{"tuple of b, own MAC", func(l *lab) {
			l.at(3, macX)
			l.packet(3, l.orig.Reverse(), macX, macA)
		}, "", ""},
		{"both directions from one port", func(l *lab) {
			l.at(3, macX)
			l.at(3, macY)
			l.packet(3, l.orig, macX, macY)
			l.packet(3, l.orig.Reverse(), macY, macX)
		}, "", ""},
		{"many MACs", func(l *lab) {
			for i := range byte(200) {
				l.packet(3, l.orig, flows.MAC{2, 1, i}, macB)
				l.packet(3, l.orig.Reverse(), flows.MAC{2, 1, i}, macA)
			}
		}, "", ""},
		{"tuple and MAC of a, the FDB unmoved", func(l *lab) {
			l.packet(3, l.orig, macA, macB)
		}, flows.PathAmbiguous, ""},
		{"tuple and MAC of a, the FDB moved", func(l *lab) {
			l.packet(3, l.orig, macA, macB)
			l.at(3, macA)
		}, flows.PathAmbiguous, flows.PathUnknown},
		{"tuple and MAC of b, the FDB moved", func(l *lab) {
			l.packet(3, l.orig.Reverse(), macB, macA)
			l.at(3, macB)
		}, flows.PathAmbiguous, flows.PathUnknown},
		{"MAC of a in other packets, the FDB moved", func(l *lab) {
			l.packet(3, other(l), macA, macB)
			l.at(3, macA)
		}, flows.PathUnknown, flows.PathUnknown},
		{"MAC of a in other packets, the FDB unmoved", func(l *lab) {
			l.packet(3, other(l), macA, macB)
		}, flows.PathAmbiguous, ""},
		{"tagged with the MAC of a", func(l *lab) {
			l.tagged(3, l.orig, macA, macB, flows.Tag{Type: flows.TagCustomer})
		}, flows.PathAmbiguous, ""},
		{"two ports that answer each other", func(l *lab) {
			l.at(3, macX)
			l.at(4, macY)
			l.packet(3, l.orig, macX, macY)
			l.packet(4, l.orig.Reverse(), macY, macX)
		}, flows.PathAmbiguous, flows.PathAmbiguous},
		{"two ports that play a and b, the FDB moved", func(l *lab) {
			l.at(3, macA)
			l.at(4, macB)
			l.packet(3, l.orig, macA, macB)
			l.packet(4, l.orig.Reverse(), macB, macA)
		}, flows.PathAmbiguous, flows.PathUnknown},
	}
	for _, test := range tests {
		for _, attached := range []bool{false, true} {
			for _, attackFirst := range []bool{false, true} {
				l := newLab(t)
				want := test.bare
				if attached {
					want = test.attached
					for id, mac := range map[flows.PortID]flows.MAC{1: macA, 2: macB, 3: macX, 4: macY} {
						l.port(id, attach(mac))
					}
				}
				if attackFirst {
					test.attack(l)
					moved := maps.Clone(l.stations)
					l.honest()
					maps.Copy(l.stations, moved)
				} else {
					l.honest()
					test.attack(l)
				}
				got, err := l.resolve(5)
				if reasonOf(err) != want || err == nil && got.Paths != paths(1, 2, macA, macB) {
					t.Errorf("%s (attached-mac %t, attack first %t): %+v, %v; want %q",
						test.name, attached, attackFirst, got.Paths, err, want)
				}
			}
		}
	}
}

// While the honest side is silent, the attacker has no more luck.
func TestSpoofingAlone(t *testing.T) {
	t.Run("a was heard some minutes ago", func(t *testing.T) {
		l := newLab(t)
		l.at(3, macA)
		l.at(2, macB)
		l.r.Sighted(tap.Sighting{Port: 1, Tuple: mustTuple(t, "udp,10.0.0.1:1,10.0.0.9:9"),
			Frame: between(macA, macZ), At: now.Add(-claimAge / 2)})
		l.packet(3, l.orig, macA, macB)
		l.packet(2, l.orig.Reverse(), macB, macA)
		l.wantReason(5, flows.PathAmbiguous)
	})
	t.Run("a is attached elsewhere", func(t *testing.T) {
		l := newLab(t)
		l.port(1, attach(macA))
		l.at(3, macA)
		l.at(2, macB)
		l.packet(3, l.orig, macA, macB)
		l.packet(2, l.orig.Reverse(), macB, macA)
		l.wantReason(5, flows.PathUnknown)
	})
	t.Run("only half of an answer", func(t *testing.T) {
		l := newLab(t)
		l.at(1, macA)
		l.at(3, macX)
		l.at(2, macB)
		l.packet(3, l.orig, macX, macB)
		l.packet(2, l.orig.Reverse(), macB, macA)
		l.wantReason(5, flows.PathUnknown)
	})
}

// A flood from one port pushes out that port's own sightings only.
func TestFlood(t *testing.T) {
	l := newLab(t)
	l.r.seen = NewSightings(1000)
	l.honest()
	tuple := mustTuple(t, "udp,10.9.0.0:1,10.0.0.2:2")
	for i := range 100_000 {
		tuple.SrcPort, tuple.DstPort = uint16(i), uint16(i>>8)
		mac := flows.MAC{2, 7, byte(i >> 16), byte(i >> 8), byte(i)}
		l.packet(3, tuple, mac, macB)
	}
	if n := l.r.seen.Len(); n > 1000 {
		t.Errorf("%d sightings are remembered, 1000 allowed", n)
	}
	l.wantPath(5, paths(1, 2, macA, macB))
}
