package megaflow

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
)

// outcome is what becomes of one packet.
type outcome struct {
	out   []uint32
	zones []flows.Zone
	frame flows.Frame // as it was put out last
	tuple flows.Tuple
	ttl   uint8
	odd   string // why a rule could not do the same: the first thing of that kind
}

func (o *outcome) strange(format string, args ...any) {
	if o.odd == "" {
		o.odd = fmt.Sprintf(format, args...)
	}
}

// is reports whether the outcome is exactly a path, of packets that come in with a TTL.
func (o *outcome) is(p Path, ttl uint8) bool {
	return o.odd == "" && len(o.out) == 1 && o.out[0] == p.Out && fmt.Sprint(o.zones) == fmt.Sprint(p.Zones) &&
		o.frame == p.Leaves && o.tuple == p.Tuple && o.ttl+p.Hops == ttl
}

// live is a packet with all that a datapath has of it.
type live struct {
	k       Key
	tags    []flows.Tag // the outermost first
	options string
	tunnel  flows.Ref[flows.Tunnel] // that it will be put into
	length  int                     // without tags
	ct      *flows.ZoneState        // what it was found to be in conntrack
	reply   bool
	looked  string // its addresses then
	natted  bool
}

// interpreter executes packets whose bits are all known: flow by flow, field by
// field. It shares with the code under test nothing but the vocabulary.
type interpreter struct {
	rnd   *rand.Rand
	flows []Flow
	rules *pipeline // instead of flows
	conn  Connection
	quiet bool // translated as the userspace datapath does
	steps int
	first uint8      // TTL of the packet when it came in
	again func(live) // what to do with a packet that is matched anew
	outcome
}

// complete fills in what is not known of a packet.
func complete(rnd *rand.Rand, p Packet) Key {
	k := p.Key
	for i := range k {
		k[i] |= rnd.Uint64() & rnd.Uint64() &^ p.Known[i]
	}
	k.SetUint(IPTTL, flows.MaxHops+1+rnd.Uint64N(250))
	if rnd.IntN(2) == 0 { // values that flows ask for
		for _, f := range []Field{IPTOS, SkbMark} {
			k.SetUint(f, rnd.Uint64N(3))
		}
		k.SetUint(IPTTL, 4+rnd.Uint64N(3))
	}
	return k
}

func (in *interpreter) start(k Key) live {
	in.first = uint8(k.Uint(IPTTL))
	if in.again == nil {
		in.again = in.packet
	}
	l := live{k: k, length: 60 + in.rnd.IntN(9000)}
	if in.conn.MaxFrame > 0 {
		l.length = 60 + in.rnd.IntN(in.conn.MaxFrame-59)
	}
	for _, t := range [2][2]Field{{VLANType, VLANTCI}, {InnerType, InnerTCI}} {
		if tci := k.Uint(t[1]); tci != 0 {
			l.tags = append(l.tags, flows.Tag{Type: uint16(k.Uint(t[0])), ID: uint16(tci & 0xfff), Priority: uint8(tci >> 13)})
		}
	}
	return l
}

func (in *interpreter) packet(l live) {
	if in.steps++; in.steps > 60 {
		in.strange("no end")
		return
	}
	if in.rules != nil {
		in.execute(in.rules.find(&l), l)
		return
	}
	for i := range in.flows {
		if f := &in.flows[i]; in.matches(f, &l) {
			in.execute(f.Actions, l)
			return
		}
	}
	in.strange("no flow")
}

func (in *interpreter) matches(f *Flow, l *live) bool {
	for field := range numFields {
		mask, want, is := f.Match.Mask.bytes(field), f.Match.Key.bytes(field), l.k.bytes(field)
		for i := range mask {
			if want[i]&mask[i] != is[i]&mask[i] {
				return false
			}
		}
	}
	if o := f.Match.Options.Value(); o.Mask != "" {
		if len(l.options) != len(o.Mask) {
			return false
		}
		for i := range o.Mask {
			if l.options[i]&o.Mask[i] != o.Value[i]&o.Mask[i] {
				return false
			}
		}
	}
	return f.Unknown == "" || in.rnd.IntN(2) == 0
}

// bytes returns any field in 16 bytes.
func (k *Key) bytes(f Field) (v [16]byte) {
	if places[f].bits > 64 {
		return k.Wide(f)
	}
	for i, u := 15, k.Uint(f); u > 0; i, u = i-1, u>>8 {
		v[i] = byte(u)
	}
	return v
}

