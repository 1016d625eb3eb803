package path

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/tap"
	"github.com/flowshunt/flowshunt/pkg/wire"
)

// inspectedWire is p5 and p6, with an inspector at q5 and q6: what enters p5 goes into q5,
// comes out at q6, and leaves by p6.
var inspectedWire = Wire{
	Ends: [2]string{"p5", "p6"}, Inspectors: [2]string{"q5", "q6"},
	Zones: [2]flows.Zone{65001, 65002}, State: wire.Inspected,
}

// The ports of the inspector, by the end that they belong to.
const (
	end5, end6             = flows.PortID(5), flows.PortID(6)
	inspector5, inspector6 = flows.PortID(15), flows.PortID(16)
)

// newInspectorLab returns a lab whose OVS does what a wire in a state needs.
func newInspectorLab(t testing.TB) *lab {
	l := newLab(t)
	for _, id := range []flows.PortID{end5, end6, inspector5, inspector6} {
		l.port(id, func(p *Port) {
			if id > 10 {
				p.Name = fmt.Sprintf("q%d", id-10)
			}
		})
	}
	l.turnWire(wire.Inspected)
	return l
}

// turnWire changes the state of the wire, and what OVS does.
func (l *lab) turnWire(state wire.State) {
	w := inspectedWire
	w.State = state
	l.r.SetWires([]Wire{w})
	l.inspected = map[flows.PortID]Forwarding{
		end5: {Out: inspector5, Stands: []flows.Stand{{Zone: 65001}}}, inspector5: {Out: end5, Stands: []flows.Stand{{Zone: 65001}}},
		end6: {Out: inspector6, Stands: []flows.Stand{{Zone: 65002}}}, inspector6: {Out: end6, Stands: []flows.Stand{{Zone: 65002}}},
	}
	if state == wire.Open {
		l.inspected = map[flows.PortID]Forwarding{
			end5: {Out: end6, Stands: []flows.Stand{{Zone: 65001}}}, end6: {Out: end5, Stands: []flows.Stand{{Zone: 65001}}},
		}
	}
}

// syn lets a SYN be seen at a port.
func (l *lab) syn(id flows.PortID, tuple flows.Tuple, src, dst flows.MAC, seq uint32) {
	l.r.Sighted(tap.Sighting{Port: id, Tuple: tuple, Frame: between(src, dst), TCPFlags: tap.SYN, Seq: seq, At: now})
}

// shake lets a handshake and data of both directions pass the inspector as they are: a is at
// p5.
func (l *lab) shake() {
	l.handshake()
	l.data(now)
}

// data lets a packet of each direction pass.
func (l *lab) data(at flows.Instant) {
	for _, id := range []flows.PortID{end5, inspector6, end6, inspector5} {
		l.dataAt(id, at)
	}
}

// dataAt lets a packet come in at a port, of the direction that comes from there.
func (l *lab) dataAt(id flows.PortID, at flows.Instant) {
	s := tap.Sighting{Port: id, Tuple: l.orig, Frame: between(macA, macB), At: at}
	if id == end6 || id == inspector5 {
		s.Tuple, s.Frame = l.orig.Reverse(), between(macB, macA)
	}
	l.r.Sighted(s)
}

func (l *lab) handshake() {
	l.syn(end5, l.orig, macA, macB, 100)
	l.syn(inspector6, l.orig, macA, macB, 100)
	l.syn(end6, l.orig.Reverse(), macB, macA, 200)
	l.syn(inspector5, l.orig.Reverse(), macB, macA, 200)
}

func TestInspected(t *testing.T) {
	l := newInspectorLab(t)
	l.shake()
	l.wantPath(65001, paths(end5, end6, macA, macB), 65001, 65002)
	l.wantPath(65002, paths(end5, end6, macA, macB), 65001, 65002)
	if a, err := l.resolve(65001); err != nil || a.Plain {
		t.Errorf("plain %t, %v: what enters the inspector's ports can be another matter", a.Plain, err)
	}
	l.wantReason(5, flows.ZoneUnknown)
	t.Run("UDP", func(t *testing.T) {
		l := newInspectorLab(t)
		l.orig.Proto = flows.UDP
		for _, id := range []flows.PortID{end5, inspector6} {
			l.packet(id, l.orig, macA, macB)
		}
		l.packet(end6, l.orig.Reverse(), macB, macA)
		l.wantReason(65001, flows.InspectorUnseen)
		l.packet(inspector5, l.orig.Reverse(), macB, macA)
		l.wantPath(65001, paths(end5, end6, macA, macB), 65001, 65002)
	})
}

