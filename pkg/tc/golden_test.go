package tc

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

var (
	macA    = ExactMAC([6]byte{2, 0, 0, 0, 0, 1})
	macB    = ExactMAC([6]byte{2, 0, 0, 0, 0, 2})
	cookie  = NewCookie([]byte{0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0, 0x11, 0x22, 0x33, 0x44, 0x55})
	addr    = func(s string) AddrMatch { return ExactAddr(netip.MustParseAddr(s)) }
	prefix  = func(s string) AddrMatch { return PrefixMatch(netip.MustParsePrefix(s)) }
	toP1    = Action{Kind: KindMirred, Verdict: Stolen, Op: EgressRedirect, Link: 11}
	popTag  = Action{Kind: KindVLAN, Verdict: Pipe, VLAN: VLANChange{Op: VLANPop}}
	unset   = Action{Kind: KindTunnelKey, Verdict: Pipe, Tunnel: TunnelKey{Op: TunnelRelease}}
	geneve  = GeneveOption(0x0102, 0x80, 0, 1, 0, 2) + GeneveOption(0x0103, 0x81, 0, 0, 0, 1, 0, 0, 0, 2)
	toP1Our = Action{Kind: KindMirred, Verdict: Stolen, Op: EgressRedirect, Link: 11, Cookie: cookie, Flags: NoPercpuStats}
)

