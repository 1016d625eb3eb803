package secgroup

// portCondition is what a match says of ports.
type portCondition struct {
	src, dst PortRange // of ICMP: the types and the codes
	// span is the same as the DstPort of a tuple tells it, where isSpan: of ICMP, that is
	// type<<8|code.
	span    PortRange
	isSpan  bool
	unknown bool // it makes no sense
}

// portsOf returns what m says of ports; false: no packet fits.
func portsOf(m *Match) (portCondition, bool) {
	c := portCondition{src: m.SrcPorts, dst: m.DstPorts, isSpan: true}
	switch {
	case !c.src.Some && !c.dst.Some:
		return c, true
	case m.HasProto && isICMP(m.Proto):
		return c.icmp()
	case !m.HasProto || !m.Proto.HasPorts():
		return portCondition{isSpan: true, unknown: true}, true
	}
	if c.src.isAll(65535) {
		c.src = PortRange{}
	}
	if c.dst.isAll(65535) {
		c.dst = PortRange{}
	}
	c.span, c.isSpan = c.dst, !c.src.Some
	return c, !c.src.isEmpty() && !c.dst.isEmpty()
}

func (c portCondition) icmp() (portCondition, bool) {
	types, codes := c.src, c.dst
	if types.isEmpty() || codes.isEmpty() || types.Some && types.First > 255 || codes.Some && codes.First > 255 {
		return c, false
	}
	if !types.Some {
		types = PortRange{Last: 255, Some: true}
	}
	if !codes.Some {
		codes = PortRange{Last: 255, Some: true}
	}
	types.Last, codes.Last = min(types.Last, 255), min(codes.Last, 255)
	c.span = PortRange{types.First<<8 | codes.First, types.Last<<8 | codes.Last, true}
	c.isSpan = types.First == types.Last || codes.isAll(255)
	return c, true
}

func (r PortRange) isEmpty() bool { return r.Some && r.First > r.Last }

func (r PortRange) isAll(last uint16) bool { return r.Some && r.First == 0 && r.Last >= last }

func (r PortRange) has(port uint16) bool {
	return !r.Some || r.First <= port && port <= r.Last
}
