package path

import (
	"context"

	"github.com/flowshunt/flowshunt/flows"
)

// Question asks what OVS does with established packets of one direction of a
// connection.
type Question struct {
	In *Port // where they come in
	flows.Frame
	Tuple  flows.Tuple // as the packets have it when they come in
	Dir    flows.Dir
	States []flows.ZoneState // where the connection is established
}

// Forwarding is the answer: out of one port, and how packets look there.
type Forwarding struct {
	Out    flows.PortID
	Leaves flows.Frame
	Hops   uint8         // by which the TTL is less
	Tuple  flows.Tuple   // by which they are addressed
	Stands []flows.Stand // where they are tracked; may repeat
	Plain  bool          // see engine.PathResolved
	// Inspected means that they go by way of the inspector of a wire.
	Inspected bool
	// Underlay is the MTU of the underlay where they leave in a tunnel; 0: not known.
	Underlay int
}

// Forwarder answers questions; *Judge is one. An error is a *Refusal, which is an
// answer too, or says that OVS cannot be asked.
type Forwarder interface {
	Forward(ctx context.Context, q Question, now flows.Instant) (Forwarding, error)
	// Tunnels returns the tunnels in which such packets come in at a tunnel's device: what
	// arrives there does not tell.
	Tunnels(ctx context.Context, q Question, now flows.Instant) ([]flows.Tunnel, error)
}
