package tc

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestDecodeTolerates reads a filter with unknown attributes and actions.
func TestDecodeTolerates(t *testing.T) {
	f := corpus["tcp4"]
	b := f.appendID(f.appendTCMsg(nil))
	b = appendU32(b, 99, 1)
	b, opts := openNest(b, attrOptions)
	b = f.Match.appendKeys(b)
	b = appendU16(b, 91, 2) // conntrack state
	b, acts := openNest(b, flowerAct)
	b, ct := openNest(b, 1)
	b = appendString(b, actKind, "ct")
	b = appendBytes(b, actOptions|nested, []byte{1, 2, 3})
	closeNest(b, ct)
	closeNest(b, acts)
	closeNest(b, opts)

	var got Filter
	if err := got.decode(b, nlmsgHeaderLen); err != nil {
		t.Fatal(err)
	}
	if !got.Partial {
		t.Error("a filter with a conntrack match is not marked as partial")
	}
	if len(got.Actions) != 1 || got.Actions[0].Kind != "ct" || !got.Actions[0].Partial {
		t.Errorf("actions %+v, want one partial ct", got.Actions)
	}
	if got.Match.SrcPort != f.Match.SrcPort {
		t.Errorf("source port %v, want %v", got.Match.SrcPort, f.Match.SrcPort)
	}
}

