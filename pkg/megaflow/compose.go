package megaflow

import (
	"errors"
	"fmt"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// Source finds the flow of a packet. It fails with ErrUnknown where it has none, or
// where which one depends on what is not known of the packet.
type Source interface {
	Lookup(p *Packet) (*Flow, error)
}

// Path is where established packets of one direction go, and how they look then.
type Path struct {
	Out    uint32       // port number of the datapath
	Zones  []flows.Zone // in which they are tracked, in the order of the way; may repeat
	States []int        // of which entries those are: indexes of Connection.States
	Leaves flows.Frame  // as they go out; a tunnel only if the way says so, whatever Out is
	Hops   uint8        // by which the TTL is less
	Tuple  flows.Tuple  // by which they are addressed then
}

// Equal reports whether two paths are the same in all that a rule does.
func (p Path) Equal(q Path) bool {
	return p.Out == q.Out && p.Leaves == q.Leaves && p.Hops == q.Hops && p.Tuple == q.Tuple && slices.Equal(p.States, q.States)
}

// usualZones is in how many zones most packets are tracked, on one node.
const usualZones = 4

func (p *Path) passed(zone flows.Zone, state int) {
	if p.Zones == nil {
		p.Zones, p.States = make([]flows.Zone, 0, usualZones), make([]int, 0, usualZones)
	}
	p.Zones, p.States = append(p.Zones, zone), append(p.States, state)
}

// Connection is a connection that is established in zones: a reply was seen in each,
// and none of its entries is the child of another, or has a helper. Whoever judges
// entries has seen to that. Where entries translate, it has a tuple in one zone that it
// does not have in another.
type Connection struct {
	Tuple  flows.Tuple // by which the packet is addressed when it comes in
	States []flows.ZoneState
	// MaxFrame is the length of the longest frame that can come in, with its Ethernet
	// header and without tags; 0: not known.
	MaxFrame int
}

// ErrUnknown means that the flows do not tell where a packet goes.
var ErrUnknown = errors.New("the flows do not tell")

// ErrDiffer means that a datapath does not do the same with all packets that are alike as
// far as they are known: those of one rule. It wraps ErrUnknown, since a list of flows that
// change while it is read can have old and new ones.
var ErrDiffer = fmt.Errorf("%w: two match that differ", ErrUnknown)

// Refusal is the error of Compose for packets that a rule cannot carry.
type Refusal struct {
	Reason flows.Reason
	Detail string // for a person
}

// Error returns the text.
func (r *Refusal) Error() string { return string(r.Reason) + ": " + r.Detail }

func refuse(reason flows.Reason, format string, args ...any) error {
	return &Refusal{reason, fmt.Sprintf(format, args...)}
}

// maxFlows bounds how many flows a packet goes through. OVS's own translation gives
// up after 64 resubmits in depth (MAX_DEPTH, ofproto/ofproto-dpif-xlate.c), and
// pipelines of OVN recirculate about ten times.
const maxFlows = 64

// Compose follows a packet of a connection from flow to flow. It fails with a
// *Refusal where the packets go a way that a rule cannot carry, and with an error
// that wraps ErrUnknown where the flows do not tell.
//
// What it says holds for packets with a TTL above flows.MaxHops, which are all that a
// rule carries, and for frames of at most conn.MaxFrame bytes.
func Compose(src Source, p Packet, conn Connection) (Path, error) {
	w := walk{conn: &conn, packet: &p, tuple: conn.Tuple}
	var seen *Packet // looked back upon when the way is long: a circle meets it
	for n := 1; n <= maxFlows; n++ {
		flow, err := src.Lookup(w.packet)
		if err != nil {
			return Path{}, err
		}
		w.anyTTL = w.anyTTL || flow.AnyTTL
		again, err := w.run(flow.Actions)
		if err != nil {
			return Path{}, err
		}
		if !again {
			return w.end()
		}
		switch {
		case n == maxFlows/4 || n == maxFlows/2:
			seen = new(*w.packet)
		case seen != nil && *w.packet == *seen:
			return Path{}, fmt.Errorf("%w: they lead in a circle through recirc_id %#x", ErrUnknown, seen.Key.Uint(RecircID))
		}
	}
	return Path{}, fmt.Errorf("%w: no end after %d flows", ErrUnknown, maxFlows)
}