// corpus is what the captured requests of tc say, by the name of the capture.
var corpus = map[string]Filter{
	"tcp4": {
		Link: 10, Parent: Ingress, Handle: 7, Pref: 16384, Protocol: ProtocolIPv4, Kind: KindFlower, Flags: SkipHW,
		Match: Match{SrcMAC: macA, DstMAC: macB, IPProto: 6, Src: addr("10.0.0.1"), Dst: addr("10.0.0.2"),
			SrcPort: ExactPort(40000), DstPort: ExactPort(5201), TCPFlags: Match16{0, 7}, Frag: NoFragments},
		Actions: []Action{toP1Our},
	},
	"udp4": {
		Link: 10, Parent: Ingress, Handle: 8, Pref: 16385, Protocol: ProtocolIPv4, Kind: KindFlower, Flags: SkipSW | Verbose,
		Match: Match{SrcMAC: macA, DstMAC: macB, IPProto: 17, Src: addr("10.0.0.1"), Dst: addr("10.0.0.2"),
			SrcPort: ExactPort(40000), DstPort: ExactPort(443), Frag: NoFragments},
		Actions: []Action{toP1Our},
	},
	"sctp6": {
		Link: 10, Parent: Ingress, Handle: 9, Pref: 16390, Protocol: ProtocolIPv6, Kind: KindFlower, Flags: Verbose,
		Match: Match{SrcMAC: macA, DstMAC: macB, IPProto: 132, Src: addr("2001:db8::1"), Dst: addr("2001:db8::2"),
			SrcPort: ExactPort(1), DstPort: ExactPort(65535), Frag: NoFragments},
		Actions: []Action{toP1Our},
	},
	"tcp6": {
		Link: 10, Parent: Ingress, Pref: 16388, Protocol: ProtocolIPv6, Kind: KindFlower, Flags: SkipHW,
		Match: Match{IPProto: 6, Src: prefix("2001:db8::/64"), Dst: addr("2001:db8::2"), DstPort: ExactPort(22),
			TCPFlags: Match16{2, 0x12}},
		Actions: []Action{toP1},
	},
	"esp4": {
		Link: 10, Parent: Ingress, Pref: 16387, Protocol: ProtocolIPv4, Kind: KindFlower, Flags: SkipHW,
		Match: Match{SrcMAC: MACMatch{[6]byte{2, 0, 0, 0, 0, 1}, [6]byte{0xff, 0xff, 0xff}}, DstMAC: macB, IPProto: 0x50,
			Src: prefix("10.0.0.0/24"), Dst: addr("10.0.0.2"), Frag: NoFragments},
		Actions: []Action{{Kind: KindMirred, Verdict: Stolen, Op: EgressRedirect, Link: 11, Cookie: NewCookie([]byte{0xaa, 0xbb, 0xcc})}},
	},
	"drop": {
		Link: 10, Parent: Ingress, Chain: 5, Pref: 3, Protocol: ProtocolIPv4, Kind: KindFlower, Flags: SkipHW,
		Match: Match{IPProto: 17, DstPort: ExactPort(53)},
		Actions: []Action{{Kind: KindGact, Verdict: Drop, HWStats: HWStatsImmediate, Cookie: NewCookie(
			[]byte{0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff})}},
	},
	"pass": {
		Link: 10, Parent: Egress, Pref: 4, Protocol: ProtocolIPv4, Kind: KindFlower,
		Match:   Match{IPProto: 17, DstPort: Match16{53, 0xfff0}},
		Actions: []Action{{Kind: KindGact, Verdict: Pass, Index: 9}},
	},
	"any": {
		Link: 10, Parent: Ingress, Pref: 5, Protocol: ProtocolAll, Kind: KindFlower, Flags: SkipHW,
		Match:   Match{DstMAC: MACMatch{[6]byte{1}, [6]byte{1}}},
		Actions: []Action{{Kind: KindGact, Verdict: Drop}},
	},
	"two-actions": {
		Link: 10, Parent: Ingress, Pref: 6, Protocol: ProtocolIPv4, Kind: KindFlower, Flags: SkipHW,
		Actions: []Action{{Kind: KindMirred, Verdict: Pipe, Op: EgressMirror, Link: 11}, {Kind: KindGact, Verdict: Drop}},
	},
	"replace": {
		Link: 10, Parent: Ingress, Handle: 7, Pref: 16384, Protocol: ProtocolIPv4, Kind: KindFlower, Flags: SkipHW,
		Match: Match{IPProto: 6}, Actions: []Action{toP1},
	},
	"ttl-guard": {
		Link: 10, Parent: Ingress, Pref: 7, Protocol: ProtocolIPv4, Kind: KindFlower, Flags: SkipHW,
		Match:   Match{TOS: Match8{0x28, 0xfc}, TTL: Match8{0, 0xfe}},
		Actions: []Action{{Kind: KindGact, Verdict: Pass}},
	},
	"hoplimit": {
		Link: 10, Parent: Ingress, Pref: 8, Protocol: ProtocolIPv6, Kind: KindFlower, Flags: SkipHW,
		Match:   Match{IPProto: 6, TOS: Exact8(2), TTL: Exact8(64)},
		Actions: []Action{{Kind: KindGact, Verdict: Pipe}},
	},
	"vlan": {
		Link: 10, Parent: Ingress, Pref: 9, Protocol: ProtocolVLAN, Kind: KindFlower, Flags: SkipHW,
		Match: Match{SrcMAC: macA, VLAN: VLANMatch{VLANTag(100, 3), ProtocolIPv4}, IPProto: 17, Src: addr("10.0.0.1"),
			DstPort: ExactPort(53)},
		Actions: []Action{popTag, toP1},
	},
	"vlan-any": {
		Link: 10, Parent: Ingress, Pref: 10, Protocol: ProtocolVLAN, Kind: KindFlower, Flags: SkipHW,
		Match: Match{VLAN: VLANMatch{TCI: VLANID(0)}},
		Actions: []Action{
			{Kind: KindVLAN, Verdict: Pipe, VLAN: VLANChange{VLANModify, VLANID(7), ProtocolQinQ}}, toP1,
		},
	},
	"qinq": {
		Link: 10, Parent: Ingress, Pref: 11, Protocol: ProtocolQinQ, Kind: KindFlower, Flags: SkipHW,
		Match: Match{VLAN: VLANMatch{VLANID(10), ProtocolVLAN}, CVLAN: VLANMatch{VLANTag(20, 0), ProtocolIPv6}, IPProto: 6,
			Dst: addr("2001:db8::2"), DstPort: ExactPort(22)},
		Actions: []Action{popTag,
			{Kind: KindVLAN, Verdict: Pipe, VLAN: VLANChange{VLANModify, VLANTag(21, 5), ProtocolVLAN}}, toP1,
		},
	},
	"vlan-push": {
		Link: 10, Parent: Ingress, Pref: 12, Protocol: ProtocolIPv4, Kind: KindFlower, Flags: SkipHW,
		Match: Match{IPProto: 6},
		Actions: []Action{
			{Kind: KindVLAN, Verdict: Pipe, VLAN: VLANChange{VLANPush, VLANTag(20, 0), ProtocolVLAN}},
			{Kind: KindVLAN, Verdict: Pipe, VLAN: VLANChange{VLANPush, VLANTag(10, 6), ProtocolQinQ}}, toP1Our,
		},
	},
	"snat4": {
		Link: 10, Parent: Ingress, Pref: 13, Protocol: ProtocolIPv4, Kind: KindFlower, Flags: SkipHW,
		Match: Match{IPProto: 6},
		Actions: []Action{
			{Kind: KindPedit, Verdict: Pipe, Rewrite: Rewrite{
				SrcMAC: ExactMAC([6]byte{2, 0, 0, 0, 0, 10}), DstMAC: ExactMAC([6]byte{2, 0, 0, 0, 0, 11}),
				Protocol: ProtocolIPv4, Src: addr("192.0.2.1"), Dst: addr("192.0.2.2"), TTLAdd: 255,
				IPProto: 6, SrcPort: ExactPort(1024), DstPort: ExactPort(80),
			}},
			{Kind: KindCsum, Verdict: Pipe, Checksums: ChecksumIPv4 | ChecksumTCP}, toP1Our,
		},
	},
	"snat6": {
		Link: 10, Parent: Ingress, Pref: 14, Protocol: ProtocolIPv6, Kind: KindFlower, Flags: SkipHW,
		Match: Match{IPProto: 17},
		Actions: []Action{
			{Kind: KindPedit, Verdict: Pipe, Rewrite: Rewrite{
				Protocol: ProtocolIPv6, Src: addr("2001:db8::a"), Dst: addr("2001:db8::b"), TTLAdd: 255,
				IPProto: 17, SrcPort: ExactPort(1024), DstPort: ExactPort(53),
			}},
			{Kind: KindCsum, Verdict: Pipe, Checksums: ChecksumUDP}, toP1,
		},
	},
	"pedit-fields": {
		Link: 10, Parent: Ingress, Pref: 15, Protocol: ProtocolIPv4, Kind: KindFlower, Flags: SkipHW,
		Actions: []Action{
			{Kind: KindPedit, Verdict: Pipe, Rewrite: Rewrite{
				DstMAC: ExactMAC([6]byte{2, 0, 0, 0, 0, 11}), Protocol: ProtocolIPv4, TOS: Match8{0x28, 0xfc}, TTL: Exact8(64),
			}},
			{Kind: KindCsum, Verdict: Pipe, Checksums: 0x7f}, {Kind: KindGact, Verdict: Drop},
		},
	},
	"pedit-fields6": {
		Link: 10, Parent: Ingress, Pref: 15, Protocol: ProtocolIPv6, Kind: KindFlower, Flags: SkipHW,
		Actions: []Action{
			{Kind: KindPedit, Verdict: Pipe, Rewrite: Rewrite{Protocol: ProtocolIPv6, TOS: Exact8(0x2e), TTL: Exact8(64)}},
			{Kind: KindGact, Verdict: Drop},
		},
	},
	"geneve-set": {
		Link: 10, Parent: Ingress, Pref: 16, Protocol: ProtocolIPv4, Kind: KindFlower, Flags: SkipHW,
		Actions: []Action{
			{Kind: KindTunnelKey, Verdict: Pipe, Tunnel: TunnelKey{
				Op: TunnelSet, ID: 5, Src: netip.MustParseAddr("10.1.0.1"), Dst: netip.MustParseAddr("10.1.0.2"), DstPort: 6081,
				TOS: 0x28, TTL: 64, Options: geneve,
			}}, toP1Our,
		},
	},
	"vxlan-set6": {
		Link: 10, Parent: Ingress, Pref: 17, Protocol: ProtocolIPv4, Kind: KindFlower, Flags: SkipHW,
		Actions: []Action{
			{Kind: KindTunnelKey, Verdict: Pipe, Tunnel: TunnelKey{
				Op: TunnelSet, Src: netip.MustParseAddr("2001:db8::1"), Dst: netip.MustParseAddr("2001:db8::2"), NoChecksum: true,
			}}, toP1,
		},
	},
	"geneve-match": {
		Link: 10, Parent: Ingress, Pref: 18, Protocol: ProtocolIPv4, Kind: KindFlower, Flags: SkipHW,
		Match: Match{IPProto: 6, Tunnel: TunnelMatch{
			ID: Exact32(5), Src: addr("10.1.0.2"), Dst: addr("10.1.0.1"), DstPort: ExactPort(6081),
			TOS: Match8{0x28, 0xfc}, TTL: Exact8(64),
			Options: GeneveMatch{geneve, GeneveOption(0xffff, 0xff, 0x7f, 0xff, 0xff, 0xff) +
				GeneveOption(0xffff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)},
		}},
		Actions: []Action{unset, toP1},
	},
	"vxlan-match6": {
		Link: 10, Parent: Ingress, Pref: 19, Protocol: ProtocolIPv6, Kind: KindFlower, Flags: SkipHW,
		Match:   Match{Tunnel: TunnelMatch{ID: Exact32(0), Src: prefix("2001:db8::/32"), Dst: addr("2001:db8::1")}},
		Actions: []Action{unset, toP1},
	},
	"nat": {
		Link: 10, Parent: Ingress, Pref: 21, Protocol: ProtocolIPv4, Kind: KindFlower, Flags: SkipHW,
		Actions: []Action{
			{Kind: KindNAT, Verdict: Pipe, NAT: AddrChange{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("192.0.2.1"), true}},
			{Kind: KindNAT, Verdict: Pipe, NAT: AddrChange{netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("10.0.0.2"), false}},
			toP1,
		},
	},
	"police": {
		Link: 10, Parent: Ingress, Pref: 20, Protocol: ProtocolIPv4, Kind: KindFlower, Flags: SkipHW,
		Actions: []Action{Police(5, Drop, Pipe), toP1},
	},
}

