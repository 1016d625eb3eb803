package datapath

import (
	"fmt"

	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

// part says which bytes of a key attribute are a field.
type part struct {
	field     megaflow.Field
	at, bytes int
	host      bool // in host order
}

// layout are the key attributes that are fields.
var layout = [keyMax + 1][]part{
	keyPriority:  {{megaflow.SkbPriority, 0, 4, true}},
	keyInPort:    {{megaflow.InPort, 0, 4, true}},
	keyEthernet:  {{megaflow.EthSrc, 0, 6, false}, {megaflow.EthDst, 6, 6, false}},
	keyEthertype: {{megaflow.EthType, 0, 2, false}},
	keyIPv4: {
		{megaflow.IPSrc, 0, 4, false}, {megaflow.IPDst, 4, 4, false}, {megaflow.IPProto, 8, 1, false},
		{megaflow.IPTOS, 9, 1, false}, {megaflow.IPTTL, 10, 1, false}, {megaflow.IPFrag, 11, 1, false},
	},
	keyIPv6: {
		{megaflow.IPSrc, 0, 16, false}, {megaflow.IPDst, 16, 16, false}, {megaflow.IPv6Label, 32, 4, false},
		{megaflow.IPProto, 36, 1, false}, {megaflow.IPTOS, 37, 1, false}, {megaflow.IPTTL, 38, 1, false},
		{megaflow.IPFrag, 39, 1, false},
	},
	keyTCP:      ports,
	keyUDP:      ports,
	keySCTP:     ports,
	keySkbMark:  {{megaflow.SkbMark, 0, 4, true}},
	keyTCPFlags: {{megaflow.TCPFlags, 0, 2, false}},
	keyDPHash:   {{megaflow.DPHash, 0, 4, true}},
	keyRecircID: {{megaflow.RecircID, 0, 4, true}},
	keyCTState:  {{megaflow.CTState, 0, 4, true}},
	keyCTZone:   {{megaflow.CTZone, 0, 2, true}},
	keyCTMark:   {{megaflow.CTMark, 0, 4, true}},
	keyCTLabels: {{megaflow.CTLabel, 0, 16, true}},
	keyCTTuple4: {
		{megaflow.CTIPSrc, 0, 4, false}, {megaflow.CTIPDst, 4, 4, false},
		{megaflow.CTTPSrc, 8, 2, false}, {megaflow.CTTPDst, 10, 2, false}, {megaflow.CTIPProto, 12, 1, false},
	},
	keyCTTuple6: {
		{megaflow.CTIPSrc, 0, 16, false}, {megaflow.CTIPDst, 16, 16, false},
		{megaflow.CTTPSrc, 32, 2, false}, {megaflow.CTTPDst, 34, 2, false}, {megaflow.CTIPProto, 36, 1, false},
	},
}

var ports = []part{{megaflow.TPSrc, 0, 2, false}, {megaflow.TPDst, 2, 2, false}}

// keys are the attributes of a key or a mask by type; nil where there is none.
type keys [keyMax + 1][]byte

// decodeMatch reads the key and the mask of a flow, as __ovs_nla_put_key writes them
// (net/openvswitch/flow_netlink.c). Without a mask everything is to be as in the key.
// unknown names a condition that no Match can hold, if there is one.
func decodeMatch(key, mask []byte, masked bool) (m megaflow.Match, unknown string, ours bool, err error) {
	var k, v keys
	if err := k.read(key); err != nil {
		return m, "", false, err
	}
	if err := v.read(mask); err != nil {
		return m, "", false, err
	}
	if !masked {
		v = k.exact()
	}
	if k[keyEthernet] == nil {
		return m, "", false, nil // without a header of Ethernet
	}
	if unknown, ours, err = tunnelOf(&m, &k, &v, masked); err != nil || !ours {
		return m, unknown, false, err
	}
	if k[keyInPort] == nil {
		k[keyInPort] = noPort // what OVS sends out itself
	}
	for _, tag := range tags {
		if k[keyVLAN] == nil && k[keyEncap] == nil {
			// a flow has a tag or none: nobody can wildcard that (ovs_nla_get_match)
			m.SetUint(tag.tci, 0, 0xffff)
			break
		}
		if unknown, ours, err = tag.pop(&m, &k, &v, masked, unknown); err != nil || !ours {
			return m, unknown, false, err
		}
	}
	switch {
	case k[keyVLAN] != nil || k[keyEncap] != nil:
		return m, "", false, nil // the kernel reads no third one
	case k[keyEthertype] == nil && !zero(v[keyEthertype]):
		return m, "", false, nil // no Ethernet II, which is told so
	}
	unknown, err = apply(&m, &k, &v, unknown)
	return m, unknown, err == nil && possible(&m), err
}

// tunnelOf adds the conditions on the outer header, and takes it from k and v.
func tunnelOf(m *megaflow.Match, k, v *keys, masked bool) (unknown string, ours bool, err error) {
	key, mask := k[keyTunnel], v[keyTunnel]
	k[keyTunnel], v[keyTunnel] = nil, nil
	switch {
	case !masked && key != nil:
		return keyName(keyTunnel), true, nil // OVS gives every flow a mask
	case mask != nil: // without a key: to be in no tunnel
		return matchTunnel(m, key, mask)
	}
	return "", true, nil
}

// vlan are the fields of one tag.
type vlan struct{ tci, typ megaflow.Field }

// tags are those that a packet can have, the outermost first.
var tags = [...]vlan{{megaflow.VLANTCI, megaflow.VLANType}, {megaflow.InnerTCI, megaflow.InnerType}}

// pop adds the conditions outside of a VLAN tag and leaves those inside in k and v.
func (t vlan) pop(m *megaflow.Match, k, v *keys, masked bool, before string) (unknown string, ours bool, err error) {
	inner, innerMask := k[keyEncap], v[keyEncap]
	if k[keyVLAN] == nil || inner == nil {
		return "", false, nil // a tag cut short
	}
	for _, p := range [...]struct {
		field megaflow.Field
		typ   int
	}{{t.tci, keyVLAN}, {t.typ, keyEthertype}} {
		key, mask := k[p.typ], v[p.typ]
		k[p.typ], v[p.typ] = nil, nil
		switch {
		case mask == nil || zero(mask):
		case len(key) < 2 || len(mask) < 2:
			return "", false, &DecodeError{"a VLAN tag cut short"}
		default:
			m.SetUint(p.field, uint64(big.Uint16(key)), uint64(big.Uint16(mask)))
		}
	}
	k[keyEncap], v[keyEncap] = nil, nil
	if unknown, err = apply(m, k, v, before); err != nil {
		return "", false, err
	}
	if m.Mask.Uint(t.tci)&tagPresent == 0 {
		unknown = keyName(keyVLAN)
	}
	*k, *v = keys{}, keys{}
	if err := k.read(inner); err != nil {
		return "", false, err
	}
	if err := v.read(innerMask); err != nil {
		return "", false, err
	}
	if !masked {
		*v = k.exact()
	}
	return unknown, true, nil
}

// tagPresent is the bit of a TCI that OVS sets where there is a tag.
const tagPresent = 0x1000

var noPort = []byte{255, 255, 255, 255}

// read sorts attributes by type. One of a type beyond all known ones is as one of
// the last type, which has no name either.
func (k *keys) read(b []byte) (err error) {
	a := attrs{b: b, err: &err}
	for a.next() {
		typ := min(a.typ, keyMax)
		if k[typ] == nil || !zero(a.val) {
			k[typ] = a.val
		}
	}
	return err
}

// exact returns the mask that wants everything to be as in k.
func (k *keys) exact() (v keys) {
	for typ, b := range k {
		switch {
		case typ == keyEncap:
			v[typ] = b // replaced where it is gone into
		case b != nil:
			v[typ] = make([]byte, len(b))
			for i := range b {
				v[typ][i] = 255
			}
		}
	}
	return v
}

// apply adds the conditions of the attributes.
func apply(m *megaflow.Match, k, v *keys, unknown string) (string, error) {
	for typ := range k {
		key, mask := k[typ], v[typ]
		if zero(mask) {
			continue // wildcarded
		}
		size := size(layout[typ])
		switch {
		case size == 0 && implied(typ, m):
			continue
		case size == 0, key == nil, !zero(mask[min(size, len(mask)):]):
			unknown = keyName(typ)
			continue
		case len(key) < size || len(mask) < size:
			return "", &DecodeError{fmt.Sprintf("key attribute %s of %d bytes, mask of %d", keyName(typ), len(key), len(mask))}
		}
		for _, p := range layout[typ] {
			p.apply(m, key, mask)
		}
	}
	return unknown, nil
}

// size returns how many bytes an attribute has at least.
func size(layout []part) (n int) {
	for _, p := range layout {
		n = max(n, p.at+p.bytes)
	}
	return n
}

// implied reports whether only packets have the attribute that m excludes: it
// belongs to another protocol than the ones of the flow's ethertype. Attributes come
// in the order of their types, those of lower layers first.
func implied(typ int, m *megaflow.Match) bool {
	switch typ {
	case keyARP, keyMPLS, keyNSH, keyICMP, keyICMPv6, keyND:
		return !possible(m)
	}
	return false
}

// apply adds a condition for one field.
func (p part) apply(m *megaflow.Match, key, mask []byte) {
	key, mask = key[p.at:p.at+p.bytes], mask[p.at:p.at+p.bytes]
	switch {
	case p.host && p.bytes == 16:
		m.SetWide(p.field, megaflow.Labels([16]byte(key)), megaflow.Labels([16]byte(mask)))
	case p.field.IsWide():
		m.SetWide(p.field, wide(key), wide(mask))
	default:
		m.SetUint(p.field, p.uint(key), p.uint(mask))
	}
}

func (p part) uint(b []byte) (v uint64) {
	switch {
	case p.host && p.bytes == 4:
		return uint64(native.Uint32(b))
	case p.host && p.bytes == 2:
		return uint64(native.Uint16(b))
	}
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v
}

// wide returns an address in the last bytes of 16.
func wide(b []byte) (v [16]byte) {
	copy(v[16-len(b):], b)
	return v
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// possible reports whether an IP packet that is not ICMP can match.
func possible(m *megaflow.Match) bool {
	if m.Mask.Uint(megaflow.EthType) == 0xffff {
		if t := m.Key.Uint(megaflow.EthType); t != 0x0800 && t != 0x86dd {
			return false
		}
	}
	if m.Mask.Uint(megaflow.IPProto) == 0xff {
		if p := m.Key.Uint(megaflow.IPProto); p == 1 || p == 58 {
			return false
		}
	}
	return true
}