func TestInspectedRefusals(t *testing.T) {
	reply := func(l *lab) flows.Tuple { return l.orig.Reverse() }
	for _, tt := range []struct {
		name   string
		spoil  func(*lab)
		want   flows.Reason
		sample bool // packets may help
	}{
		{"the wire is open", func(l *lab) { l.turnWire(wire.Open) }, flows.InspectorDown, false},
		{"the wire is not ready", func(l *lab) { l.turnWire(wire.Unready) }, flows.InspectorDown, false},
		{"the wire is closed", func(l *lab) { l.port(end5, func(p *Port) { p.Closed = true }) }, flows.InspectorDown, false},
		{"opened, and nobody has said so", func(l *lab) { l.turnWire(wire.Open); l.r.SetWires([]Wire{inspectedWire}) }, flows.InspectorDown, false},
		{"another number", func(l *lab) { l.syn(inspector6, l.orig, macA, macB, 101) }, flows.SeqAdjusted, false},
		{"a new SYN with the same number that is not out yet", func(l *lab) {
			l.r.Sighted(tap.Sighting{Port: end5, Tuple: l.orig, Frame: between(macA, macB), TCPFlags: tap.SYN, Seq: 100, At: now.Add(time.Second)})
		}, flows.InspectorUnseen, false},
		{"another number in the reply", func(l *lab) { l.syn(inspector5, reply(l), macB, macA, 201) }, flows.SeqAdjusted, false},
		{"a new SYN that is not out yet", func(l *lab) {
			l.r.Sighted(tap.Sighting{Port: end5, Tuple: l.orig, Frame: between(macA, macB), TCPFlags: tap.SYN, Seq: 7, At: now.Add(time.Second)})
		}, flows.InspectorUnseen, false},
		{"in another VLAN", func(l *lab) {
			for _, id := range []flows.PortID{end5, inspector6} {
				l.r.Sighted(tap.Sighting{Port: id, Tuple: l.orig, Frame: flows.Frame{SrcMAC: macA, DstMAC: macB, Tags: flows.Tags{{Type: flows.TagCustomer, ID: 7}}}, TCPFlags: tap.SYN, Seq: 7, At: now})
			}
			l.r.seen = NewSightings(0)
			for _, id := range []flows.PortID{end5, inspector6} {
				l.packet(id, l.orig, macA, macB)
			}
			for _, id := range []flows.PortID{end6, inspector5} {
				l.packet(id, reply(l), macB, macA)
			}
		}, flows.InspectorUnseen, false},
		{"closed", func(l *lab) {
			l.r.Sighted(tap.Sighting{Port: end5, Tuple: l.orig, Frame: between(macA, macB), TCPFlags: tap.FIN, At: now})
		}, flows.InspectorUnseen, false},
		{"no handshake", func(l *lab) { l.r.syns = newSyns() }, flows.InspectorUnseen, false},
		{"comes out in another frame", func(l *lab) { l.packet(inspector6, l.orig, macX, macB) }, flows.UnsupportedInspector, false},
		{"replies come out in another frame", func(l *lab) { l.packet(inspector5, reply(l), macB, macX) }, flows.UnsupportedInspector, false},
		{"nothing seen of late", func(l *lab) {
			l.r.seen = NewSightings(0)
			l.packet(end5, l.orig, macA, macB)
			l.packet(end6, reply(l), macB, macA)
		}, flows.InspectorUnseen, true},
		{"only the handshake is out", func(l *lab) { l.r.seen = NewSightings(0); l.handshake() }, flows.InspectorUnseen, true},
		{"nothing is out of late", func(l *lab) { l.r.seen = NewSightings(0); l.data(now.Add(-fresh - 1)) }, flows.InspectorUnseen, true},
		{"only one direction is out of late", func(l *lab) {
			l.r.seen = NewSightings(0)
			l.data(now.Add(-fresh - 1))
			l.dataAt(inspector6, now)
		}, flows.InspectorUnseen, true},
		{"the inspector ends it itself", func(l *lab) {
			l.r.seen = NewSightings(0)
			l.data(now.Add(-fresh - 1))
			for id, tuple := range map[flows.PortID]flows.Tuple{inspector6: l.orig, inspector5: reply(l)} {
				l.r.Sighted(tap.Sighting{Port: id, Tuple: tuple, Frame: between(macA, macB), TCPFlags: tap.RST, At: now})
			}
			l.syn(inspector6, l.orig, macA, macB, 100)
			l.syn(inspector5, reply(l), macB, macA, 200)
		}, flows.InspectorUnseen, true},
		{"the other end pretends that it comes out", func(l *lab) { l.packet(end6, l.orig, macA, macB) }, flows.PathAmbiguous, false},
		{"the near end pretends replies", func(l *lab) { l.packet(end5, reply(l), macB, macA) }, flows.PathAmbiguous, false},
		{"only behind the inspector", func(l *lab) {
			l.r.seen = NewSightings(0)
			l.packet(inspector6, l.orig, macA, macB)
			l.packet(inspector5, reply(l), macB, macA)
		}, flows.PathUnknown, true},
		{"OVS changes it before", func(l *lab) { l.inspectedFrame(end5, between(macX, macB)) }, flows.UnsupportedInspector, false},
		{"OVS changes it behind", func(l *lab) { l.inspectedFrame(inspector6, between(macX, macB)) }, flows.UnsupportedInspector, false},
		{"goes elsewhere from the inspector", func(l *lab) { l.inspected[inspector6] = Forwarding{Out: 1} }, flows.UnsupportedInspector, false},
		{"is dropped behind the inspector", func(l *lab) { l.refuses[inspector6] = flows.PathDropped }, flows.PathDropped, false},
		{"is dropped before it", func(l *lab) { l.refuses[end6] = flows.PathDropped }, flows.PathDropped, false},
		{"goes elsewhere from the end", func(l *lab) { l.inspected[end5] = Forwarding{Out: 1} }, flows.PathUnknown, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newInspectorLab(t)
			l.shake()
			l.wantPath(65001, paths(end5, end6, macA, macB), 65001, 65002)
			tt.spoil(l)
			l.wantReason(65001, tt.want)
			if got := len(l.r.Sampling(now)) > 0; got != tt.sample {
				t.Errorf("sampling: %t", got)
			}
		})
	}
}

