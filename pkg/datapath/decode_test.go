package datapath

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

var (
	macs     = []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}
	ethernet = attr(keyEthernet, macs)
	ipv4     = attr(keyEthertype, []byte{8, 0})
	exact2   = attr(keyEthertype, []byte{255, 255})
)

func ones(n int) []byte { return bytes.Repeat([]byte{255}, n) }

// ip4 is a key of IPv4 of a protocol.
func ip4(proto byte) []byte { return attr(keyIPv4, []byte{10, 0, 0, 1, 10, 0, 0, 2, proto, 0, 64, 0}) }

// sample is a flow of TCP as the kernel lists it.
func sample() []byte {
	return slices.Concat(
		attr(flowKey, attr(keyRecircID, u32(5)), attr(keyInPort, u32(3)), attr(keyCTState, u32(0x22)), attr(keyCTZone, []byte{7, 0}),
			attr(keyCTLabels, []byte{1}, make([]byte, 15)), ethernet, ipv4, ip4(6), attr(keyTCP, []byte{0x9c, 0x40, 0x14, 0x51}), attr(keyTCPFlags, []byte{0, 0})),
		attr(flowMask, attr(keyRecircID, ones(4)), attr(keyInPort, ones(4)), attr(keyTunnel, attr(0, ones(8))), attr(keyCTState, u32(0x3f)), attr(keyCTZone, []byte{0, 0}),
			attr(keyCTLabels, []byte{1}, make([]byte, 15)), attr(keyEthernet, make([]byte, 6), ones(6)), exact2,
			attr(keyIPv4, []byte{255, 255, 0, 0, 0, 0, 0, 0, 255, 0, 0, 255}), attr(keyTCP, []byte{0, 0, 255, 255}), attr(keyTCPFlags, []byte{0, 2})),
		attr(flowStats, []byte{9, 0, 0, 0, 0, 0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0}),
		attr(flowUsed, native.AppendUint64(nil, 58_000)),
		attr(flowActions, attr(actOutput, u32(4))),
	)
}

func TestDecodeFlow(t *testing.T) {
	f, ours, err := decodeFlow(sample(), time.Minute)
	must(t, err)
	want := "recirc_id=0x5/0xffffffff,in_port=0x3/0xffffffff,eth_dst=0x20000000002/0xffffffffffff,eth_type=0x800/0xffff,vlan_tci=0x0/0xffff," +
		"nw_proto=0x6/0xff,ip_frag=0x0/0xff,tp_dst=0x1451/0xffff,tcp_flags=0x0/0x2,ct_state=0x22/0x3f," +
		"ip_src=0000000000000000000000000a000000/000000000000000000000000ffff0000,ct_label=00000000000000000000000000000001/00000000000000000000000000000001,tun_id=0x0/0xffffffffffffffff"
	if got := renderMatch(&f.Match); got != want || !ours || f.Unknown != "" || f.Packets != 9 || f.Bytes != 99 || f.Idle != 2*time.Second || len(f.Actions) != 1 {
		t.Errorf("%v %+v\n%s\n%s", ours, f, got, want)
	}
}

// The kernel does not tell when a flow was used whose only packet was the one that OVS
// made it for, which OVS sent on itself: that may be long ago.
func TestNeverUsed(t *testing.T) {
	used := attr(flowUsed, native.AppendUint64(nil, 58_000))
	f, ours, err := decodeFlow(bytes.Replace(sample(), used, nil, 1), time.Minute)
	must(t, err)
	if !ours || f.Idle < time.Hour {
		t.Errorf("%v, idle for %v", ours, f.Idle)
	}
}

// TestDecodeMatch: what is left out, what is kept in doubt, and what a missing mask
// means.
func outer4(tos byte) []byte {
	return attr(keyTunnel, attr(tunID, []byte{7: 7}), attr(tunSrc4, []byte{192, 0, 2, 1}), attr(tunDst4, []byte{192, 0, 2, 2}), attr(tunTOS, []byte{tos}), attr(tunTTL, []byte{64}),
		attr(tunCsum), attr(tunGeneve, []byte{1, 2, 0x80, 1, 0, 3, 0, 2}))
}

var outer4Mask = attr(keyTunnel, attr(tunID, full[:8]), attr(tunSrc4, full[:4]), attr(tunDst4, full[:4]), attr(tunTOS, full[:1]), attr(tunTTL, []byte{0}),
	attr(tunNoBreak), attr(tunCsum), attr(tunOAM), attr(tunGeneve, []byte{0, 0, 0, 0, 0, 0, 0x7f, 0xff}))

