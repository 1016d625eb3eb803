package path

import (
	"context"
	"errors"
	"fmt"
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

// lab is a resolver with four usable ports 1 to 4 (p1 to p4) on br0, and an FDB
// that tests write.
type lab struct {
	t        testing.TB
	r        *Resolver
	ports    map[flows.PortID]Port
	tables   map[string]*Table
	fdbErr   error
	asked    int
	orig     flows.Tuple
	answered []flows.Tuple // calls of Found
}

func (l *lab) Table(_ context.Context, bridge string, _ flows.Instant) (*Table, error) {
	l.asked++
	return l.tables[bridge], l.fdbErr
}

func newLab(t testing.TB) *lab {
	t.Helper()
	l := &lab{t: t, ports: make(map[flows.PortID]Port), tables: make(map[string]*Table),
		orig: mustTuple(t, "tcp,10.0.0.1:40000,10.0.0.2:5201")}
	selected, err := ParseSelection("p*")
	if err != nil {
		t.Fatal(err)
	}
	l.r = NewResolver(Config{FDB: l, Selected: selected, Wires: []Wire{{"p8", "p9"}},
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
		p = Port{ID: id, Name: fmt.Sprintf("p%d", id), Bridge: "br0", Ofport: uint32(id), Ifindex: int32(id) + 100, Up: true}
	}
	change(&p)
	l.ports[id] = p
	var all []Port
	for _, p := range l.ports {
		all = append(all, p)
	}
	l.r.SetPorts(NewPorts(all))
}

func (l *lab) fdb(id flows.PortID, mac flows.MAC) {
	p := l.ports[id]
	if l.tables[p.Bridge] == nil {
		l.tables[p.Bridge] = &Table{stations: make(map[fdbKey]Station)}
	}
	l.tables[p.Bridge].stations[fdbKey{p.Tag, mac}] = Station{Ofport: p.Ofport}
}

func (l *lab) packet(id flows.PortID, tuple flows.Tuple, src, dst flows.MAC) {
	l.tagged(id, tuple, src, dst, 0)
}

func (l *lab) tagged(id flows.PortID, tuple flows.Tuple, src, dst flows.MAC, vlan tap.VLAN) {
	l.r.Sighted(tap.Sighting{Port: id, Tuple: tuple, SrcMAC: src, DstMAC: dst, VLAN: vlan, At: now})
}

// honest makes a at port 1 and b at port 2 talk, with OVS knowing both.
func (l *lab) honest() {
	l.fdb(1, macA)
	l.fdb(2, macB)
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
	return flows.Paths{{In: a, Out: b, SrcMAC: src, DstMAC: dst}, {In: b, Out: a, SrcMAC: dst, DstMAC: src}}
}

func (l *lab) wantPath(zone flows.Zone, want flows.Paths, zones ...flows.Zone) {
	l.t.Helper()
	got, err := l.resolve(zone)
	if err != nil || got.Paths != want || fmt.Sprint(got.Zones) != fmt.Sprint(zones) {
		l.t.Errorf("got %+v, %v\nwant %+v in zones %v", got, err, want, zones)
	}
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
