package flows

import "time"

// PolicyRef names an offload policy for as long as it exists, also when it changes; it is
// never given to another one. Zero is none.
type PolicyRef uint32

// Subject is what offload policies look at of a connection, as far as it is known yet.
type Subject struct {
	Tuple Tuple // of the original direction, as its packets come in
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

// Decision is what policies say about a connection.
type Decision struct {
	// Policy is the first one that may match, by what is known; 0: none.
	Policy PolicyRef
	// Verdict is that of Policy where it is certain that it matches, else Inspect.
	Verdict Verdict
	// Certain means that what is not known yet can change nothing. Without a Policy it
	// means that none matches.
	Certain bool
	// Hope is the first policy that says offload and may match, or of which it is certain:
	// what it asks of a connection has to be met in any case. 0: there is none.
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

// Elephants reports whether the terms ask for a size, a rate or an age.
func (t *Terms) Elephants() bool { return t.Bytes > 0 || t.Rate > 0 || t.Age > 0 }
