package megaflow

import (
	"errors"

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

// Connection is a connection that is established in zones.
type Connection struct {
	Dir    flows.Dir
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
