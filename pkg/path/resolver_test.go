package path

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/tap"
)

func attach(mac flows.MAC) func(*Port) { return func(p *Port) { p.AttachedMAC = mac } }
func tag(vlan uint16) func(*Port)      { return func(p *Port) { p.Tag = vlan } }
func zone(z flows.Zone) func(*Port)    { return func(p *Port) { p.Zone, p.HasZone = z, true } }

func TestResolve(t *testing.T) {
	forward := paths(1, 2, macA, macB)
	tests := []struct {
		name  string
		setup func(*lab)
		zones []flows.Zone
	}{
		{name: "FDB", setup: (*lab).honest},
		{name: "attached MACs, FDB knows neither", setup: func(l *lab) {
			l.port(1, attach(macA))
			l.port(2, attach(macB))
			l.packet(1, l.orig, macA, macB)
			l.packet(2, l.orig.Reverse(), macB, macA)
		}},
		{name: "one by FDB, one by attached MAC", setup: func(l *lab) {
			l.port(1, attach(macA))
			l.fdb(2, macB)
			l.packet(1, l.orig, macA, macB)
			l.packet(2, l.orig.Reverse(), macB, macA)
		}},
		{name: "access ports of one VLAN", setup: func(l *lab) {
			l.port(1, tag(10))
			l.port(2, tag(10))
			l.honest()
		}},
		{name: "zone per port", zones: []flows.Zone{5, 7}, setup: func(l *lab) {
			l.port(1, zone(7))
			l.port(2, zone(5))
			l.honest()
		}},
		{name: "both ports in the zone", zones: []flows.Zone{5}, setup: func(l *lab) {
			l.port(1, zone(5))
			l.port(2, zone(5))
			l.honest()
		}},
		{name: "the same MAC in another VLAN", setup: func(l *lab) {
			l.port(3, tag(10))
			l.fdb(3, macA)
			l.packet(3, mustTuple(l.t, "udp,1.1.1.1:1,2.2.2.2:2"), macA, macY)
			l.honest()
		}},
		{name: "the same MAC on another bridge", setup: func(l *lab) {
			l.port(3, func(p *Port) { p.Bridge, p.AttachedMAC = "br1", macA })
			l.packet(3, mustTuple(l.t, "udp,1.1.1.1:1,2.2.2.2:2"), macA, macY)
			l.honest()
		}},
		{name: "two tenants with the same tuple, told apart by zone", zones: []flows.Zone{5, 6}, setup: func(l *lab) {
			for id, mac := range map[flows.PortID]flows.MAC{1: macA, 2: macB, 3: macY, 4: macZ} {
				l.port(id, attach(mac))
				l.port(id, zone(flows.Zone(4+id)))
			}
			l.packet(1, l.orig, macA, macB)
			l.packet(2, l.orig.Reverse(), macB, macA)
			l.packet(3, l.orig, macY, macZ)
			l.packet(4, l.orig.Reverse(), macZ, macY)
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t)
			test.setup(l)
			l.wantPath(5, forward, test.zones...)
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
	{"no reply seen", func(l *lab) { l.packet(1, l.orig, macA, macB) }, flows.PathUnknown},
	{"only replies seen", func(l *lab) { l.packet(2, l.orig.Reverse(), macB, macA) }, flows.PathUnknown},
	{"FDB and attached-mac silent", func(l *lab) {
		l.packet(1, l.orig, macA, macB)
		l.packet(2, l.orig.Reverse(), macB, macA)
	}, flows.PathUnknown},
	{"FDB not readable", func(l *lab) { l.honest(); l.fdbErr = errors.New("gone") }, flows.PathUnknown},
	{"source elsewhere in the FDB", func(l *lab) { l.honest(); l.fdb(3, macA) }, flows.PathAmbiguous},
	{"destination elsewhere in the FDB", func(l *lab) { l.honest(); l.fdb(3, macB) }, flows.PathAmbiguous},
	{"attached, but elsewhere in the FDB", func(l *lab) { l.port(1, attach(macA)); l.honest(); l.fdb(3, macA) }, flows.PathAmbiguous},
	{"another attached-mac", func(l *lab) { l.port(1, attach(macZ)); l.honest() }, flows.PathUnknown},
	{"group source", func(l *lab) { l.honestAs(flows.MAC{3}, macB) }, flows.PathUnknown},
	{"group destination", func(l *lab) { l.honestAs(macA, flows.MAC{255, 255, 255, 255, 255, 255}) }, flows.PathUnknown},
	{"no source", func(l *lab) { l.honestAs(flows.MAC{}, macB) }, flows.PathUnknown},
	{"hairpin", func(l *lab) {
		l.fdb(1, macA)
		l.fdb(1, macB)
		l.packet(1, l.orig, macA, macB)
		l.packet(1, l.orig.Reverse(), macB, macA)
	}, flows.UnsupportedHairpin},
	{"routed", func(l *lab) {
		l.packet(1, l.orig, macA, macY)
		l.packet(2, l.orig.Reverse(), macB, macZ)
	}, flows.UnsupportedRouted},
	{"one half routed", func(l *lab) {
		l.packet(1, l.orig, macA, macY)
		l.packet(2, l.orig.Reverse(), macB, macA)
	}, flows.PathUnknown},
	{"routed by a third port", func(l *lab) {
		l.fdb(1, macA)
		l.fdb(2, macB)
		l.fdb(3, macY)
		l.packet(1, l.orig, macA, macY)
		l.packet(3, l.orig, macY, macB)
		l.packet(2, l.orig.Reverse(), macB, macY)
		l.packet(3, l.orig.Reverse(), macY, macA)
	}, flows.PathAmbiguous},
	{"two bridges", func(l *lab) { l.port(2, func(p *Port) { p.Bridge = "br1" }); l.honest() }, flows.UnsupportedBridges},
	{"two VLANs", func(l *lab) { l.port(2, tag(10)); l.honest() }, flows.UnsupportedVLAN},
	{"trunk", func(l *lab) { l.port(2, func(p *Port) { p.Trunk = true }); l.honest() }, flows.UnsupportedVLAN},
	{"tagged packets", func(l *lab) {
		l.fdb(1, macA)
		l.fdb(2, macB)
		l.tagged(1, l.orig, macA, macB, tap.TagOf(10))
		l.packet(2, l.orig.Reverse(), macB, macA)
	}, flows.UnsupportedVLAN},
	{"priority-tagged packets", func(l *lab) {
		l.fdb(1, macA)
		l.fdb(2, macB)
		l.packet(1, l.orig, macA, macB)
		l.tagged(2, l.orig.Reverse(), macB, macA, tap.TagOf(0))
	}, flows.UnsupportedVLAN},
	{"internal port", func(l *lab) { l.honest(); l.port(2, func(p *Port) { p.Type = "internal" }) }, flows.UnsupportedInternal},
	{"towards an internal port, not tapped", func(l *lab) {
		l.port(3, func(p *Port) { p.Type = "internal" })
		l.fdb(3, macB)
		l.packet(1, l.orig, macA, macB)
	}, flows.UnsupportedInternal},
	{"from a tunnel, not tapped", func(l *lab) {
		l.port(3, func(p *Port) { p.Type = "vxlan" })
		l.fdb(3, macA)
		l.packet(2, l.orig.Reverse(), macB, macA)
	}, flows.UnsupportedTunnel},
	{"port off", func(l *lab) { l.honest(); l.port(1, func(p *Port) { p.Optout = true }) }, flows.PortOff},
	{"port down", func(l *lab) { l.honest(); l.port(2, func(p *Port) { p.Up = false }) }, flows.PortDown},
	{"two pairs of ports", func(l *lab) {
		l.honest()
		l.fdb(3, macY)
		l.fdb(4, macZ)
		l.packet(3, l.orig, macY, macZ)
		l.packet(4, l.orig.Reverse(), macZ, macY)
	}, flows.PathAmbiguous},
	{"another pair that cannot be offloaded", func(l *lab) {
		l.honest()
		l.port(3, func(p *Port) { p.Bridge, p.Up = "br1", false })
		l.port(4, func(p *Port) { p.Bridge = "br1" })
		l.packet(3, l.orig, macY, macZ)
		l.packet(4, l.orig.Reverse(), macZ, macY)
	}, flows.PathAmbiguous},
	{"another pair that is routed", func(l *lab) {
		l.honest()
		l.packet(3, l.orig, macY, macX)
		l.packet(4, l.orig.Reverse(), macZ, flows.MAC{2, 9})
	}, flows.PathAmbiguous},
	{"one port, two peers", func(l *lab) {
		l.honest()
		l.fdb(3, macY)
		l.packet(1, l.orig, macA, macY)
		l.packet(3, l.orig.Reverse(), macY, macA)
	}, flows.PathAmbiguous},
	{"ports of other zones", func(l *lab) { l.port(1, zone(6)); l.port(2, zone(7)); l.honest() }, flows.ZoneUnknown},
	{"one port without a zone", func(l *lab) { l.port(1, zone(5)); l.honest() }, flows.ZoneUnknown},
	{"two tenants with the same tuple and the same MACs", func(l *lab) {
		for id, mac := range map[flows.PortID]flows.MAC{1: macA, 2: macB, 3: macA, 4: macB} {
			l.port(id, attach(mac))
			l.port(id, zone(flows.Zone(4+id)))
		}
		for _, id := range []flows.PortID{1, 3} {
			l.packet(id, l.orig, macA, macB)
			l.packet(id+1, l.orig.Reverse(), macB, macA)
		}
	}, flows.PathAmbiguous},
	{"two pairs in one zone", func(l *lab) {
		for id := range flows.PortID(4) {
			l.port(id+1, zone(5))
		}
		l.honest()
		l.fdb(3, macY)
		l.fdb(4, macZ)
		l.packet(3, l.orig, macY, macZ)
		l.packet(4, l.orig.Reverse(), macZ, macY)
	}, flows.PathAmbiguous},
}

func (l *lab) honestAs(a, b flows.MAC) {
	l.fdb(1, a)
	l.fdb(2, b)
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
	if _, err := l.r.Resolve(t.Context(), nat, now); reasonOf(err) != flows.UnsupportedNAT {
		t.Errorf("NAT: %v", err)
	}
	if _, err := l.r.Resolve(t.Context(), Request{}, now); reasonOf(err) != flows.Invalid {
		t.Errorf("no tuple: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
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
		l.ports, l.tables, l.fdbErr = fresh.ports, make(map[string]*Table), nil
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
		l.fdb(1, macA)
		l.fdb(2, macB)
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
