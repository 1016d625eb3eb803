package flows

// Frame is what is around the IP packet, the same for all packets of a direction at one
// place of their way. Between the same stations it is the same for all connections.
type Frame struct {
	SrcMAC, DstMAC MAC
	Tags           Tags
	Tunnel         Ref[Tunnel] // that the frame is in; zero: none
}
