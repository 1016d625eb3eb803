package flows

// Path says where established packets of one direction come in and go out, and
// how they look when they come in. A path that needs a change on the way (VLAN,
// tunnel, NAT, TTL) is not represented yet and is refused by the resolver.
type Path struct {
	In, Out        PortID
	SrcMAC, DstMAC MAC
}

// Paths are the two directions of a connection, by Dir.
type Paths [2]Path
