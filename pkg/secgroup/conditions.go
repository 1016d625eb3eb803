package secgroup

import (
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
)

// conditions are those of a match that no bucket stands for.
type conditions struct {
	src, dst  PortRange // of ICMP: the types and the codes
	local     oneOf
	notRemote setNos
	notLocal  setNos
}

// oneOf is a condition on an address. The zero value is any address.
type oneOf struct {
	prefixes []netip.Prefix
	sets     setNos
}

func (o *oneOf) isAny() bool { return len(o.prefixes)+len(o.sets) == 0 }

func (o *oneOf) has(t *addresses, a netip.Addr) bool {
	if o.isAny() {
		return true
	}
	for _, p := range o.prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return isIn(t, a, o.sets)
}

func (c *conditions) onlyPorts() bool {
	return c.local.isAny() && len(c.notRemote)+len(c.notLocal) == 0
}

// hold reports whether all of c are true of what is searched for.
func (c *conditions) hold(s *search) bool {
	src, dst := s.tuple.SrcPort, s.tuple.DstPort
	if isICMP(s.tuple.Proto) {
		src, dst = dst>>8, dst&255
	}
	return c.src.has(src) && c.dst.has(dst) && c.local.has(s.addrs, s.local) &&
		!isIn(s.addrs, s.remote, c.notRemote) && !isIn(s.addrs, s.local, c.notLocal)
}

func isICMP(p flows.Proto) bool { return p == flows.ICMP || p == flows.ICMPv6 }
