package flows

// Frame is what is around the IP packet, the same for all packets of a direction at one
// place of their way. Between the same stations it is the same for all connections.
type Frame struct {
	SrcMAC, DstMAC MAC
	Tags           Tags
	Tunnel         Ref[Tunnel] // that the frame is in; zero: none
}

// String returns "02:00:00:00:00:01>02:00:00:00:00:02 vlan 7 in 10.0.0.1->10.0.0.2 vni 5",
// without what there is none of.
func (f Frame) String() string {
	s := f.SrcMAC.String() + ">" + f.DstMAC.String()
	for _, tag := range f.Tags[:f.Tags.Len()] {
		s += " " + tag.String()
	}
	if !f.Tunnel.IsZero() {
		s += " in " + f.Tunnel.Value().String()
	}
	return s
}
