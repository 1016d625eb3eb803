package flows

import "time"

// PolicyRef names an offload policy for as long as it exists, also when it changes; it is
// never given to another one. Zero is none.
type PolicyRef uint32

// Subject is what offload policies look at of a connection, as far as it is known yet.
type Subject struct {
	// Tuple and Far are how packets of the original direction are addressed when they come
	// in and when they go out; the same where nothing is translated. What asks for addresses
	// or ports of one of them is met.
	Tuple, Far Tuple
	// In and Out are where packets of the original direction come in and go out. Without
	// Placed nobody knows them yet; a port that is none of OVS's is 0.
	In, Out PortID
	Placed  bool
	DSCP    DSCP
	// Content is what the first packets of the connection have shown.
	Content Content
}

// DSCP is the differentiated-services code point of packets of the original direction (RFC
// 2474), plus one. Zero means that it is not known yet.
type DSCP uint8

// Content is what was recognized in the first packets of a connection. Without Known nobody
// has looked, or not for long enough.
type Content struct {
	Known       bool
	Application string // as "tls"; empty: none that is known
	ServerName  string // lower case, as a client asked for it (TLS, QUIC); empty: none was seen
}

// Decision is what policies say about a connection, by what is known of it.
type Decision struct {
	// Policy is the first one that matches for certain; 0: none does.
	Policy  PolicyRef
	Verdict Verdict // of Policy; without one Inspect
	// Doubt is the first one before Policy that may match, and would make a difference: it
	// does not say offload where Policy does or there is none, and does not say drop where
	// Policy does. As long as that is so a connection is neither offloaded nor dropped. 0:
	// what is not known yet does not stand in the way of the verdict.
	Doubt PolicyRef
	// Hope is the first one that says offload and matches for certain, or would if only the
	// ports and DSCP were known: it is worth while to look for them when its terms are met. 0:
	// there is none.
	Hope PolicyRef
}

// Terms are what a policy asks of a connection before its verdict applies, and afterwards.
type Terms struct {
	// The connection is an elephant: all three are passed. All zero asks for nothing.
	Bytes uint64        // both directions, since it began
	Rate  float64       // bytes per second, both directions
	Age   time.Duration // since the agent first saw it
	// InspectPackets is how many packets of each direction the slow path has to have seen,
	// since the connection began and again after each Reinspect.
	InspectPackets uint32
	MaxLifetime    time.Duration // in the eswitch without a break, then it is decided anew; 0: as configured
	Reinspect      time.Duration // in the eswitch, then its packets are to be inspected again; 0: never
}

// DefaultInspectPackets is how many packets of each direction the slow path sees before a
// verdict applies where nobody says how many.
const DefaultInspectPackets = 10

// Elephants reports whether the terms ask for a size, a rate or an age.
func (t *Terms) Elephants() bool { return t.Bytes > 0 || t.Rate > 0 || t.Age > 0 }
