package tc

import (
	"fmt"
	"net/netip"
)

// patch is what a pedit does to one header, byte by byte. Words that write into the
// same bytes come out as their sum.
type patch struct{ value, mask [40]byte }

// write takes one word. Its offset must be the kernel's: a multiple of four.
func (h *patch) write(at uint32, value, mask []byte) bool {
	if at%4 != 0 || at > uint32(len(h.value)-4) {
		return false
	}
	for i := range 4 {
		j := int(at) + i
		h.value[j] = h.value[j]&^mask[i] | value[i]
		h.mask[j] |= mask[i]
	}
	return true
}

// take returns n bytes from an offset on, and marks them as taken.
func (h *patch) take(at, n int) (value, mask [16]byte) {
	copy(value[:], h.value[at:at+n])
	copy(mask[:], h.mask[at:at+n])
	clear(h.mask[at : at+n])
	return value, mask
}

func (h *patch) takeMAC(at int) MACMatch {
	value, mask := h.take(at, 6)
	return MACMatch{[6]byte(value[:]), [6]byte(mask[:])}
}

func (h *patch) takeAddr(at, n int) AddrMatch {
	value, mask := h.take(at, n)
	switch {
	case mask == [16]byte{}:
		return AddrMatch{}
	case n == 4:
		return AddrMatch{netip.AddrFrom4([4]byte(value[:])), netip.AddrFrom4([4]byte(mask[:]))}
	}
	return AddrMatch{netip.AddrFrom16(value), netip.AddrFrom16(mask)}
}

func (h *patch) take16(at int) Match16 {
	value, mask := h.take(at, 2)
	return Match16{big.Uint16(value[:]), big.Uint16(mask[:])}
}

func (h *patch) take8(at int) Match8 {
	value, mask := h.take(at, 1)
	return Match8{value[0], mask[0]}
}

// takeClass leaves what stands around the traffic class in its two bytes.
func (h *patch) takeClass() Match8 {
	value, mask := big.Uint16(h.value[ip6Class:]), big.Uint16(h.mask[ip6Class:])
	big.PutUint16(h.mask[ip6Class:], mask&^0x0ff0)
	return Match8{uint8(value>>4) & uint8(mask>>4), uint8(mask >> 4)}
}

func (h *patch) isTaken() bool { return h.mask == [40]byte{} }

// rewriting is a Rewrite while its words are read.
type rewriting struct {
	Rewrite
	eth, network, transport patch
}

// decodePedit reads the options. A pedit that does more than a Rewrite can say is
// partial, and has then no Rewrite at all.
func (a *Action) decodePedit(n attrs) {
	var parms, keys attrs
	for n.next() {
		switch n.typ {
		case optParms: // the old form, which counts from the network header
			a.decodeGeneric(n.bytes(peditSelLen))
		case peditParms:
			a.decodeGeneric(n.bytes(peditSelLen))
			parms = n.nest()
		case peditKeys:
			keys = n.nest()
		default:
			a.Partial = !a.decodeTimes(&n, optTM, 3) || a.Partial
		}
	}
	var r rewriting
	if *n.err != nil || parms.err == nil || keys.err == nil || !r.read(parms, keys) {
		a.Partial = true
		return
	}
	a.Rewrite = r.Rewrite
}

// read takes all words, and finds the fields.
func (r *rewriting) read(parms, keys attrs) bool {
	count := int(parms.b[20])
	words := parms.b[peditSelLen:]
	if len(words) < count*peditKeyLen {
		*parms.err = &DecodeError{parms.base, fmt.Sprintf("%d words of pedit in %d bytes", count, len(words))}
		return false
	}
	for range count {
		if !keys.next() || !r.word(keys.nest(), words[:peditKeyLen]) {
			return false
		}
		words = words[peditKeyLen:]
	}
	return count > 0 && !keys.next() && r.fields()
}

// word takes one struct tc_pedit_key with its attributes.
func (r *rewriting) word(kind attrs, key []byte) bool {
	header, cmd := uint16(0), uint16(cmdSet)
	for kind.next() {
		switch kind.typ {
		case peditHeader:
			header = kind.u16()
		case peditCmd:
			cmd = kind.u16()
		}
	}
	var mask [4]byte
	value, at := key[4:8], native.Uint32(key[8:])
	for i := range mask {
		if mask[i] = ^key[i]; value[i]&key[i] != 0 {
			return false // flips bits
		}
	}
	h := r.header(header)
	switch {
	case h == nil || [12]byte(key[12:]) != [12]byte{}:
		return false
	case cmd == cmdAdd:
		return r.add(header, at, value, mask)
	}
	return cmd == cmdSet && h.write(at, value, mask[:])
}

// header returns where a header's words go. A rewrite has one network and one
// transport header.
func (r *rewriting) header(typ uint16) *patch {
	switch {
	case typ == headerEth:
		return &r.eth
	case typ == headerIP4 && r.Protocol != ProtocolIPv6:
		r.Protocol = ProtocolIPv4
		return &r.network
	case typ == headerIP6 && r.Protocol != ProtocolIPv4:
		r.Protocol = ProtocolIPv6
		return &r.network
	case typ == headerTCP && r.IPProto != protoUDP:
		r.IPProto = protoTCP
		return &r.transport
	case typ == headerUDP && r.IPProto != protoTCP:
		r.IPProto = protoUDP
		return &r.transport
	}
	return nil
}

// add takes an addition to the TTL or hop limit.
func (r *rewriting) add(typ uint16, at uint32, value []byte, mask [4]byte) bool {
	ttl := ip4TTL
	if typ == headerIP6 {
		ttl = ip6Hops
	}
	var want [4]byte
	want[ttl&3] = 0xff
	if r.TTLAdd != 0 || typ != headerIP4 && typ != headerIP6 || at != uint32(ttl&^3) || mask != want {
		return false
	}
	r.TTLAdd = value[ttl&3]
	return r.TTLAdd != 0
}

// fields finds the fields. It reports whether nothing else is written, and nothing
// in an order that matters.
func (r *rewriting) fields() bool {
	r.SrcMAC, r.DstMAC = r.eth.takeMAC(ethSrc), r.eth.takeMAC(ethDst)
	h := &r.network
	switch r.Protocol {
	case ProtocolIPv4:
		r.Src, r.Dst = h.takeAddr(ip4Src, 4), h.takeAddr(ip4Dst, 4)
		r.TOS, r.TTL = h.take8(ip4TOS), h.take8(ip4TTL)
	case ProtocolIPv6:
		r.Src, r.Dst = h.takeAddr(ip6Src, 16), h.takeAddr(ip6Dst, 16)
		r.TOS, r.TTL = h.takeClass(), h.take8(ip6Hops)
	}
	r.SrcPort, r.DstPort = r.transport.take16(portSrc), r.transport.take16(portDst)
	return r.eth.isTaken() && r.network.isTaken() && r.transport.isTaken() && r.validate() == nil
}