func TestDecodeMatch(t *testing.T) {
	plain := slices.Concat(attr(keyInPort, u32(3)), ethernet, ipv4)
	for _, test := range []struct {
		name      string
		key, mask []byte // mask nil: none
		ours      bool
		unknown   string
		match     string // parts that it must have
	}{
		{"no mask is exact", slices.Concat(plain, ip4(6)), nil, true, "", "in_port=0x3/0xffffffff,eth_src=0x20000000001/0xffffffffffff"},
		{"missing in the mask is wildcarded", plain, attr(keyInPort, ones(4)), true, "", "in_port=0x3/0xffffffff,vlan_tci=0x0/0xffff"},
		{"any port", plain, attr(keyInPort, u32(0xffff0000)), true, "", "in_port=0x0/0xffff0000"},
		{"no port", slices.Concat(ethernet, ipv4), attr(keyInPort, ones(4)), true, "", "in_port=0xffffffff/0xffffffff"},
		{"ARP", slices.Concat(ethernet, attr(keyEthertype, []byte{8, 6}), attr(keyARP, make([]byte, 24))), slices.Concat(exact2, attr(keyARP, ones(24))), false, "", ""},
		{"any ethertype", slices.Concat(ethernet, attr(keyEthertype, []byte{0, 0})), attr(keyEthertype, []byte{0, 0}), true, "", ""},
		{"no Ethernet II", ethernet, exact2, false, "", ""},
		{"no Ethernet", ipv4, exact2, false, "", ""},
		{"tunnel", slices.Concat(plain, outer4(0)), slices.Concat(exact2, outer4Mask), true, "",
			"tun_id=0x7/0xffffffffffffffff,tun_flags=0x0/0xff,tun_src=000000000000000000000000c0000201/000000000000000000000000ffffffff,tun_dst=000000000000000000000000c0000202/000000000000000000000000ffffffff options 0000000000000002/0000000000007fff"},
		{"congestion in a tunnel", slices.Concat(plain, outer4(3)), slices.Concat(exact2, outer4Mask), false, "", ""},
		{"tunnel without a mask", slices.Concat(plain, outer4(0)), nil, true, "tunnel", ""},
		{"tunnel with a policy", slices.Concat(plain, attr(keyTunnel, attr(tunDst4, []byte{192, 0, 2, 2}))), slices.Concat(exact2, attr(keyTunnel, attr(tunDst4, full[:4]), attr(tunVXLAN, attr(1, full[:4])))), true, "tunnel", ""},
		{"in no tunnel", plain, slices.Concat(exact2, attr(keyTunnel, attr(tunID, full[:8]), attr(tunDst4, full[:4]), attr(tunTTL, []byte{0}))), true, "", "tun_dst=00000000000000000000000000000000/000000000000000000000000ffffffff"},
		{"ICMP", slices.Concat(plain, ip4(1), attr(keyICMP, []byte{8, 0})), slices.Concat(exact2, attr(keyIPv4, ones(12)), attr(keyICMP, ones(2))), false, "", ""},
		{"perhaps ICMP", slices.Concat(plain, ip4(1), attr(keyICMP, []byte{8, 0})), slices.Concat(exact2, attr(keyIPv4, make([]byte, 8), []byte{1, 0, 0, 0}), attr(keyICMP, ones(2))), true, "icmp", ""},
		{"extension headers", slices.Concat(plain, attr(keyIPv6Exthdrs, []byte{0, 0})), slices.Concat(exact2, attr(keyIPv6Exthdrs, []byte{1, 0})), true, "ipv6_exthdrs", ""},
		{"extension headers wildcarded", slices.Concat(plain, attr(keyIPv6Exthdrs, []byte{0, 0})), slices.Concat(exact2, attr(keyIPv6Exthdrs, []byte{0, 0})), true, "", ""},
		{"new attribute", slices.Concat(plain, attr(40, []byte{0, 0})), slices.Concat(exact2, attr(40, []byte{0, 1})), true, "key attribute 40", ""},
		{"newest attribute", slices.Concat(plain, attr(200, []byte{0, 0})), slices.Concat(exact2, attr(200, []byte{0, 1})), true, "key attribute 63", ""},
		{"new attribute without a mask", slices.Concat(plain, attr(40, []byte{0})), nil, true, "key attribute 40", ""},
		{"only in the mask", plain, slices.Concat(exact2, attr(keyUDP, ones(4))), true, "udp", ""},
		{"longer struct", slices.Concat(plain, attr(keyIPv4, make([]byte, 14))), slices.Concat(exact2, attr(keyIPv4, make([]byte, 13), []byte{1})), true, "ipv4", ""},
		{"tag", slices.Concat(ethernet, attr(keyEthertype, []byte{0x81, 0}), attr(keyVLAN, []byte{0x10, 7}), attr(keyEncap, ipv4, ip4(6))),
			slices.Concat(exact2, attr(keyVLAN, []byte{0x1f, 255}), attr(keyEncap, exact2, attr(keyIPv4, make([]byte, 8), []byte{255, 0, 0, 0}))), true, "",
			"eth_type=0x800/0xffff,vlan_tci=0x1007/0x1fff,vlan_type=0x8100/0xffff,vlan_tci1=0x0/0xffff,nw_proto=0x6/0xff"},
		{"tag, no mask", slices.Concat(ethernet, attr(keyEthertype, []byte{0x81, 0}), attr(keyVLAN, []byte{0x10, 7}), attr(keyEncap, ipv4)), nil, true, "", "eth_type=0x800/0xffff,vlan_tci=0x1007/0xffff,vlan_type=0x8100/0xffff,vlan_tci1=0x0/0xffff"},
		{"perhaps a tag", slices.Concat(ethernet, attr(keyEthertype, []byte{0x81, 0}), attr(keyVLAN, []byte{0x10, 7}), attr(keyEncap, ipv4)), slices.Concat(exact2, attr(keyEncap, exact2)), true, "vlan", "eth_type=0x800"},
		{"half a tag", slices.Concat(ethernet, attr(keyEthertype, []byte{0x81, 0}), attr(keyVLAN, []byte{0, 0})), exact2, false, "", ""},
		{"two tags", slices.Concat(ethernet, attr(keyEthertype, []byte{0x88, 0xa8}), attr(keyVLAN, []byte{0x10, 7}), attr(keyEncap, attr(keyEthertype, []byte{0x81, 0}), attr(keyVLAN, []byte{0x10, 8}), attr(keyEncap, ipv4))), nil, true, "",
			"eth_type=0x800/0xffff,vlan_tci=0x1007/0xffff,vlan_type=0x88a8/0xffff,vlan_tci1=0x1008/0xffff,vlan_type1=0x8100/0xffff"},
		{"three tags", slices.Concat(ethernet, attr(keyEthertype, []byte{0x81, 0}), attr(keyVLAN, []byte{0x10, 7}), attr(keyEncap, attr(keyEthertype, []byte{0x81, 0}), attr(keyVLAN, []byte{0x10, 8}),
			attr(keyEncap, attr(keyEthertype, []byte{0x81, 0}), attr(keyVLAN, []byte{0x10, 9}), attr(keyEncap, ipv4)))), nil, false, "", ""},
		{"IPv6", slices.Concat(ethernet, attr(keyEthertype, []byte{0x86, 0xdd}), attr(keyIPv6, bytes.Repeat([]byte{1}, 32), []byte{0, 1, 2, 3, 17, 4, 64, 0})),
			slices.Concat(exact2, attr(keyIPv6, make([]byte, 16), ones(16), []byte{0, 15, 255, 255, 255, 0, 255, 255})), true, "",
			"nw_proto=0x11/0xff,nw_ttl=0x40/0xff,ip_frag=0x0/0xff,ipv6_label=0x10203/0xfffff,ip_dst=01010101010101010101010101010101/ffffffffffffffffffffffffffffffff"},
		{"tuple", slices.Concat(plain, attr(keyCTTuple4, []byte{10, 0, 0, 1, 10, 0, 0, 2, 0, 1, 0, 2, 6, 0, 0, 0})), slices.Concat(exact2, attr(keyCTTuple4, []byte{255, 0, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0, 255, 0, 0, 0})), true, "",
			"ct_nw_proto=0x6/0xff,ct_tp_src=0x1/0xff"},
	} {
		m, unknown, ours, err := decodeMatch(test.key, test.mask, test.mask != nil)
		if got := renderMatch(&m); err != nil || ours != test.ours || ours && (unknown != test.unknown || !strings.Contains(got, test.match)) {
			t.Errorf("%s: ours %v, unknown %q, %v, %s", test.name, ours, unknown, err, got)
		}
	}
	for _, short := range [][]byte{attr(keyInPort, []byte{1}), {3, 0, 1, 0}, {200, 0, 1, 0}} {
		if _, _, _, err := decodeMatch(append(ethernet[:len(ethernet):len(ethernet)], short...), nil, false); err == nil {
			t.Errorf("%x: no error", short)
		}
	}
}

