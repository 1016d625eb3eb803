package path

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
	"github.com/flowshunt/flowshunt/pkg/tap"
)

var (
	routerA = flows.MAC{2, 0, 0, 0, 1, 0xa} // a router, as a sees it
	routerB = flows.MAC{2, 0, 0, 0, 1, 0xb}
	vlan10  = flows.Tag{Type: flows.TagCustomer, ID: 10}
	overlay = flows.Tunnel{Src: netip.MustParseAddr("192.0.2.2"), Dst: netip.MustParseAddr("192.0.2.1"), ID: 7}
)

// back is the tunnel of the other direction.
func back(t flows.Tunnel) flows.Tunnel {
	t.Src, t.Dst = t.Dst, t.Src
	return t
}

// tagless makes what enters a trunk at port 1 leave an access port untagged, and back.
func tagless(l *lab) {
	l.changes[1] = func(f *Forwarding) { f.Leaves.Tags = flows.Tags{} }
	l.changes[2] = func(f *Forwarding) { f.Leaves.Tags = flows.Tags{vlan10} }
	l.at(1, macA)
	l.at(2, macB)
	l.tagged(1, l.orig, macA, macB, vlan10)
	l.packet(2, l.orig.Reverse(), macB, macA)
}

// routed puts a router between ports 1 and 2.
func routed(l *lab) {
	l.changes[1] = func(f *Forwarding) { f.Leaves, f.Hops = between(routerB, macB), 1 }
	l.changes[2] = func(f *Forwarding) { f.Leaves, f.Hops = between(routerA, macA), 1 }
	l.at(1, routerB)
	l.at(2, routerA)
	l.packet(1, l.orig, macA, routerA)
	l.packet(2, l.orig.Reverse(), macB, routerB)
}

// remote puts b behind a tunnel at port 2.
func remote(l *lab) {
	l.port(2, func(p *Port) { p.Type = "geneve" })
	l.port(1, func(p *Port) { p.MTU = 1450 })
	l.tunnels = []flows.Tunnel{overlay}
	l.changes[1] = func(f *Forwarding) { f.Leaves.Tunnel = flows.RefTo(back(overlay)) }
	l.changes[2] = func(f *Forwarding) { f.Leaves.Tunnel = flows.Ref[flows.Tunnel]{} }
	l.at(1, macA)
	l.at(2, macB)
	l.packet(1, l.orig, macA, macB)
	l.packet(2, l.orig.Reverse(), macB, macA)
}

func TestPathsThatChangePackets(t *testing.T) {
	ref := func(f flows.Frame, hops uint8) flows.Ref[flows.Change] {
		return flows.RefTo(flows.Change{Frame: f, Hops: hops})
	}
	tagged, inTunnel, outTunnel := between(macA, macB), between(macB, macA), between(macA, macB)
	tagged.Tags[0] = vlan10
	inTunnel.Tunnel, outTunnel.Tunnel = flows.RefTo(overlay), flows.RefTo(back(overlay))
	answered := between(macB, macA)
	answered.Tags[0] = vlan10
	for _, test := range []struct {
		name  string
		setup func(*lab)
		want  flows.Paths
	}{
		{"a tag is taken off, and put on", tagless, flows.Paths{
			{In: 1, Out: 2, Frame: tagged, Change: ref(between(macA, macB), 0)},
			{In: 2, Out: 1, Frame: between(macB, macA), Change: ref(answered, 0)},
		}},
		{"a router", routed, flows.Paths{
			{In: 1, Out: 2, Frame: between(macA, routerA), Change: ref(between(routerB, macB), 1)},
			{In: 2, Out: 1, Frame: between(macB, routerB), Change: ref(between(routerA, macA), 1)},
		}},
		{"a tunnel", remote, flows.Paths{
			{In: 1, Out: 2, Frame: between(macA, macB), Change: ref(outTunnel, 0)},
			{In: 2, Out: 1, Frame: inTunnel, Change: ref(between(macB, macA), 0)},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t)
			test.setup(l)
			l.wantPath(5, test.want)
			answer, err := l.resolve(5)
			if err != nil || answer.Plain {
				t.Fatalf("%+v, %v: is none that every doubt concerns", answer, err)
			}
			v := Validation{Paths: answer.Paths, Tuples: answer.Tuples}
			if got, err := l.r.Validate(t.Context(), v, now); err != nil || got.Paths != answer.Paths {
				t.Errorf("validated: %+v, %v", got, err)
			}
			l.changes[1] = nil // OVS leaves packets as they are now
			if got, err := l.r.Validate(t.Context(), v, now); reasonOf(err) != flows.PathChanged {
				t.Errorf("changed in another way: %+v, %v", got, err)
			}
		})
	}
}

