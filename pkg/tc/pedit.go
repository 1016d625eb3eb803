package tc

// Attributes of pedit (linux/tc_act/tc_pedit.h, TCA_PEDIT_*): the parameters are
// those of the extended form, which names the header that an offset counts from.
const (
	peditParms  = 4
	peditKeys   = 5
	peditKey    = 6
	peditHeader = 1 // of a key: pedit_header_type
	peditCmd    = 2 // of a key: pedit_cmd

	peditSelLen = 24
	peditKeyLen = 24
)

// Headers (TCA_PEDIT_KEY_EX_HDR_TYPE_*) and commands (TCA_PEDIT_KEY_EX_CMD_*).
const (
	headerEth = 1
	headerIP4 = 2
	headerIP6 = 3
	headerTCP = 4
	headerUDP = 5

	cmdSet = 0
	cmdAdd = 1
)

// Where fields begin in their header. The traffic class of IPv6 has the lower half of
// byte 0 and the upper half of byte 1.
const (
	ethDst = 0
	ethSrc = 6

	ip4TOS = 1
	ip4TTL = 8
	ip4Src = 12
	ip4Dst = 16

	ip6Class = 0
	ip6Hops  = 7
	ip6Src   = 8
	ip6Dst   = 24

	portSrc = 0
	portDst = 2
)

// maxEdits is how many words a Rewrite can become: 4 for the MACs, 8 for IPv6
// addresses, one each for TOS, TTL and the ports.
const maxEdits = 16

// edits collects the words of a pedit. Like tc it makes words of their own for each
// field, also where two fields share one: drivers know fields by their words.
type edits struct {
	b    []byte
	kind [maxEdits]struct{ header, cmd uint16 }
	n    int
}

func (a *Action) appendPedit(b []byte) ([]byte, error) {
	if err := a.Rewrite.validate(); err != nil {
		return b, err
	}
	b, parms := openNest(b, peditParms)
	e := edits{b: append(a.appendGeneric(b), 0, 0, 0, 0)}
	a.Rewrite.append(&e)
	b = e.b
	b[parms+attrHeaderLen+20] = uint8(e.n)
	closeNest(b, parms)
	b, keys := openNest(b, peditKeys|nested)
	for _, k := range e.kind[:e.n] {
		var key int
		b, key = openNest(b, peditKey|nested)
		b = appendU16(appendU16(b, peditHeader, k.header), peditCmd, k.cmd)
		closeNest(b, key)
	}
	closeNest(b, keys)
	return b, nil
}

func (r *Rewrite) append(e *edits) {
	e.set(headerEth, ethSrc, r.SrcMAC.Value[:], r.SrcMAC.Mask[:])
	e.set(headerEth, ethDst, r.DstMAC.Value[:], r.DstMAC.Mask[:])
	switch r.Protocol {
	case ProtocolIPv4:
		e.setAddr(headerIP4, ip4Src, r.Src)
		e.setAddr(headerIP4, ip4Dst, r.Dst)
		e.set(headerIP4, ip4TOS, []byte{r.TOS.Value}, []byte{r.TOS.Mask})
		e.set(headerIP4, ip4TTL, []byte{r.TTL.Value}, []byte{r.TTL.Mask})
		e.add(headerIP4, ip4TTL, r.TTLAdd)
	case ProtocolIPv6:
		e.setAddr(headerIP6, ip6Src, r.Src)
		e.setAddr(headerIP6, ip6Dst, r.Dst)
		e.set(headerIP6, ip6Class, []byte{r.TOS.Value >> 4, r.TOS.Value << 4}, []byte{r.TOS.Mask >> 4, r.TOS.Mask << 4})
		e.set(headerIP6, ip6Hops, []byte{r.TTL.Value}, []byte{r.TTL.Mask})
		e.add(headerIP6, ip6Hops, r.TTLAdd)
	}
	header := uint16(headerTCP)
	if r.IPProto == protoUDP {
		header = headerUDP
	}
	e.setPort(header, portSrc, r.SrcPort)
	e.setPort(header, portDst, r.DstPort)
}

// set writes value under mask at an offset of a header.
func (e *edits) set(header uint16, at int, value, mask []byte) {
	for word := at &^ 3; word < at+len(value); word += 4 {
		var v, m [4]byte
		for i := max(at, word); i < min(at+len(value), word+4); i++ {
			v[i-word], m[i-word] = value[i-at]&mask[i-at], mask[i-at]
		}
		e.word(header, cmdSet, word, v, m)
	}
}

func (e *edits) setAddr(header uint16, at int, m AddrMatch) {
	switch {
	case m.Value.Is4():
		value, mask := m.Value.As4(), m.Mask.As4()
		e.set(header, at, value[:], mask[:])
	case m.Value.Is6():
		value, mask := m.Value.As16(), m.Mask.As16()
		e.set(header, at, value[:], mask[:])
	}
}

func (e *edits) setPort(header uint16, at int, m Match16) {
	e.set(header, at, []byte{byte(m.Value >> 8), byte(m.Value)}, []byte{byte(m.Mask >> 8), byte(m.Mask)})
}

// add adds v to one byte.
func (e *edits) add(header uint16, at int, v uint8) {
	if v == 0 {
		return
	}
	var value, mask [4]byte
	value[at&3], mask[at&3] = v, 0xff
	e.word(header, cmdAdd, at&^3, value, mask)
}

// word appends a struct tc_pedit_key, whose own mask is of the bits to keep. Its last
// three members, which find an offset in the packet, stay zero.
func (e *edits) word(header, cmd uint16, at int, value, mask [4]byte) {
	if mask == [4]byte{} {
		return
	}
	for _, m := range mask {
		e.b = append(e.b, ^m)
	}
	e.b = append(e.b, value[:]...)
	e.b = native.AppendUint32(e.b, uint32(at))
	e.b = append(e.b, zeros[:12]...)
	e.kind[e.n].header, e.kind[e.n].cmd = header, cmd
	e.n++
}