func (k *Key) setBytes(f Field, v [16]byte) {
	if places[f].bits > 64 {
		k.SetWide(f, v)
		return
	}
	u := uint64(0)
	for _, b := range v[8:] {
		u = u<<8 | uint64(b)
	}
	k.SetUint(f, u)
}

func (in *interpreter) execute(actions []Action, l live) {
	if len(actions) == 0 {
		in.strange("drop")
	}
	for i, a := range actions {
		switch a.(type) {
		case Output, TunnelOutput, Recirc, CheckLength:
			if i != len(actions)-1 {
				in.strange("%T does not end it", a)
			}
		}
		in.one(a, &l)
	}
}

func (in *interpreter) one(a Action, l *live) {
	switch a := a.(type) {
	case Output:
		in.output(a.Port, l)
	case TunnelOutput:
		l.tunnel = a.Tunnel
		in.output(a.Port, l)
	case Recirc:
		if l.tunnel != (flows.Ref[flows.Tunnel]{}) {
			in.strange("recirculated in a tunnel")
		}
		next := *l
		next.tags = append([]flows.Tag(nil), l.tags...)
		next.k.SetUint(RecircID, uint64(a.ID))
		in.again(next)
	case CT:
		in.track(a, l)
	case CTClear:
		clearCT(&l.k)
		l.ct = nil
	case PushVLAN:
		if len(l.tags) == 2 {
			in.strange("third tag")
			return
		}
		in.tag(l, append([]flows.Tag{a.Tag}, l.tags...))
	case PopVLAN:
		in.tag(l, l.tags[min(1, len(l.tags)):])
	case Set:
		if a.Field == IPTOS {
			in.strange("set tos")
		}
		v := l.k.bytes(a.Field)
		for i := range v {
			v[i] = v[i]&^a.Mask[i] | a.Value[i]&a.Mask[i]
		}
		l.k.setBytes(a.Field, v)
	case DecTTL:
		if ttl := l.k.Uint(IPTTL); ttl > uint64(a.N) {
			l.k.SetUint(IPTTL, ttl-uint64(a.N))
		} else {
			in.strange("the TTL is used up")
		}
	case Encap:
		l.tunnel = a.Tunnel
	case CheckLength:
		in.check(a, l)
	case Unsupported:
		in.strange("%s", a.Name)
	}
}

func (in *interpreter) check(a CheckLength, l *live) {
	if fmt.Sprint(a.Longer) != fmt.Sprint(a.Fits) && (in.conn.MaxFrame == 0 || in.conn.MaxFrame+4*len(l.tags) > int(a.Size)) {
		in.strange("length")
	}
	if l.length+4*max(0, len(l.tags)-1) > int(a.Size) {
		in.execute(a.Longer, *l)
	} else {
		in.execute(a.Fits, *l)
	}
}

func (in *interpreter) output(port uint32, l *live) {
	in.out = append(in.out, port)
	if port == uint32(l.k.Uint(InPort)) {
		in.strange("back")
	}
	var macs [2][16]byte
	macs[0], macs[1] = l.k.bytes(EthSrc), l.k.bytes(EthDst)
	in.frame = flows.Frame{SrcMAC: flows.MAC(macs[0][10:]), DstMAC: flows.MAC(macs[1][10:]), Tunnel: l.tunnel}
	copy(in.frame.Tags[:], l.tags)
	src, dst := l.k.bytes(IPSrc), l.k.bytes(IPDst)
	in.tuple = flows.Tuple{
		Src: netip.AddrFrom4([4]byte(src[12:])), Dst: netip.AddrFrom4([4]byte(dst[12:])),
		SrcPort: uint16(l.k.Uint(TPSrc)), DstPort: uint16(l.k.Uint(TPDst)), Proto: flows.TCP,
	}
	in.ttl = uint8(l.k.Uint(IPTTL))
	if int(in.first)-int(in.ttl) > flows.MaxHops {
		in.strange("many routers")
	}
}

func (in *interpreter) tag(l *live, tags []flows.Tag) {
	l.tags = tags
	for i, f := range [2][2]Field{{VLANType, VLANTCI}, {InnerType, InnerTCI}} {
		l.k.SetUint(f[0], 0)
		l.k.SetUint(f[1], 0)
		if i < len(tags) {
			l.k.SetUint(f[0], uint64(tags[i].Type))
			l.k.SetUint(f[1], uint64(tags[i].ID)|0x1000|uint64(tags[i].Priority)<<13)
		}
	}
}

