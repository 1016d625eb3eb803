package path

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/tap"
)

// The stations of the tests: a and b talk, x attacks, y and z are others.
var (
	macA = flows.MAC{2, 0, 0, 0, 0, 0xa}
	macB = flows.MAC{2, 0, 0, 0, 0, 0xb}
	macX = flows.MAC{2, 0, 0, 0, 0, 0xc}
	macY = flows.MAC{2, 0, 0, 0, 0, 0xd}
	macZ = flows.MAC{2, 0, 0, 0, 0, 0xe}
)

const now = flows.Instant(time.Hour)

func mustTuple(t testing.TB, s string) flows.Tuple {
	t.Helper()
	tuple, err := flows.ParseTuple(s)
	if err != nil {
		t.Fatal(err)
	}
	return tuple
}

func between(src, dst flows.MAC) flows.Frame { return flows.Frame{SrcMAC: src, DstMAC: dst} }

// standing returns the states of a connection that zones do not translate. It is that of a
// packet with the tuple, in either direction.
func standing(tuple flows.Tuple, zones ...flows.Zone) (states []flows.ZoneState) {
	for _, zone := range zones {
		states = append(states, flows.ZoneState{Zone: zone, Tuple: tuple, Reply: tuple.Reverse()})
	}
	return states
}

// lab is a resolver with four usable ports 1 to 4 (p1 to p4) on br0, in front of a
// switch that forwards by a table of MACs that tests write, and tracks in zone 5.
type lab struct {
	t        testing.TB
	r        *Resolver
	ports    map[flows.PortID]Port
	stations map[stationKey]flows.PortID
	zones    map[flows.PortID][]flows.Zone // of what enters at a port; missing: 5
	refuses  map[flows.PortID]flows.Reason // whatever enters at a port
	changes  map[flows.PortID]func(*Forwarding)
	tunnels  []flows.Tunnel
	underlay int   // MTU
	away     error // the switch does not answer
	orig     flows.Tuple
	answered []flows.Tuple // calls of Found
	want     *flows.Paths  // of a test
	wire     bool          // p8 and p9 are patched to each other
	// inspected says what becomes of what enters the ports of a wire with an inspector; asked,
	// if not nil, is called before that. Of stands it says the zone.
	inspected map[flows.PortID]Forwarding
	asked     func(flows.PortID)
}

// Forward implements Forwarder.
func (l *lab) Forward(_ context.Context, q Question, _ flows.Instant) (Forwarding, error) {
	if l.away != nil {
		return Forwarding{}, l.away
	}
	if reason := l.refuses[q.In.ID]; reason != "" {
		return Forwarding{}, refuse(reason, "what enters %s", q.In.Name)
	}
	goes := Forwarding{Leaves: q.Frame, Tuple: q.Tuple, Underlay: l.underlay}
	if l.wire && q.In.ID >= 8 {
		goes.Out, goes.Stands = 17-q.In.ID, l.stands(q, 5)
		return goes, nil
	}
	if l.asked != nil {
		l.asked(q.In.ID)
	}
	if through, ok := l.inspected[q.In.ID]; ok {
		if goes.Out, goes.Plain = through.Out, true; through.Leaves != (flows.Frame{}) {
			goes.Leaves = through.Leaves
		}
		for _, at := range through.Stands {
			goes.Stands = append(goes.Stands, l.stands(q, at.Zone)...)
		}
		return goes, nil
	}
	out, ok := l.stations[stationKey{q.In.Bridge, q.In.Tag, q.DstMAC}]
	switch {
	case !ok:
		return Forwarding{}, refuse(flows.UnsupportedOutputs, "flooded")
	case out == q.In.ID:
		return Forwarding{}, refuse(flows.PathDropped, "no way back")
	}
	zones, told := l.zones[q.In.ID]
	if !told {
		zones = []flows.Zone{5}
	}
	goes.Out, goes.Stands, goes.Plain = out, l.stands(q, zones...), true
	if change := l.changes[q.In.ID]; change != nil {
		change(&goes)
	}
	return goes, nil
}

// Tunnels implements Forwarder.
func (l *lab) Tunnels(context.Context, Question, flows.Instant) ([]flows.Tunnel, error) {
	return l.tunnels, l.away
}