// others are the captured requests that are not new filters.
var others = map[string]func(*Batch) error{
	"qdisc-add-clsact": func(b *Batch) error { return b.AddClsact(10) },
	"qdisc-del-clsact": func(b *Batch) error { return b.DeleteClsact(10) },
	"chain-add":        func(b *Batch) error { return b.AddChain(10, Ingress, 7) },
	"del-pref":         func(b *Batch) error { return b.DeleteFilter(&Filter{Link: 10, Parent: Ingress, Pref: 16384}) },
	"del":              func(b *Batch) error { return b.DeleteFilter(&ref7) },
	"show":             func(b *Batch) error { return Scope{Link: 10, Parent: Ingress}.request(b) },
	"get":              func(b *Batch) error { return b.GetFilter(&ref7) },
}

var ref7 = Filter{Link: 10, Parent: Ingress, Handle: 7, Pref: 16384, Protocol: ProtocolIPv4, Kind: KindFlower}

// readCapture returns the captured message without its sequence number.
func readCapture(t testing.TB, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var msg []byte
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		b, err := hex.DecodeString(strings.ReplaceAll(lines.Text(), " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		msg = append(msg, b...)
	}
	clear(msg[8:12])
	return msg
}

// describe writes a message so that a difference can be read: one attribute per
// line, nested ones indented.
func describe(msg []byte) string {
	var s strings.Builder
	flags := native.Uint16(msg[6:]) &^ unix.NLM_F_ACK // Do asks for it where it is needed
	fmt.Fprintf(&s, "type %d flags %#x tcmsg % x\n", native.Uint16(msg[4:]), flags, msg[nlmsgHeaderLen:nlmsgHeaderLen+tcmsgLen])
	describeAttrs(&s, msg[nlmsgHeaderLen+tcmsgLen:], "  ", "")
	return s.String()
}

func describeAttrs(s *strings.Builder, b []byte, indent, path string) {
	var err error
	for a := (attrs{b: b, err: &err}); a.next(); {
		name := fmt.Sprintf("%s/%d", path, a.typ)
		deep := name == "/2" || name == "/2/3" || strings.HasPrefix(name, "/2/3/") && strings.Count(name, "/") < 5 && (strings.Count(name, "/") == 3 || a.typ == actOptions)
		if !deep {
			fmt.Fprintf(s, "%s%d: % x\n", indent, a.typ, a.val)
			continue
		}
		fmt.Fprintf(s, "%s%d:\n", indent, a.typ)
		describeAttrs(s, a.val, indent+"  ", name)
	}
	if err != nil {
		fmt.Fprintf(s, "%s%v\n", indent, err)
	}
}

// TestGolden compares what this package sends with what tc sent.
func TestGolden(t *testing.T) {
	captures, err := filepath.Glob("testdata/*.hex")
	if err != nil || len(captures) == 0 {
		t.Fatal("no captures", err)
	}
	for _, path := range captures {
		name := strings.TrimSuffix(filepath.Base(path), ".hex")
		t.Run(name, func(t *testing.T) {
			var b Batch
			if f, ok := corpus[name]; ok {
				how := uint16(Exclusive)
				if name == "replace" {
					how = 0 // tc's replace means: create or replace
				}
				err = b.AddFilter(&f, how)
			} else if other, ok := others[name]; ok {
				err = other(&b)
			} else {
				t.Fatal("capture without a counterpart")
			}
			if err != nil {
				t.Fatal(err)
			}
			want := readCapture(t, path)
			want[6] &^= unix.NLM_F_ACK
			if !bytes.Equal(b.buf, want) {
				t.Errorf("(-tc +ours)\n%s", cmp.Diff(describe(want), describe(b.buf)))
			}
		})
	}
}

// TestDecodeGolden reads the captures back.
func TestDecodeGolden(t *testing.T) {
	for name, want := range corpus {
		t.Run(name, func(t *testing.T) {
			var got Filter
			if err := got.decode(readCapture(t, "testdata/"+name+".hex")[nlmsgHeaderLen:], nlmsgHeaderLen); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, compare); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

var compare = cmp.Options{
	cmp.AllowUnexported(Cookie{}),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
}