func clearCT(k *Key) {
	for f := range numFields {
		switch f {
		case CTState, CTZone, CTMark, CTIPProto, CTTPSrc, CTTPDst:
			k.SetUint(f, 0)
		case CTLabel, CTIPSrc, CTIPDst:
			k.SetWide(f, [16]byte{})
		}
	}
}

// four writes addresses and ports as one string.
func four(k *Key) string {
	return fmt.Sprint(k.bytes(IPSrc), k.bytes(IPDst), k.Uint(TPSrc), k.Uint(TPDst))
}

func written(t flows.Tuple) string {
	var k Key
	write(&k, [4]Field{IPSrc, IPDst, TPSrc, TPDst}, t)
	return four(&k)
}

// write puts a tuple into four fields: of addresses, then of ports.
func write(k *Key, to [4]Field, t flows.Tuple) {
	for i, a := range []netip.Addr{t.Src, t.Dst} {
		four := a.As4()
		k.SetWide(to[i], [16]byte(append(bytes.Repeat([]byte{0}, 12), four[:]...)))
	}
	k.SetUint(to[2], uint64(t.SrcPort))
	k.SetUint(to[3], uint64(t.DstPort))
}

func (in *interpreter) track(a CT, l *live) {
	in.zones = append(in.zones, a.Zone)
	if l.ct == nil || l.ct.Zone != a.Zone {
		l.ct, l.natted = nil, false
		for i := range in.conn.States {
			s := &in.conn.States[i]
			if s.Zone == a.Zone && (four(&l.k) == written(s.Tuple) || four(&l.k) == written(s.Reply)) {
				l.ct, l.reply, l.looked = s, four(&l.k) != written(s.Tuple), four(&l.k)
				break
			}
		}
		if l.ct == nil {
			in.strange("zone %d", a.Zone)
			return
		}
		l.k.SetUint(CTState, 0)
	}
	s := l.ct
	if a.Helper != "" || a.Commit && s.Mark&^a.MarkMask|a.Mark&a.MarkMask != s.Mark || a.Force && l.reply {
		in.strange("%+v", a)
	}
	state := l.k.Uint(CTState)&0xc0 | 0x22
	if l.reply {
		state |= 8
	}
	if a.NAT && !l.natted && l.k.Uint(CTState)&0xc0 == 0 {
		state |= in.translate(a, l)
	}
	l.k.SetUint(CTState, state)
	l.k.SetUint(CTZone, uint64(s.Zone))
	l.k.SetUint(CTMark, uint64(s.Mark))
	l.k.SetWide(CTLabel, [16]byte{})
	l.k.SetUint(CTIPProto, 6)
	write(&l.k, [4]Field{CTIPSrc, CTIPDst, CTTPSrc, CTTPDst}, s.Tuple)
}

// translate does one or both manipulations, as nf_ct_nat does, and returns the bits for
// those that it did.
func (in *interpreter) translate(a CT, l *live) (bits uint64) {
	s := l.ct
	out := s.Reply.Reverse()
	src := out.Src != s.Tuple.Src || out.SrcPort != s.Tuple.SrcPort
	dst := out.Dst != s.Tuple.Dst || out.DstPort != s.Tuple.DstPort
	var manips []string
	switch {
	case src && dst:
		manips = []string{"src", "dst"}
	case src && !l.reply, dst && l.reply:
		manips = []string{"src"}
	case src:
		manips = []string{"dst"}
	case dst && in.quiet:
		manips = []string{"dst"}
	case dst:
		manips = []string{"dst", "src"}
	case a.NATSrc:
		manips = []string{"src"}
	case a.NATDst:
		manips = []string{"dst"}
	}
	if (src || dst) && four(&l.k) != l.looked {
		in.strange("translated behind another change")
	}
	if l.reply {
		out = s.Tuple.Reverse()
	}
	for _, m := range manips {
		k := l.k
		if src || dst {
			write(&k, [4]Field{IPSrc, IPDst, TPSrc, TPDst}, out)
		}
		if m == "src" {
			bits |= 0x40
			l.k.setBytes(IPSrc, k.bytes(IPSrc))
			l.k.SetUint(TPSrc, k.Uint(TPSrc))
		} else {
			bits |= 0x80
			l.k.setBytes(IPDst, k.bytes(IPDst))
			l.k.SetUint(TPDst, k.Uint(TPDst))
		}
	}
	l.natted = src || dst
	return bits
}
