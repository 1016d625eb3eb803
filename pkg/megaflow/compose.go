package megaflow

import (
	"errors"
	"fmt"

	"github.com/flowshunt/flowshunt/flows"
)

// Source finds the flow of a packet. It fails with ErrUnknown where it has none, or
// where which one depends on what is not known of the packet.
type Source interface {
	Lookup(p *Packet) (*Flow, error)
}

// Path is where established packets of one direction go.
type Path struct {
	Out   uint32       // port number of the datapath
	Zones []flows.Zone // in which they are tracked, in the order of the way; may repeat
}

// Connection is a connection that is established in zones: a reply was seen in each,
// and none of its entries is the child of another, translates, or has a helper.
// Whoever judges entries has seen to that.
type Connection struct {
	Tuple  flows.Tuple // by which the packet is addressed when it comes in
	States []flows.ZoneState
}

// ErrUnknown means that the flows do not tell where a packet goes.
var ErrUnknown = errors.New("the flows do not tell")

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
func Compose(src Source, p Packet, conn Connection) (Path, error) {
	w := walk{conn: conn, packet: p}
	seen := p // looked back upon after 1, 2, 4, ... flows: a circle meets it
	for n := 1; n <= maxFlows; n++ {
		flow, err := src.Lookup(&w.packet)
		if err != nil {
			return Path{}, err
		}
		again, err := w.run(flow.Actions)
		if err != nil {
			return Path{}, err
		}
		if !again {
			return w.end()
		}
		if w.packet == seen {
			return Path{}, fmt.Errorf("%w: they lead in a circle through recirc_id %#x", ErrUnknown, seen.Key.Uint(RecircID))
		}
		if n&(n-1) == 0 {
			seen = w.packet
		}
	}
	return Path{}, fmt.Errorf("%w: no end after %d flows", ErrUnknown, maxFlows)
}

// walk is a packet on its way.
type walk struct {
	conn   Connection
	packet Packet
	path   Path
	sent   bool // path.Out is set
}

// run carries out the actions of one flow. again says that the packet is to be
// matched anew.
func (w *walk) run(actions []Action) (again bool, err error) {
	for _, a := range actions {
		if w.sent || again {
			return false, behind(a)
		}
		switch a := a.(type) {
		case Output:
			w.path.Out, w.sent = a.Port, true
		case Recirc:
			w.packet.SetUint(RecircID, uint64(a.ID))
			again = true
		case CT:
			err = w.track(&a)
		case CTClear:
			w.packet.untracked()
		case Unsupported:
			err = &Refusal{a.Reason, a.Name}
		default:
			err = refuse(flows.UnsupportedAction, "%T", a)
		}
		if err != nil {
			return false, err
		}
	}
	return again, nil
}

// behind refuses what comes after an output or a recirculation: the packet, or a
// copy of it, goes more ways than one.
func behind(a Action) error {
	switch a := a.(type) {
	case Output, Recirc:
		return refuse(flows.UnsupportedOutputs, "packets go more than one way")
	case CT:
		return refuse(flows.UnsupportedAction, "ct(zone=%d) behind an output", a.Zone)
	case CTClear:
		return refuse(flows.UnsupportedAction, "ct_clear behind an output")
	case Unsupported:
		return &Refusal{a.Reason, a.Name}
	default:
		return refuse(flows.UnsupportedAction, "%T behind an output", a)
	}
}

func (w *walk) end() (Path, error) {
	switch in := uint32(w.packet.Key.Uint(InPort)); {
	case !w.sent:
		return Path{}, refuse(flows.PathDropped, "no output")
	case w.path.Out == in:
		return Path{}, refuse(flows.UnsupportedHairpin, "back to port %d", in)
	}
	return w.path, nil
}
