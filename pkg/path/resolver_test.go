package path

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
)

func attach(mac flows.MAC) func(*Port) { return func(p *Port) { p.AttachedMAC = mac } }
func tag(vlan uint16) func(*Port)      { return func(p *Port) { p.Tag = vlan } }

func TestResolve(t *testing.T) {
	forward := paths(1, 2, macA, macB)
	tests := []struct {
		name  string
		setup func(*lab)
		zones []flows.Zone
	}{
		{name: "two stations", setup: (*lab).honest},
		{name: "attached MACs", setup: func(l *lab) {
			l.port(1, attach(macA))
			l.port(2, attach(macB))
			l.honest()
		}},
		{name: "access ports of one VLAN", setup: func(l *lab) {
			l.port(1, tag(10))
			l.port(2, tag(10))
			l.honest()
		}},
		{name: "a zone for each port", zones: []flows.Zone{5, 7}, setup: func(l *lab) {
			l.zones[1], l.zones[2] = []flows.Zone{7, 5}, []flows.Zone{5, 7}
			l.honest()
		}},
		{name: "two zones on one way, one on the other", zones: []flows.Zone{5, 7}, setup: func(l *lab) {
			l.zones[1], l.zones[2] = []flows.Zone{7, 5}, []flows.Zone{5}
			l.honest()
		}},
		{name: "other bridge, as by patch ports", setup: func(l *lab) {
			l.port(2, func(p *Port) { p.Bridge = "br1" })
			l.honest()
			l.stations[stationKey{"br0", 0, macB}] = 2
			l.stations[stationKey{"br1", 0, macA}] = 1
		}},
		{name: "answered by a virtual MAC's owner", setup: func(l *lab) {
			l.at(1, macA)
			l.at(2, macB)
			l.packet(1, l.orig, macA, macB)
			l.packet(2, l.orig.Reverse(), macZ, macA)
			l.want = &flows.Paths{{In: 1, Out: 2, Frame: flows.Frame{SrcMAC: macA, DstMAC: macB}}, {In: 2, Out: 1, Frame: flows.Frame{SrcMAC: macZ, DstMAC: macA}}}
		}},
		{name: "the same MAC in another VLAN", setup: func(l *lab) {
			l.port(3, tag(10))
			l.at(3, macA)
			l.packet(3, mustTuple(l.t, "udp,1.1.1.1:1,2.2.2.2:2"), macA, macY)
			l.honest()
		}},
		{name: "the same MAC on another bridge", setup: func(l *lab) {
			l.port(3, func(p *Port) { p.Bridge, p.AttachedMAC = "br1", macA })
			l.packet(3, mustTuple(l.t, "udp,1.1.1.1:1,2.2.2.2:2"), macA, macY)
			l.honest()
		}},
		{name: "two tenants with the same tuple and MACs, told apart by zone", setup: func(l *lab) {
			l.port(3, func(p *Port) { p.Bridge = "br1" })
			l.port(4, func(p *Port) { p.Bridge = "br1" })
			l.at(3, macA)
			l.at(4, macB)
			l.zones[3], l.zones[4] = []flows.Zone{6}, []flows.Zone{6}
			l.packet(3, l.orig, macA, macB)
			l.packet(4, l.orig.Reverse(), macB, macA)
			l.honest()
		}},
		{name: "a station that has moved", setup: func(l *lab) {
			l.packet(3, l.orig, macA, macB)
			l.r.seen.macs.retain(func(flows.PortID) bool { return false }) // a while ago
			l.honest()
		}},
		{name: "beside packets that OVS drops", setup: func(l *lab) {
			l.refuses[3], l.refuses[4] = flows.PathDropped, flows.PathDropped
			l.packet(3, l.orig, macY, macB)
			l.packet(4, l.orig.Reverse(), macZ, macA)
			l.honest()
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t)
			test.setup(l)
			if l.want == nil {
				l.want = &forward
			}
			l.wantPath(5, *l.want, test.zones...)
		})
	}
}