// inspectedFrame has OVS change what enters a port of the wire.
func (l *lab) inspectedFrame(id flows.PortID, leaves flows.Frame) {
	goes := l.inspected[id]
	goes.Leaves = leaves
	l.inspected[id] = goes
}

// A connection whose handshake was not seen does not make ports be sampled for ever, although
// no packet of it is remembered either.
func TestHopelessIsNotLookedFor(t *testing.T) {
	l := newInspectorLab(t)
	l.syn(end5, l.orig, macA, macB, 100) // it began while the wire was open
	l.r.seen = NewSightings(0)
	l.wantReason(65002, flows.InspectorUnseen)
	if len(l.r.Sampling(now)) > 0 {
		t.Error("its packets are looked for")
	}
	l.syn(inspector6, l.orig, macA, macB, 100)
	l.wantReason(65002, flows.PathUnknown)
}

// What was offloaded stays while the wire is open, with its entries on both sides of the
// inspector; while it is closed nothing does.
func TestValidateInspected(t *testing.T) {
	l := newInspectorLab(t)
	l.shake()
	answer, err := l.resolve(65001)
	if err != nil {
		t.Fatal(err)
	}
	v := Validation{Tuples: answer.Tuples, Paths: answer.Paths, States: standing(l.orig, 65001, 65002, 7)}
	l.r.seen, l.r.syns = NewSightings(0), newSyns() // rules of an earlier agent need no proof
	for _, state := range []wire.State{wire.Inspected, wire.Open, wire.Unready, wire.Inspected} {
		l.turnWire(state)
		got, err := l.r.Validate(t.Context(), v, now)
		if err != nil || got.Paths != answer.Paths || !slices.Equal(zonesOf(got.Stands), []flows.Zone{65001, 65002}) {
			t.Errorf("%s: %+v, %v", state, got, err)
		}
	}
	l.port(end6, func(p *Port) { p.Closed = true })
	if _, err := l.r.Validate(t.Context(), v, now); reasonOf(err) != flows.InspectorDown {
		t.Errorf("closed: %v", err)
	}
}