// TestActionPartial: options that an Action cannot say are marked, padding is not.
func TestActionPartial(t *testing.T) {
	base := map[string]Action{KindMirred: toP1, KindGact: {Kind: KindGact}, KindVLAN: popTag, KindTunnelKey: unset,
		KindPolice: Police(5, Drop, Pipe), KindCsum: {Kind: KindCsum, Checksums: ChecksumTCP},
		KindPedit: {Kind: KindPedit, Rewrite: Rewrite{SrcMAC: macA}}}
	read := func(kind string, more ...byte) Action {
		a := base[kind]
		b, err := a.appendOptions(nil)
		if err != nil {
			t.Fatal(err)
		}
		got := Action{Kind: kind}
		got.decodeOptions(attrs{b: append(b, more...), err: &err})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for kind, padding := range map[string]uint16{KindMirred: 3, KindGact: 4, KindVLAN: 5, KindTunnelKey: 8, KindPolice: 7, KindCsum: 3, KindPedit: 3} {
		want := base[kind]
		if got := read(kind, appendHeader(nil, padding, 0)...); !got.Same(&want) {
			t.Errorf("%s: %+v, want %+v", kind, got, want)
		}
		if got := read(kind, appendU32(nil, 60, 1)...); !got.Partial || got.Same(&got) {
			t.Errorf("%s with an unknown option: %+v", kind, got)
		}
	}
	if got := read(KindGact, appendU32(nil, 3, 1)...); !got.Partial {
		t.Error("gact with a probability is not partial")
	}
	if got := read(KindTunnelKey, native.AppendUint32(append(appendHeader(nil, optParms, 24), zeros[:20]...), 1)...); !got.Partial {
		t.Errorf("key without an ID: %+v", got)
	}
	if got := read(KindVLAN, native.AppendUint32(append(appendHeader(nil, optParms, 24), zeros[:20]...), 4)...); !got.Partial {
		t.Errorf("pop_eth: %+v", got)
	}
}

// TestSame: of indexes only that of a shared action counts.
func TestSame(t *testing.T) {
	a, b := Police(5, Drop, Pipe), Police(6, Drop, Pipe)
	if a.Same(&b) || !a.Same(&a) {
		t.Error("the index of a shared action does not count")
	}
	c, d := toP1, toP1Our
	if c.Index = 7; !c.Same(&d) {
		t.Error("the index that the kernel has chosen counts")
	}
}

// TestInnerType: of a tagged packet the kernel reports the type behind the tags, and
// a filter with any other type is not what its protocol says.
func TestInnerType(t *testing.T) {
	for _, name := range []string{"vlan", "qinq"} {
		f := corpus[name]
		for ethType, partial := range map[uint16]bool{f.Protocol: false, f.Match.network(f.Protocol): false, 0x0806: true} {
			b := f.appendID(f.appendTCMsg(nil))
			b, opts := openNest(b, attrOptions)
			b = appendBE16(f.Match.appendKeys(b), flowerEthType, ethType)
			closeNest(b, opts)
			var got Filter
			if err := got.decode(b, 0); err != nil || got.Partial != partial || got.Match != f.Match {
				t.Errorf("%s with type %#04x: %v, %+v", name, ethType, err, got)
			}
		}
	}
}

// TestGeneveDecode reads options as the kernel reports them, in one nest, and refuses
// what no header can have.
func TestGeneveDecode(t *testing.T) {
	option := func(b []byte, data int) []byte {
		b = appendU8(appendBE16(b, geneveClass, 0x0102), geneveType, 0x80)
		return appendBytes(b, geneveData, make([]byte, data))
	}
	nest := func(typ uint16, options ...int) (b []byte) {
		b, at := openNest(b, typ)
		for _, n := range options {
			b = option(b, n)
		}
		closeNest(b, at)
		return b
	}
	read := func(b []byte) (GeneveOptions, bool) {
		var err error
		return decodeGeneve(attrs{b: b, err: &err})
	}
	want := GeneveOption(0x0102, 0x80, make([]byte, 8)...) + GeneveOption(0x0102, 0x80, make([]byte, 124)...)
	if got, ok := read(nest(geneveOption, 8, 124)); !ok || got != want {
		t.Errorf("%x, %v, want %x", got, ok, want)
	}
	for name, b := range map[string][]byte{
		"VXLAN":    nest(2, 4),
		"empty":    nest(geneveOption, 0),
		"uneven":   nest(geneveOption, 6),
		"long":     nest(geneveOption, 128),
		"too much": nest(geneveOption, 124, 124),
	} {
		if got, ok := read(b); ok {
			t.Errorf("%s: %x", name, got)
		}
	}
	if m := ExactGeneve(want); m.validate() != nil || m.Mask[3] != 2 || m.Mask[15] != 31 || m.Mask[2] != 0xff {
		t.Errorf("exact: %x", m.Mask)
	}
}

// TestDecodeForeignKind reads a filter of another classifier, whose options have
// another meaning.
func TestDecodeForeignKind(t *testing.T) {
	f := Filter{Link: 3, Parent: Ingress, Pref: 1, Protocol: ProtocolAll, Kind: "matchall", Handle: 1}
	b := appendBytes(f.appendID(f.appendTCMsg(nil)), attrOptions, []byte{1, 2, 3, 4, 5})
	var got Filter
	if err := got.decode(b, 0); err != nil {
		t.Fatal(err)
	}
	f.Partial = true
	if diff := cmp.Diff(f, got, compare); diff != "" {
		t.Error(diff)
	}
}

// TestDecodeStats reads counters as the kernel writes them, with the 64-bit
// number of packets behind the basic struct that it belongs to.
func TestDecodeStats(t *testing.T) {
	basic := func(b []byte, typ uint16, bytes uint64, packets uint32) []byte {
		b = native.AppendUint64(appendHeader(b, typ, 16), bytes)
		return append(native.AppendUint32(b, packets), 0, 0, 0, 0)
	}
	pkt64 := func(b []byte, n uint64) []byte { return native.AppendUint64(appendHeader(b, statsPkt64, 8), n) }

	b := appendString(nil, actKind, KindMirred)
	b, stats := openNest(b, actStats)
	b = pkt64(basic(b, statsBasic, 1<<40, 5), 1<<32+5)
	b = basic(b, statsBasicHW, 1<<39, 7)
	closeNest(b, stats)
	b, opts := openNest(b, actOptions)
	b = native.AppendUint64(appendHeader(b, optTM, 32), 1000)
	b = append(native.AppendUint64(b, 250), make([]byte, 16)...)
	closeNest(b, opts)

	var err error
	var a Action
	a.decode(attrs{b: b, err: &err})
	want := Stats{Total: Counters{1<<32 + 5, 1 << 40}, Hardware: Counters{7, 1 << 39}}
	if err != nil || a.Stats != want {
		t.Errorf("%+v, %v, want %+v", a.Stats, err, want)
	}
	if a.Age != 10*time.Second || a.Idle != 2500*time.Millisecond {
		t.Errorf("age %v, idle %v", a.Age, a.Idle)
	}
}

func TestDecodeErrorsHaveOffsets(t *testing.T) {
	msg := readCapture(t, "testdata/tcp4.hex")
	for name, tt := range map[string]struct {
		change func([]byte) []byte
		offset int
	}{
		"short":         {func(b []byte) []byte { return b[:30] }, 16},
		"long kind":     {func(b []byte) []byte { b[36] = 0xff; b[37] = 0xff; return b }, 36},
		"empty":         {func(b []byte) []byte { b[36] = 3; return b }, 36},
		"short address": {func(b []byte) []byte { b[52] = 6; return b }, 56},
	} {
		t.Run(name, func(t *testing.T) {
			b := tt.change(append([]byte(nil), msg...))
			var f Filter
			err := f.decode(b[nlmsgHeaderLen:], nlmsgHeaderLen)
			var de *DecodeError
			if !errors.As(err, &de) || de.Offset != tt.offset {
				t.Errorf("got %v, want an error at byte %d", err, tt.offset)
			}
		})
	}
}

func TestEncodeRefuses(t *testing.T) {
	v6 := netip.MustParseAddr("::1")
	for name, f := range map[string]Filter{
		"kind":      {Kind: "u32"},
		"ports":     {Kind: KindFlower, Match: Match{IPProto: 50, DstPort: ExactPort(1)}},
		"flags":     {Kind: KindFlower, Match: Match{IPProto: 17, TCPFlags: Match16{0, 7}}},
		"family":    {Kind: KindFlower, Protocol: ProtocolIPv4, Match: Match{Src: ExactAddr(v6)}},
		"no mask":   {Kind: KindFlower, Protocol: ProtocolIPv6, Match: Match{Src: AddrMatch{Value: v6}}},
		"mapped":    {Kind: KindFlower, Protocol: ProtocolIPv6, Match: Match{Src: ExactAddr(netip.MustParseAddr("::ffff:1.2.3.4"))}},
		"action":    {Kind: KindFlower, Actions: []Action{{Kind: "ct"}}},
		"too many":  {Kind: KindFlower, Actions: make([]Action, MaxActions+1)},
		"tag":       {Kind: KindFlower, Protocol: ProtocolIPv4, Match: Match{VLAN: VLANMatch{TCI: VLANID(1)}}},
		"inner tag": {Kind: KindFlower, Protocol: ProtocolVLAN, Match: Match{CVLAN: VLANMatch{TCI: VLANID(1)}}},
		"half tag":  {Kind: KindFlower, Protocol: ProtocolVLAN, Match: Match{VLAN: VLANMatch{TCI: Match16{1, 0xff}}}},
		"drop bit":  {Kind: KindFlower, Protocol: ProtocolVLAN, Match: Match{VLAN: VLANMatch{TCI: Match16{1, 0x1fff}}}},
		"no type":   {Kind: KindFlower, Protocol: ProtocolVLAN, Match: Match{VLAN: VLANMatch{TCI: VLANID(1)}, IPProto: 6}},
		"no IP":     {Kind: KindFlower, Protocol: ProtocolAll, Match: Match{TTL: Exact8(1)}},
		"half VNI":  {Kind: KindFlower, Match: Match{Tunnel: TunnelMatch{ID: Match32{1, 1}}}},
		"families":  {Kind: KindFlower, Match: Match{Tunnel: TunnelMatch{Src: addr("::1"), Dst: addr("1.2.3.4")}}},
		"no masks":  {Kind: KindFlower, Match: Match{Tunnel: TunnelMatch{Options: GeneveMatch{Value: geneve}}}},
		"lengths": {Kind: KindFlower, Match: Match{Tunnel: TunnelMatch{Options: GeneveMatch{
			GeneveOption(1, 1, 0, 0, 0, 0) + GeneveOption(1, 1, 0, 0, 0, 0), GeneveOption(1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)}}}},
		"half option": {Kind: KindFlower, Match: Match{Tunnel: TunnelMatch{Options: GeneveMatch{geneve[:10], geneve[:10]}}}},
		"no action":   {Kind: KindFlower, Actions: make([]Action, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			var b Batch
			if err := b.AddFilter(&ref7, 0); err != nil {
				t.Fatal(err)
			}
			before := len(b.buf)
			if err := b.AddFilter(&f, 0); !errors.Is(err, ErrInvalid) {
				t.Errorf("got %v, want ErrInvalid", err)
			}
			if b.Len() != 1 || len(b.buf) != before {
				t.Error("a refused request left something in the batch")
			}
		})
	}
}

// TestActionRefuses: what no rule can mean is not sent.
func TestActionRefuses(t *testing.T) {
	v4, v6 := netip.MustParseAddr("1.2.3.4"), netip.MustParseAddr("::1")
	set := TunnelKey{Op: TunnelSet, Src: v4, Dst: v4}
	tunnel := func(change func(*TunnelKey)) Action {
		k := set
		change(&k)
		return Action{Kind: KindTunnelKey, Tunnel: k}
	}
	for name, a := range map[string]Action{
		"vlan of nothing":   {Kind: KindVLAN},
		"pop with a tag":    {Kind: KindVLAN, VLAN: VLANChange{VLANPop, VLANID(1), 0}},
		"push of no tag":    {Kind: KindVLAN, VLAN: VLANChange{Op: VLANPush}},
		"push of IPv4":      {Kind: KindVLAN, VLAN: VLANChange{VLANPush, VLANID(1), ProtocolIPv4}},
		"unknown vlan":      {Kind: KindVLAN, VLAN: VLANChange{Op: 4}},
		"csum of nothing":   {Kind: KindCsum},
		"police of nothing": {Kind: KindPolice},
		"tunnel of nothing": {Kind: KindTunnelKey},
		"release with key":  tunnel(func(k *TunnelKey) { k.Op = TunnelRelease }),
		"families":          tunnel(func(k *TunnelKey) { k.Dst = v6 }),
		"no address":        tunnel(func(k *TunnelKey) { k.Src, k.Dst = netip.Addr{}, netip.Addr{} }),
		"half an option":    tunnel(func(k *TunnelKey) { k.Options = geneve[:9] }),
		"many options":      tunnel(func(k *TunnelKey) { k.Options = GeneveOptions(strings.Repeat(string(geneve), 13)) }),
		"rewrite nothing":   {Kind: KindPedit},
		"no header":         {Kind: KindPedit, Rewrite: Rewrite{TTLAdd: 255}},
		"no transport":      {Kind: KindPedit, Rewrite: Rewrite{SrcPort: ExactPort(1)}},
		"SCTP":              {Kind: KindPedit, Rewrite: Rewrite{IPProto: protoSCTP, SrcPort: ExactPort(1)}},
		"empty header":      {Kind: KindPedit, Rewrite: Rewrite{SrcMAC: macA, Protocol: ProtocolIPv4}},
		"empty transport":   {Kind: KindPedit, Rewrite: Rewrite{SrcMAC: macA, IPProto: protoTCP}},
		"other family":      {Kind: KindPedit, Rewrite: Rewrite{Protocol: ProtocolIPv4, Src: ExactAddr(v6)}},
		"other header":      {Kind: KindPedit, Rewrite: Rewrite{Protocol: ProtocolVLAN, Src: ExactAddr(v6)}},
		"two TTLs":          {Kind: KindPedit, Rewrite: Rewrite{Protocol: ProtocolIPv4, TTL: Exact8(1), TTLAdd: 1}},
	} {
		if _, err := a.append(nil, 1); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

// FuzzDecode checks that no input makes the decoder panic or allocate without
// bound, and that what it understands in full survives a round trip.
func FuzzDecode(f *testing.F) {
	for name := range corpus {
		f.Add(readCapture(f, "testdata/"+name+".hex")[nlmsgHeaderLen:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var first, second Filter
		if first.decode(b, 0) != nil || first.Partial {
			return
		}
		for i := range first.Actions {
			a := &first.Actions[i]
			if a.Partial {
				return
			}
			a.Stats, a.InHWCount, a.Age, a.Idle = Stats{}, 0, 0, 0
		}
		first.InHWCount = 0
		again, err := first.append(nil)
		if err != nil {
			return // what no request can say, like an address without its mask
		}
		if err := second.decode(again, 0); err != nil {
			t.Fatalf("our own encoding of %+v is malformed: %v", first, err)
		}
		for i := range first.Actions {
			if !first.Actions[i].Same(&second.Actions[i]) {
				t.Fatalf("action %+v became %+v", first.Actions[i], second.Actions[i])
			}
		}
		third, err := second.append(nil)
		if err != nil || string(again) != string(third) {
			t.Fatalf("round trip of %+v gave %+v, %v", first, second, err)
		}
	})
}

// FuzzMessage checks that no datagram makes the framing panic.
func FuzzMessage(f *testing.F) {
	for name := range corpus {
		f.Add(readCapture(f, "testdata/"+name+".hex"))
	}
	f.Add(append([]byte{36, 0, 0, 0, 2, 0, 0, 3}, make([]byte, 28)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			m, rest, err := cutMessage(b)
			if err != nil {
				return
			}
			for _, op := range []string{"add filter", "get ingress qdisc"} {
				_ = new(Result).take(m, op)
			}
			if len(rest) >= len(b) {
				t.Fatal("no progress")
			}
			b = rest
		}
	})
}

// routed are the filters of the benchmarks: the plain one, one with NAT, and the two
// ends of a tunnel.
var routed = []string{"tcp4", "snat4", "geneve-set", "geneve-match"}

func BenchmarkEncode(b *testing.B) {
	for _, name := range routed {
		b.Run(name, func(b *testing.B) {
			f := corpus[name]
			var batch Batch
			b.ReportAllocs()
			for b.Loop() {
				batch.Reset()
				if err := batch.AddFilter(&f, Exclusive); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, name := range routed {
		b.Run(name, func(b *testing.B) {
			msg := readCapture(b, "testdata/"+name+".hex")[nlmsgHeaderLen:]
			var f Filter
			b.ReportAllocs()
			for b.Loop() {
				if err := f.decode(msg, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