// Where the tunnel was seen with a packet, nobody else is asked.
func TestSeenInTunnel(t *testing.T) {
	l := newLab(t)
	remote(l)
	l.tunnels = nil
	in := between(macB, macA)
	in.Tunnel = flows.RefTo(overlay)
	l.r.Sighted(tap.Sighting{Port: 2, Frame: in, Tuple: l.orig.Reverse(), At: now})
	out := between(macA, macB)
	out.Tunnel = flows.RefTo(back(overlay))
	l.wantPath(5, flows.Paths{
		{In: 1, Out: 2, Frame: between(macA, macB), Change: flows.RefTo(flows.Change{Frame: out})},
		{In: 2, Out: 1, Frame: in, Change: flows.RefTo(flows.Change{Frame: between(macB, macA)})},
	})
}

// Where rules are flows, frames are refused that OVS cannot be asked about as they are.
func TestUnsaid(t *testing.T) {
	provider := flows.Tag{Type: flows.TagProvider, ID: 8}
	withOptions := overlay
	withOptions.Options = "\x01\x02\x80\x00"
	for name, tt := range map[string]struct {
		frame   flows.Frame
		asFlows bool
		want    flows.Reason
	}{
		"one tag":                 {flows.Frame{Tags: flows.Tags{vlan10}}, true, ""},
		"two tags":                {flows.Frame{Tags: flows.Tags{vlan10, vlan10}}, true, flows.UnsupportedVLAN},
		"a provider's":            {flows.Frame{Tags: flows.Tags{provider}}, true, flows.UnsupportedVLAN},
		"a provider's, to tc":     {flows.Frame{Tags: flows.Tags{provider}}, false, ""},
		"a tunnel":                {flows.Frame{Tunnel: flows.RefTo(overlay)}, true, ""},
		"with options":            {flows.Frame{Tunnel: flows.RefTo(withOptions)}, true, flows.UnsupportedTunnel},
		"with options, out of tc": {flows.Frame{Tunnel: flows.RefTo(withOptions)}, false, ""},
	} {
		c := chains{tracer: &word{trace: sends(megaflow.Output{Port: 12})}, aside: 1 << 63, known: make(map[chainKey][]chain)}
		q := Question{In: &Port{Name: "p1", Bridge: "br0", AsFlows: tt.asFlows}, Frame: tt.frame, Tuple: mustTuple(t, "tcp,10.0.0.1:1,10.0.0.2:2")}
		_, _, err := c.compose(t.Context(), q, 11)
		refusal, _ := errors.AsType[*megaflow.Refusal](err)
		if tt.want == "" && refusal != nil && refusal.Detail != "" && strings.Contains(refusal.Detail, "OpenFlow") ||
			tt.want != "" && (refusal == nil || refusal.Reason != tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A translated connection is found by the tuples that its packets have at the ports.
func TestTranslated(t *testing.T) {
	l := newLab(t)
	outside := mustTuple(t, "tcp,203.0.113.9:6000,10.0.0.2:5201")
	state := flows.ZoneState{Zone: 6, Tuple: l.orig, Reply: outside.Reverse()}
	inner := flows.ZoneState{Zone: 5, Tuple: l.orig, Reply: l.orig.Reverse()}
	req := l.request(5)
	req.States = []flows.ZoneState{inner, state}
	stands := []flows.Stand{inner.Stand(), state.Stand()}
	l.changes[1] = func(f *Forwarding) { f.Tuple, f.Stands = outside, stands }
	l.changes[2] = func(f *Forwarding) { f.Tuple, f.Stands = l.orig.Reverse(), stands }
	l.at(1, macA)
	l.at(2, macB)
	l.packet(1, l.orig, macA, macB)
	l.packet(2, outside.Reverse(), macB, macA)
	answer, err := l.r.Resolve(t.Context(), req, now)
	if err != nil || answer.Tuples != [2]flows.Tuple{l.orig, outside.Reverse()} || len(answer.Stands) != 2 {
		t.Fatalf("%+v, %v", answer, err)
	}
	for dir, path := range answer.Paths {
		other := answer.Tuples[flows.Dir(dir).Opposite()]
		if got := path.Addressed(answer.Tuples[dir]); got != other.Reverse() {
			t.Errorf("%v packets leave as %v, answered by %v", flows.Dir(dir), got, other)
		}
	}
	// What leaves is not what is answered: OVS does not translate (any more).
	l.changes[1] = nil
	if got, err := l.r.Resolve(t.Context(), req, now); reasonOf(err) != flows.PathUnknown {
		t.Errorf("without translation: %+v, %v", got, err)
	}
}

func TestTunnelRefusals(t *testing.T) {
	t.Run("no flow tells the tunnel", func(t *testing.T) {
		l := newLab(t)
		remote(l)
		l.tunnels = nil
		l.wantReason(5, flows.PathUnknown)
	})
	t.Run("from two tunnels", func(t *testing.T) {
		l := newLab(t)
		remote(l)
		other := overlay
		other.ID++
		l.tunnels = append(l.tunnels, other)
		l.wantReason(5, flows.PathAmbiguous)
	})
	t.Run("of a type that no rule knows", func(t *testing.T) {
		l := newLab(t)
		remote(l)
		l.port(2, func(p *Port) { p.Type = "gre" })
		l.wantReason(5, flows.UnsupportedTunnel)
	})
}

func TestMTU(t *testing.T) {
	for _, test := range []struct {
		name  string
		mtu   [2]int // of ports 1 and 2, or of the underlay below port 2
		setup func(*lab)
		want  flows.Reason
	}{
		{"the same", [2]int{1500, 1500}, (*lab).honest, ""},
		{"larger on one side", [2]int{9000, 1500}, (*lab).honest, flows.UnsupportedMTU},
		{"larger on the other", [2]int{1500, 9000}, (*lab).honest, flows.UnsupportedMTU},
		{"a router between networks of different length", [2]int{1442, 1500}, routed, ""},
		{"not known", [2]int{1500, 0}, (*lab).honest, flows.UnsupportedMTU},
		{"a tunnel's header fits", [2]int{1450, 1500}, remote, ""},
		{"it does not", [2]int{1451, 1500}, remote, flows.UnsupportedMTU},
		{"a wide underlay", [2]int{1500, 9000}, remote, ""},
	} {
		l := newLab(t)
		test.setup(l)
		l.port(1, func(p *Port) { p.MTU = test.mtu[0] })
		l.port(2, func(p *Port) { p.MTU = test.mtu[1] })
		l.underlay = test.mtu[1]
		if got, err := l.resolve(5); reasonOf(err) != test.want {
			t.Errorf("%s: %+v, %v, want %q", test.name, got, err, test.want)
		}
	}
}

// What comes in at any member of a bond has come in at the bond.
func TestBond(t *testing.T) {
	l := newLab(t)
	for _, id := range []flows.PortID{2, 3} {
		l.port(id, func(p *Port) { p.Bond, p.BondMode = "bond0", "active-backup" })
	}
	l.at(1, macA)
	l.at(3, macB)                             // the active one
	l.packet(2, l.orig.Reverse(), macB, macA) // which it was a moment ago
	l.packet(3, l.orig.Reverse(), macB, macA)
	l.packet(1, l.orig, macA, macB)
	l.wantPath(5, flows.Paths{
		{In: 1, Out: 3, Frame: between(macA, macB)},
		{In: 2, Out: 1, Frame: between(macB, macA)},
	})
	l.port(3, func(p *Port) { p.BondMode = "balance-slb" })
	l.port(2, func(p *Port) { p.BondMode = "balance-slb" })
	l.wantReason(5, flows.UnsupportedBond)
}