// A wire that is opened between the two questions to OVS has not lost its sessions.
func TestWireOpensMeanwhile(t *testing.T) {
	l := newInspectorLab(t)
	l.shake()
	answer, err := l.resolve(65001)
	if err != nil {
		t.Fatal(err)
	}
	l.asked = func(id flows.PortID) {
		if id == inspector6 {
			l.turnWire(wire.Open)
		}
	}
	v := Validation{Tuples: answer.Tuples, Paths: answer.Paths, States: standing(l.orig, 65001, 65002)}
	if got, err := l.r.Validate(t.Context(), v, now); err != nil || got.Paths != answer.Paths {
		t.Errorf("%+v, %v", got, err)
	}
}

// Wires of the database go before those of the flags, and change while paths are found.
func TestSetWires(t *testing.T) {
	l := newWireLab(t)
	l.packet(9, l.orig, macA, macB)
	l.packet(8, l.orig.Reverse(), macB, macA)
	for _, other := range []Wire{{}, inspectedWire} {
		l.r.SetWires([]Wire{other})
		l.wantPath(5, paths(9, 8, macA, macB))
	}
	l.r.SetWires([]Wire{{Ends: [2]string{"p8", "p1"}}})
	l.wantReason(5, flows.PathUnknown)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 1000 {
			l.r.SetWires([]Wire{{}, inspectedWire}[i%2:])
		}
	}()
	for range 1000 {
		if _, err := l.resolve(5); err != nil && !errors.As(err, new(*Refusal)) {
			t.Error(err)
		}
	}
	<-done
	l.wantPath(5, paths(9, 8, macA, macB))
}

// What comes out of the inspector is news, what goes in is none: then it is not proven yet.
func TestComingOutIsNews(t *testing.T) {
	l := newInspectorLab(t)
	l.shake()
	at := now.Add(10 * time.Second)
	ask := func() error {
		_, err := l.r.Resolve(t.Context(), l.request(65001), at)
		return err
	}
	if err := ask(); reasonOf(err) != flows.InspectorUnseen {
		t.Fatal(err)
	}
	l.answered = nil
	for _, step := range []struct {
		port flows.PortID
		news int
	}{{end5, 0}, {end6, 0}, {inspector6, 1}, {inspector6, 1}, {inspector5, 2}} {
		at = at.Add(time.Millisecond)
		if l.dataAt(step.port, at); len(l.answered) != step.news {
			t.Errorf("after a packet at %d: told %d times, want %d", step.port, len(l.answered), step.news)
		}
	}
	if err := ask(); err != nil {
		t.Error(err)
	}
}

// A direction in which nothing is counted need not be seen of late, but for TCP.
func TestSilent(t *testing.T) {
	for _, proto := range []flows.Proto{flows.TCP, flows.UDP} {
		for _, silent := range [][2]bool{{}, {false, true}, {true, false}, {true, true}} {
			l := newInspectorLab(t)
			l.orig.Proto = proto
			if proto == flows.TCP {
				l.handshake()
			}
			l.data(now.Add(-10 * time.Second))
			l.dataAt(inspector6, now)
			req := l.request(65001)
			req.Silent = silent
			_, err := l.r.Resolve(t.Context(), req, now)
			if want := proto == flows.UDP && silent[flows.Reply]; want != (err == nil) {
				t.Errorf("%s, silent %v: %v", proto, silent, err)
			}
		}
	}
}

// Whatever is seen in whatever order and at whatever time, a TCP connection is granted only
// if of both directions the last SYN that entered came out after that with the same number,
// and other packets did of late.
func TestRandomHandshakes(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	granted := 0
	for range 1000 {
		l := newInspectorLab(t)
		m := make(shakes)
		at := now
		for range 4 + random.IntN(20) {
			at = at.Add([]time.Duration{0, time.Millisecond, tapsDiffer / 2, tapsDiffer, tapsDiffer + 1, fresh, sightingAge / 2}[min(random.IntN(12), 6)*random.IntN(2)])
			id := []flows.PortID{end5, inspector6, end6, inspector5}[random.IntN(4)]
			s := tap.Sighting{Port: id, Tuple: l.orig, Frame: between(macA, macB), At: at}
			if id == end6 || id == inspector5 {
				s.Tuple, s.Frame = l.orig.Reverse(), between(macB, macA)
			}
			switch random.IntN(12) {
			case 0:
				s.TCPFlags = tap.FIN
			case 1:
				s.TCPFlags = tap.RST | tap.SYN
			case 2, 3, 4, 5, 6: // data
			default:
				s.TCPFlags, s.Seq = tap.SYN, 1+random.Uint32N(2)
			}
			m.note(&s)
			l.r.Sighted(s)
			_, err := l.r.Resolve(t.Context(), l.request(65001), at)
			if proven := m.proven(end5, inspector6, at) && m.proven(end6, inspector5, at); proven != (err == nil) {
				t.Fatalf("at %v: %+v: %v", at, m, err)
			} else if proven {
				granted++
			}
		}
	}
	if granted == 0 {
		t.Error("nothing was ever granted")
	}
}