// refusals is the table that TestRefusals and TestRandomOrder share.
var refusals = []struct {
	name  string
	setup func(*lab)
	want  flows.Reason
}{
	{"nothing seen", func(l *lab) {}, flows.PathUnknown},
	{"no reply seen", func(l *lab) { l.at(2, macB); l.packet(1, l.orig, macA, macB) }, flows.PathUnknown},
	{"only replies seen", func(l *lab) { l.at(1, macA); l.packet(2, l.orig.Reverse(), macB, macA) }, flows.PathUnknown},
	{"flooded", func(l *lab) {
		l.packet(1, l.orig, macA, macB)
		l.packet(2, l.orig.Reverse(), macB, macA)
	}, flows.UnsupportedOutputs},
	{"one direction flooded", func(l *lab) {
		l.at(2, macB)
		l.packet(1, l.orig, macA, macB)
		l.packet(2, l.orig.Reverse(), macB, macA)
	}, flows.UnsupportedOutputs},
	{"one direction dropped", func(l *lab) { l.honest(); l.refuses[2] = flows.PathDropped }, flows.PathDropped},
	{"dropped, and no reply", func(l *lab) {
		l.refuses[1] = flows.PathDropped
		l.packet(1, l.orig, macA, macB)
	}, flows.PathDropped},
	{"source elsewhere", func(l *lab) { l.honest(); l.at(3, macA) }, flows.PathUnknown},
	{"destination elsewhere", func(l *lab) { l.honest(); l.at(3, macB) }, flows.PathUnknown},
	{"another attached-mac", func(l *lab) { l.port(1, attach(macZ)); l.honest() }, flows.PathUnknown},
	{"group source", func(l *lab) { l.honestAs(flows.MAC{3}, macB) }, flows.PathUnknown},
	{"group destination", func(l *lab) { l.honestAs(macA, flows.MAC{255, 255, 255, 255, 255, 255}) }, flows.PathUnknown},
	{"no source", func(l *lab) { l.honestAs(flows.MAC{}, macB) }, flows.PathUnknown},
	{"hairpin", func(l *lab) {
		l.refuses[1] = flows.UnsupportedHairpin
		l.packet(1, l.orig, macA, macB)
		l.packet(1, l.orig.Reverse(), macB, macA)
	}, flows.UnsupportedHairpin},
	{"routed", func(l *lab) {
		l.refuses[1], l.refuses[2] = flows.UnsupportedRouted, flows.UnsupportedRouted
		l.packet(1, l.orig, macA, macY)
		l.packet(2, l.orig.Reverse(), macB, macZ)
	}, flows.UnsupportedRouted},
	{"one direction routed", func(l *lab) {
		l.honest()
		l.refuses[1] = flows.UnsupportedRouted
	}, flows.UnsupportedRouted},
	{"routed by a third port", func(l *lab) {
		l.at(1, macA)
		l.at(2, macB)
		l.at(3, macY)
		l.packet(1, l.orig, macA, macY)
		l.packet(3, l.orig, macY, macB)
		l.packet(2, l.orig.Reverse(), macB, macY)
		l.packet(3, l.orig.Reverse(), macY, macA)
	}, flows.PathAmbiguous},
	{"internal port", func(l *lab) { l.honest(); l.port(2, func(p *Port) { p.Type = "internal" }) }, flows.UnsupportedInternal},
	{"towards an internal port, not tapped", func(l *lab) {
		l.port(3, func(p *Port) { p.Type = "internal" })
		l.at(3, macB)
		l.packet(1, l.orig, macA, macB)
	}, flows.UnsupportedInternal},
	{"from a tunnel, not tapped", func(l *lab) {
		l.port(3, func(p *Port) { p.Type = "gre" })
		l.at(3, macA)
		l.packet(2, l.orig.Reverse(), macB, macA)
	}, flows.UnsupportedTunnel},
	{"port off", func(l *lab) { l.honest(); l.port(1, func(p *Port) { p.Optout = true }) }, flows.PortOff},
	{"port down", func(l *lab) { l.honest(); l.port(2, func(p *Port) { p.Up = false }) }, flows.PortDown},
	{"two pairs of ports", func(l *lab) {
		l.honest()
		l.at(3, macY)
		l.at(4, macZ)
		l.packet(3, l.orig, macY, macZ)
		l.packet(4, l.orig.Reverse(), macZ, macY)
	}, flows.PathAmbiguous},
	{"another pair that cannot be offloaded", func(l *lab) {
		l.honest()
		l.port(3, func(p *Port) { p.Bridge, p.Up = "br1", false })
		l.port(4, func(p *Port) { p.Bridge = "br1" })
		l.at(3, macY)
		l.at(4, macZ)
		l.packet(3, l.orig, macY, macZ)
		l.packet(4, l.orig.Reverse(), macZ, macY)
	}, flows.PathAmbiguous},
	{"another pair that is routed", func(l *lab) {
		l.honest()
		l.refuses[3], l.refuses[4] = flows.UnsupportedRouted, flows.UnsupportedRouted
		l.packet(3, l.orig, macY, macX)
		l.packet(4, l.orig.Reverse(), macZ, flows.MAC{2, 9})
	}, flows.PathAmbiguous},
	{"another pair of which OVS cannot say where it goes", func(l *lab) {
		l.honest()
		l.refuses[3], l.refuses[4] = flows.PathUnknown, flows.PathUnknown
		l.packet(3, l.orig, macY, macX)
		l.packet(4, l.orig.Reverse(), macX, macY)
	}, flows.PathAmbiguous},
	{"another zone", func(l *lab) { l.zones[1], l.zones[2] = []flows.Zone{6}, []flows.Zone{7}; l.honest() }, flows.ZoneUnknown},
	{"not tracked", func(l *lab) { l.zones[1], l.zones[2] = nil, nil; l.honest() }, flows.ZoneUnknown},
	{"two tenants with the same tuple in one zone", func(l *lab) {
		l.port(3, func(p *Port) { p.Bridge = "br1" })
		l.port(4, func(p *Port) { p.Bridge = "br1" })
		l.at(3, macA)
		l.at(4, macB)
		l.packet(3, l.orig, macA, macB)
		l.packet(4, l.orig.Reverse(), macB, macA)
		l.honest()
	}, flows.PathAmbiguous},
	{"seen in too many ways", func(l *lab) {
		l.honest()
		for i := range byte(maxSides) {
			l.packet(1+flows.PortID(i%4), l.orig, flows.MAC{2, 1, i}, macB)
		}
	}, flows.PathAmbiguous},
}