func TestDecodeActions(t *testing.T) {
	zone := attr(ctZone, []byte{7, 0})
	for _, test := range []struct {
		name string
		in   []byte
		want megaflow.Action
	}{
		{"output", attr(actOutput, u32(4)), megaflow.Output{Port: 4}},
		{"recirc", attr(actRecirc, u32(4)), megaflow.Recirc{ID: 4}},
		{"ct_clear", attr(actCTClear), megaflow.CTClear{}},
		{"ct", attr(actCT, zone), megaflow.CT{Zone: 7}},
		{"commit", attr(actCT, attr(ctCommit), zone, attr(ctMark, u32(1), u32(3)), attr(ctLabels, []byte{2}, make([]byte, 15), []byte{3}, make([]byte, 15)), attr(ctEventmask, u32(1)), attr(ctTimeout, []byte("x\x00"))),
			megaflow.CT{Zone: 7, Commit: true, Mark: 1, MarkMask: 3, Labels: [16]byte{15: 2}, LabelsMask: [16]byte{15: 3}}},
		{"force", attr(actCT, attr(ctForceCommit)), megaflow.CT{Commit: true, Force: true}},
		{"helper", attr(actCT, attr(ctHelper, []byte("ftp\x00"))), megaflow.CT{Helper: "ftp"}},
		{"nat", attr(actCT, attr(ctNAT)), megaflow.CT{NAT: true}},
		{"nat src", attr(actCT, attr(ctNAT, attr(natSrc), attr(3, u32(1)))), megaflow.CT{NAT: true, NATSrc: true}},
		{"new in ct", attr(actCT, attr(11, u32(1))), megaflow.Unsupported{Reason: flows.UnsupportedAction, Name: "ct(attribute 11)"}},
		{"push_vlan", attr(actPushVLAN, []byte{0x88, 0xa8, 0x30, 7}), megaflow.PushVLAN{Tag: flows.Tag{Type: flows.TagProvider, ID: 7, Priority: 1}}},
		{"pop_vlan", attr(actPopVLAN), megaflow.PopVLAN{}},
		{"tunnel", attr(actSet, attr(keyTunnel, attr(tunID, []byte{7: 7}), attr(tunSrc4, make([]byte, 4)), attr(tunDst4, []byte{192, 0, 2, 2}), attr(tunTOS, []byte{0x21}), attr(tunTTL, []byte{64}),
			attr(tunNoBreak), attr(tunCsum), attr(tunTPDst, []byte{0x17, 0xc1}), attr(tunGeneve, []byte{1, 2, 0x80, 1, 0, 3, 0, 2}))),
			megaflow.Encap{Tunnel: flows.RefTo(flows.Tunnel{Dst: netip.MustParseAddr("192.0.2.2"), ID: 7, TOS: 0x20, TTL: 64, Port: 6081, Checksum: true, Options: "\x01\x02\x80\x01\x00\x03\x00\x02"})}},
		{"tunnel over IPv6", attr(actSet, attr(keyTunnel, attr(tunID, []byte{7: 7}), attr(tunSrc6, []byte{15: 1}), attr(tunDst6, []byte{15: 2}))),
			megaflow.Encap{Tunnel: flows.RefTo(flows.Tunnel{Src: netip.MustParseAddr("::1"), Dst: netip.MustParseAddr("::2"), ID: 7, MayBreak: true})}},
		{"tunnel with a policy", attr(actSet, attr(keyTunnel, attr(tunDst4, []byte{192, 0, 2, 2}), attr(tunVXLAN, attr(1, u32(7))))), megaflow.Unsupported{Reason: flows.UnsupportedTunnel, Name: "set(tunnel(...))"}},
		{"tunnel to nowhere", attr(actSet, attr(keyTunnel, attr(tunID, []byte{7: 7}))), megaflow.Unsupported{Reason: flows.UnsupportedTunnel, Name: "set(tunnel(...))"}},
		{"eth", attr(actSetMasked, attr(keyEthernet, macs, make([]byte, 6), full[:6])), megaflow.SetUint(megaflow.EthDst, 0x020000000002, 1<<48-1)},
		{"ttl", attr(actSetMasked, attr(keyIPv4, make([]byte, 10), []byte{63, 0}, make([]byte, 10), []byte{255, 0})), megaflow.SetUint(megaflow.IPTTL, 63, 255)},
		{"tos", attr(actSetMasked, attr(keyIPv4, make([]byte, 9), []byte{0x20, 0, 0}, make([]byte, 9), []byte{0xfc, 0, 0})), megaflow.SetUint(megaflow.IPTOS, 0x20, 0xfc)},
		{"source", attr(actSetMasked, attr(keyIPv4, []byte{10, 0, 0, 1}, make([]byte, 8), full[:4], make([]byte, 8))), megaflow.SetWide(megaflow.IPSrc, [16]byte{12: 10, 15: 1}, [16]byte{12: 255, 255, 255, 255})},
		{"hlimit", attr(actSetMasked, attr(keyIPv6, make([]byte, 38), []byte{63, 0}, make([]byte, 38), []byte{255, 0})), megaflow.SetUint(megaflow.IPTTL, 63, 255)},
		{"port", attr(actSetMasked, attr(keyTCP, []byte{0, 80, 0, 0}, []byte{255, 255, 0, 0})), megaflow.SetUint(megaflow.TPSrc, 80, 0xffff)},
		{"arp", attr(actSet, attr(keyARP, make([]byte, 24))), megaflow.Unsupported{Reason: flows.UnsupportedAction, Name: "set(arp(...))"}},
		{"short", attr(actSet, attr(keyIPv4, make([]byte, 4))), megaflow.Unsupported{Reason: flows.UnsupportedAction, Name: "set(ipv4(...))"}},
		{"dec_ttl", attr(actDecTTL, attr(1, attr(actUserspace))), megaflow.DecTTL{N: 1}},
		{"hash", attr(actHash, u32(0), u32(0)), megaflow.Unsupported{Reason: flows.UnsupportedBond, Name: "hash(...)"}},
		{"priority", attr(actSet, attr(keyPriority, u32(1))), megaflow.Unsupported{Reason: flows.UnsupportedAction, Name: "set(skb_priority(...))"}},
		{"empty set", attr(actSet), megaflow.Unsupported{Reason: flows.UnsupportedAction, Name: "set()"}},
		{"userspace", attr(actUserspace, attr(1, u32(1))), megaflow.Unsupported{Reason: flows.UnsupportedUpcall, Name: "userspace(...)"}},
		{"drop", attr(actDrop, u32(0)), megaflow.Unsupported{Reason: flows.PathDropped, Name: "drop"}},
		{"meter", attr(actMeter, u32(3)), megaflow.Unsupported{Reason: flows.UnsupportedAction, Name: "meter(3)"}},
		{"trunc", attr(actTrunc, u32(64)), megaflow.Unsupported{Reason: flows.UnsupportedAction, Name: "trunc(64)"}},
		{"new", attr(99, u32(3)), megaflow.Unsupported{Reason: flows.UnsupportedAction, Name: "action99"}},
	} {
		all, err := decodeActions(test.in)
		if err != nil || len(all) != 1 || all[0] != test.want {
			t.Errorf("%s: %+v, %v, want %+v", test.name, all, err, test.want)
		}
	}
	all, err := decodeActions(slices.Concat(
		attr(actSet, attr(keyTCP, []byte{0, 80, 0, 81})),
		attr(actCheckPktLen, attr(checkLength, []byte{0x78, 5}), attr(checkLonger, attr(actUserspace)), attr(checkFits, attr(actPopVLAN), attr(actOutput, u32(4))))))
	if got := renderActions(all); err != nil || got != "set(tp_src),set(tp_dst),check_pkt_len(size=1400,gt(userspace(...)),le(pop_vlan,4))" {
		t.Errorf("%s, %v", got, err)
	}
	for typ := uint16(1); typ <= actPsample; typ++ {
		if typ == actSet || typ == actSetMasked || typ == actCT || typ == actCheckPktLen {
			continue // nested
		}
		if all, err := decodeActions(attr(typ, make([]byte, 32))); err != nil || len(all) != 1 {
			t.Errorf("action %d: %+v, %v", typ, all, err)
		} else if u, ok := all[0].(megaflow.Unsupported); ok && u.Name == "" || ok && strings.HasPrefix(u.Name, "action") {
			t.Errorf("action %d has no name", typ)
		}
	}
	for _, short := range [][]byte{attr(actOutput, []byte{1}), attr(actCT, attr(ctMark, u32(1))), {3, 0, 1, 0}} {
		if _, err := decodeActions(short); err == nil {
			t.Errorf("%x: no error", short)
		}
	}
}

func TestActionsNotListed(t *testing.T) {
	f, ours, err := decodeFlow(flow(1).attributes, 0)
	if err != nil || !ours || !strings.Contains(f.Unknown, "actions") {
		t.Errorf("%+v, %v, %v", f, ours, err)
	}
	f, _, err = decodeFlow(append(flow(1).attributes, attr(flowActions)...), 0)
	if err != nil || f.Unknown != "" || f.Actions != nil {
		t.Errorf("%+v, %v", f, err)
	}
}