// shakes are what was seen at each port: a model of what is to be granted.
type shakes map[flows.PortID]shake

type shake struct {
	seq             uint32 // of the last SYN; 0: none
	syn, data, last flows.Instant
}

func (m shakes) note(s *tap.Sighting) {
	at := m[s.Port]
	switch at.last = s.At; {
	case s.TCPFlags&(tap.FIN|tap.RST) != 0:
		at.seq = 0
	case s.TCPFlags == tap.SYN:
		at.seq, at.syn = s.Seq, s.At
	default:
		at.data = s.At
	}
	m[s.Port] = at
}

func (m shakes) proven(near, far flows.PortID, now flows.Instant) bool {
	in, out := m[near], m[far]
	return in.seq != 0 && in.seq == out.seq && in.syn <= out.syn.Add(tapsDiffer) &&
		now.Sub(in.last) <= sightingAge && out.data > 0 && now.Sub(out.data) <= fresh
}

// Whoever floods a port with handshakes pushes out none of another port.
func TestFloodOfHandshakes(t *testing.T) {
	s := newSyns()
	s.store.max = 16
	add := func(port flows.PortID, n uint16) {
		tuple := flows.Tuple{SrcPort: n, Proto: flows.TCP}
		s.add(&tap.Sighting{Port: port, Tuple: tuple, TCPFlags: tap.SYN, Seq: uint32(n), At: flows.Instant(n)})
	}
	for n := range uint16(4) {
		add(1, n)
	}
	for n := range uint16(100) {
		add(2, n)
	}
	for n := range uint16(4) {
		if _, ok := s.at(flows.Tuple{SrcPort: n, Proto: flows.TCP}, 1); !ok {
			t.Errorf("the handshake of %d is forgotten", n)
		}
	}
	if n := s.store.len(); n != 16 {
		t.Errorf("%d are remembered", n)
	}
}

// What OVS does on both sides of an inspector is told of each direction.
func TestDetourTellsZones(t *testing.T) {
	l := newInspectorLab(t)
	in := l.ports[end6]
	goes, err := l.r.judge.Forward(t.Context(), Question{In: &in, Frame: between(macB, macA), Tuple: l.orig.Reverse(), Dir: flows.Reply}, now)
	if err != nil || !goes.Inspected || goes.Out != end5 || !slices.Equal(zonesOf(goes.Stands), []flows.Zone{65001, 65002}) {
		t.Errorf("%+v, %v", goes, err)
	}
}

// A station behind a wire is seen at the inspector's ports, too, where it is not.
func TestInspectorIsNoRival(t *testing.T) {
	l := newInspectorLab(t)
	l.honest()
	l.packet(inspector6, l.orig, macA, macB)
	l.wantPath(5, paths(1, 2, macA, macB))
	l.packet(end5, l.orig, macA, macZ)
	l.wantReason(5, flows.PathAmbiguous)
}

// The ends of two wires are not those of one; and what was seen at a port that is gone tells
// nothing of one that gets its id.
func TestWiresAndPortsChange(t *testing.T) {
	l := newInspectorLab(t)
	other := Wire{Ends: [2]string{"p1", "p2"}}
	ws := newWires([]Wire{inspectedWire, other})
	a, b, c, d := l.ports[end5], l.ports[end6], l.ports[1], l.ports[2]
	if ws.between(&a, &d) != nil || ws.between(&a, &a) != nil || ws.between(&b, &a) == nil || *ws.between(&c, &d) != other {
		t.Error("ends do not belong to their wires")
	}
	l.shake()
	was := l.ports[inspector6]
	delete(l.ports, inspector6)
	l.port(1, func(*Port) {})
	l.port(inspector6, func(p *Port) { *p = was })
	l.packet(inspector6, l.orig, macA, macB)
	l.wantReason(65001, flows.InspectorUnseen)
}