func (l *lab) honestAs(a, b flows.MAC) {
	l.at(1, a)
	l.at(2, b)
	l.packet(1, l.orig, a, b)
	l.packet(2, l.orig.Reverse(), b, a)
}

func TestRefusals(t *testing.T) {
	for _, test := range refusals {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t)
			test.setup(l)
			l.wantReason(5, test.want)
		})
	}
}

func TestRefusedRequests(t *testing.T) {
	l := newLab(t)
	l.honest()
	nat := l.request(5)
	nat.Reply.DstPort++
	if _, err := l.r.Resolve(t.Context(), nat, now); reasonOf(err) != flows.ZoneUnknown {
		t.Errorf("translated, and OVS knows nothing of it: %v", err)
	}
	if _, err := l.r.Resolve(t.Context(), Request{}, now); reasonOf(err) != flows.Invalid {
		t.Errorf("no tuple: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	l.away = cancelled.Err()
	if _, err := l.r.Resolve(cancelled, l.request(5), now); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// Evidence grows old, and leaves with its port.
func TestForgetting(t *testing.T) {
	l := newLab(t)
	l.honest()
	l.wantPath(5, paths(1, 2, macA, macB))
	if _, err := l.r.Resolve(t.Context(), l.request(5), now.Add(sightingAge)); err != nil {
		t.Errorf("after a minute: %v", err)
	}
	if _, err := l.r.Resolve(t.Context(), l.request(5), now.Add(sightingAge+1)); reasonOf(err) != flows.PathUnknown {
		t.Errorf("after more than a minute: %v", err)
	}
	old := l.ports[2]
	delete(l.ports, 2)
	l.port(7, func(p *Port) { p.Name, p.Ofport, p.Ifindex = old.Name, old.Ofport, old.Ifindex })
	l.wantReason(5, flows.PathUnknown)
	if n := l.r.seen.Len(); n != 1 {
		t.Errorf("%d sightings are left, want that of port 1", n)
	}
}

// Each state of the table is reached from any other: what a refusal left behind
// must not change the next answer.
func TestRandomOrder(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	l := newLab(t)
	for range 20 * len(refusals) {
		test := refusals[random.IntN(len(refusals))]
		// All ports are deleted, and added as they were.
		fresh := newLab(t)
		l.ports, l.stations, l.zones, l.refuses = fresh.ports, fresh.stations, fresh.zones, fresh.refuses
		l.r.SetPorts(NewPorts(nil))
		l.port(1, func(*Port) {})
		test.setup(l)
		if _, err := l.resolve(5); reasonOf(err) != test.want {
			t.Fatalf("%s: %v, want %s", test.name, err, test.want)
		}
	}
}

// The order in which packets were seen does not matter.
func TestPacketOrder(t *testing.T) {
	type packet struct {
		port     flows.PortID
		reply    bool
		src, dst flows.MAC
	}
	packets := []packet{
		{1, false, macA, macB}, {2, true, macB, macA},
		{3, false, macX, macB}, {3, true, macX, macA}, {3, false, macY, macZ}, {3, true, macZ, macY},
	}
	for range 200 {
		l := newLab(t)
		l.at(1, macA)
		l.at(2, macB)
		l.at(3, macX)
		rand.Shuffle(len(packets), func(i, j int) { packets[i], packets[j] = packets[j], packets[i] })
		for _, p := range packets {
			tuple := l.orig
			if p.reply {
				tuple = tuple.Reverse()
			}
			l.packet(p.port, tuple, p.src, p.dst)
		}
		l.wantPath(5, paths(1, 2, macA, macB))
	}
}
