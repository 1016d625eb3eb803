package path

import (
	"context"

	"github.com/flowshunt/flowshunt/flows"
)

// Question asks what OVS does with established packets of one direction of a
// connection.
type Question struct {
	In             *Port // where they come in, untagged
	SrcMAC, DstMAC flows.MAC
	Tuple          flows.Tuple // as the packets have it
	Dir            flows.Dir
	States         []flows.ZoneState // where the connection is established
}

// Forwarding is the answer: out of one port, and nothing changed on the way.
type Forwarding struct {
	Out   flows.PortID
	Zones []flows.Zone // in which they are tracked; may repeat
	Plain bool         // see engine.PathResolved
}

// Forwarder answers questions; *Judge is one. An error is a *Refusal, which is an
// answer too, or says that OVS cannot be asked.
type Forwarder interface {
	Forward(ctx context.Context, q Question, now flows.Instant) (Forwarding, error)
}