// stands returns where a connection without translation stands in zones.
func (l *lab) stands(q Question, zones ...flows.Zone) (stands []flows.Stand) {
	orig := q.Tuple
	if q.Dir == flows.Reply {
		orig = orig.Reverse()
	}
	for _, zone := range zones {
		stands = append(stands, flows.Stand{Zone: zone, Tuple: orig, Reply: orig.Reverse()})
	}
	return stands
}

func newLab(t testing.TB) *lab {
	t.Helper()
	l := &lab{t: t, underlay: 1500, ports: make(map[flows.PortID]Port), stations: make(map[stationKey]flows.PortID),
		zones: make(map[flows.PortID][]flows.Zone), refuses: make(map[flows.PortID]flows.Reason), changes: make(map[flows.PortID]func(*Forwarding)),
		orig: mustTuple(t, "tcp,10.0.0.1:40000,10.0.0.2:5201")}
	selected, err := ParseSelection("p*")
	if err != nil {
		t.Fatal(err)
	}
	l.r = NewResolver(Config{Judge: l, Selected: selected, Wires: []Wire{{Ends: [2]string{"p8", "p9"}}},
		Found: func(o flows.Tuple) { l.answered = append(l.answered, o) }})
	for id := range flows.PortID(4) {
		l.port(id+1, func(*Port) {})
	}
	return l
}

// port adds a port or changes one.
func (l *lab) port(id flows.PortID, change func(*Port)) {
	p, ok := l.ports[id]
	if !ok {
		p = Port{ID: id, Name: fmt.Sprintf("p%d", id), Bridge: "br0", Ofport: uint32(id), Ifindex: int32(id) + 100, Up: true, MTU: 1500}
	}
	change(&p)
	l.ports[id] = p
	var all []Port
	for _, p := range l.ports {
		all = append(all, p)
	}
	l.r.SetPorts(NewPorts(all))
}

// at puts a station behind a port, for the switch.
func (l *lab) at(id flows.PortID, mac flows.MAC) {
	p := l.ports[id]
	l.stations[stationKey{p.Bridge, p.Tag, mac}] = id
}

func (l *lab) packet(id flows.PortID, tuple flows.Tuple, src, dst flows.MAC) {
	l.tagged(id, tuple, src, dst)
}

func (l *lab) tagged(id flows.PortID, tuple flows.Tuple, src, dst flows.MAC, tags ...flows.Tag) {
	frame := flows.Frame{SrcMAC: src, DstMAC: dst}
	copy(frame.Tags[:], tags)
	l.r.Sighted(tap.Sighting{Port: id, Tuple: tuple, Frame: frame, At: now})
}

// honest makes a at port 1 and b at port 2 talk, with the switch knowing both.
func (l *lab) honest() {
	l.at(1, macA)
	l.at(2, macB)
	l.packet(1, l.orig, macA, macB)
	l.packet(2, l.orig.Reverse(), macB, macA)
}

func (l *lab) request(zone flows.Zone) Request {
	return Request{Key: flows.EntryKey{ID: 9, Zone: zone, Tuple: l.orig}, Reply: l.orig.Reverse()}
}

func (l *lab) resolve(zone flows.Zone) (Answer, error) {
	return l.r.Resolve(context.Background(), l.request(zone), now)
}

func paths(a, b flows.PortID, src, dst flows.MAC) flows.Paths {
	return flows.Paths{{In: a, Out: b, Frame: flows.Frame{SrcMAC: src, DstMAC: dst}}, {In: b, Out: a, Frame: flows.Frame{SrcMAC: dst, DstMAC: src}}}
}

func (l *lab) wantPath(zone flows.Zone, want flows.Paths, zones ...flows.Zone) {
	l.t.Helper()
	got, err := l.resolve(zone)
	if len(zones) == 0 {
		zones = []flows.Zone{5}
	}
	if err != nil || got.Paths != want || fmt.Sprint(zonesOf(got.Stands)) != fmt.Sprint(zones) {
		l.t.Errorf("got %+v, %v\nwant %+v in zones %v", got, err, want, zones)
	}
}

func zonesOf(stands []flows.Stand) (zones []flows.Zone) {
	for _, s := range stands {
		zones = append(zones, s.Zone)
	}
	slices.Sort(zones)
	return zones
}

func (l *lab) wantReason(zone flows.Zone, want flows.Reason) {
	l.t.Helper()
	got, err := l.resolve(zone)
	if reasonOf(err) != want {
		l.t.Errorf("got %+v, %v\nwant %s", got, err, want)
	}
}

func reasonOf(err error) flows.Reason {
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return refusal.Reason
	}
	return ""
}
