package ofproto

import (
	"errors"
	"net/netip"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

// TestMatchFields: each field by itself, as a key and a mask.
func TestMatchFields(t *testing.T) {
	type cond struct {
		field       megaflow.Field
		value, mask uint64
	}
	for text, want := range map[string][]cond{
		"recirc_id=0x1c":           {{megaflow.RecircID, 0x1c, 1<<32 - 1}},
		"in_port=LOCAL":            {{megaflow.InPort, 65534, 1<<32 - 1}},
		"in_port=7":                {{megaflow.InPort, 7, 1<<32 - 1}},
		"pkt_mark=0x5/0xf":         {{megaflow.SkbMark, 5, 15}},
		"skb_priority=0x10":        {{megaflow.SkbPriority, 16, 1<<32 - 1}},
		"dp_hash=0x1/0x3":          {{megaflow.DPHash, 1, 3}},
		"eth":                      nil,
		"ip":                       {{megaflow.EthType, 0x800, 0xffff}},
		"udp6":                     {{megaflow.EthType, 0x86dd, 0xffff}, {megaflow.IPProto, 17, 0xff}},
		"dl_type=0x88cc":           {{megaflow.EthType, 0x88cc, 0xffff}},
		"dl_src=02:00:00:00:00:01": {{megaflow.EthSrc, 0x020000000001, 1<<48 - 1}},
		"dl_dst=01:00:00:00:00:00/01:00:00:00:00:00": {{megaflow.EthDst, 1 << 40, 1 << 40}},
		"vlan_tci=0x0000/0x1fff":                     {{megaflow.VLANTCI, 0, 0x1fff}},
		"vlan_tci=0x1005":                            {{megaflow.VLANTCI, 0x1005, 0xffff}},
		"dl_vlan=5":                                  {{megaflow.VLANTCI, 0x1005, 0x1fff}},
		"dl_vlan=5,dl_vlan_pcp=3":                    {{megaflow.VLANTCI, 0x7005, 0xffff}},
		"nw_proto=47":                                {{megaflow.IPProto, 47, 0xff}},
		"nw_tos=32":                                  {{megaflow.IPTOS, 32, 0xfc}},
		"nw_tos=32,nw_ecn=1":                         {{megaflow.IPTOS, 33, 0xff}},
		"nw_ttl=64":                                  {{megaflow.IPTTL, 64, 0xff}},
		"nw_frag=no":                                 {{megaflow.IPFrag, 0, 0xff}},
		"nw_frag=later":                              {{megaflow.IPFrag, 2, 0xff}},
		"nw_frag=not_later":                          {{megaflow.IPFrag, 0, 2}},
		"ipv6_label=0x00007/0x0000f":                 {{megaflow.IPv6Label, 7, 15}},
		"tp_src=80":                                  {{megaflow.TPSrc, 80, 0xffff}},
		"tp_dst=0x50/0xfff0":                         {{megaflow.TPDst, 0x50, 0xfff0}},
		"tcp_flags=-syn+ack":                         {{megaflow.TCPFlags, 0x10, 0x12}},
		"tcp_flags=syn|ack":                          {{megaflow.TCPFlags, 0x12, 0xfff}},
		"ct_state=-new+est-rel-rpl-inv+trk":          {{megaflow.CTState, 0x22, 0x3f}},
		"ct_state=est|trk":                           {{megaflow.CTState, 0x22, 0xff}},
		"ct_state=0":                                 {{megaflow.CTState, 0, 0xff}},
		"ct_zone=10":                                 {{megaflow.CTZone, 10, 0xffff}},
		"ct_mark=0/0x1":                              {{megaflow.CTMark, 0, 1}},
		"ct_nw_proto=6,ct_tp_src=1,ct_tp_dst=0x2/0x2":                        {{megaflow.CTIPProto, 6, 0xff}, {megaflow.CTTPSrc, 1, 0xffff}, {megaflow.CTTPDst, 2, 2}},
		"tun_id=0,tun_src=0.0.0.0/24,tun_flags=-df-csum":                     nil,
		"tun_id=0x7,tun_dst=192.0.2.1,tun_metadata0=0x2/0xffff,gtpu_flags=0": nil, // as it was asked about
		"dl_vlan=5,dl_vlan_pcp=0,dl_vlan1=6,dl_vlan_pcp1=3":                  {{megaflow.VLANTCI, 0x1005, 0xffff}, {megaflow.InnerTCI, 0x7006, 0xffff}},
		"vlan_tci1=0x0000/0x1fff":                                            {{megaflow.InnerTCI, 0, 0x1fff}},
	} {
		var m megaflow.Match
		for _, c := range want {
			m.SetUint(c.field, c.value, c.mask)
		}
		got, err := parseMatch(text)
		if err != nil || got != m {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}

func TestMatchAddresses(t *testing.T) {
	for _, c := range []struct {
		text        string
		field       megaflow.Field
		value, mask string // hexadecimal
	}{
		{"nw_src=10.0.0.0/24", megaflow.IPSrc, "0x0a000000", "0xffffff00"},
		{"nw_dst=10.0.0.7", megaflow.IPDst, "0x0a000007", "0xffffffff"},
		{"ct_nw_dst=10.0.0.1/255.0.0.255", megaflow.CTIPDst, "0x0a000001", "0xff0000ff"},
		{"ipv6_src=fd00::/8", megaflow.IPSrc, "0xfd000000000000000000000000000000", "0xff000000000000000000000000000000"},
		{"ipv6_dst=::ffff:10.0.0.1", megaflow.IPDst, "0x00000000000000000000ffff0a000001", "0xffffffffffffffffffffffffffffffff"},
		{"ct_ipv6_src=::1/::ff", megaflow.CTIPSrc, "0x01", "0xff"},
		{"ct_label=0x1/0x3", megaflow.CTLabel, "0x1", "0x3"},
		{"ct_label=0x10000000000000001", megaflow.CTLabel, "0x10000000000000001", "0xffffffffffffffffffffffffffffffff"},
	} {
		var m megaflow.Match
		value, err1 := number128(c.value)
		mask, err2 := number128(c.mask)
		m.SetWide(c.field, value, mask)
		if got, err := parseMatch(c.text); errors.Join(err, err1, err2) != nil || got != m {
			t.Errorf("%s: %v, %v", c.text, got, err)
		}
	}
}

func TestMatchRefused(t *testing.T) {
	for _, text := range []string{
		"", "ip,", ",ip", "ip,ip", "tcp,tcp", "foo=1", "foo", "eth=1", "ip=1", "reg0=0x1", "metadata=0x1",
		"recirc_id=", "recirc_id=-1", "recirc_id=0x", "recirc_id=0x100000000", "recirc_id=1/", "ct_mark=1/0x1/0x1", "ct_zone=65536",
		"dl_src=02:00:00:00:00", "dl_src=02:00:00:00:00:01/ff", "nw_src=10.0.0.1/33", "nw_src=fd00::1", "ipv6_src=10.0.0.1",
		"ipv6_src=fd00::/129", "ipv6_src=fe80::1%eth0", "nw_tos=1", "nw_tos=256", "nw_ecn=4", "nw_frag=yes", "nw_frag=", "dl_vlan=4096",
		"ct_state=", "ct_state=+", "ct_state=+foo", "ct_state=+est+est", "ct_state=est|foo", "ct_state=+est|trk", "tcp_flags=+[Unknown]",
		"ct_label=1", "ct_label=0x", "ct_label=0x123456789012345678901234567890123", "ct_label=0xg", "in_port=v1", "in_port=65536",
		"tp_src=0x1_0", "tp_src=0b1", "ipv6_label=0x100000", "packet_type=(1,0x800)", "arp", "mpls",
	} {
		if m, err := parseMatch(text); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v, %v", text, m, err)
		}
	}
}

// vxlanHeader is what OVS 3.1 writes of a native tunnel, which leads to vxlanOut.
const vxlanHeader = "tnl_port(10),header(size=50,type=4,eth(dst=02:00:00:00:22:22,src=be:91:cd:7c:d4:45,dl_type=0x0800)," +
	"ipv4(src=192.0.2.1,dst=192.0.2.2,proto=17,tos=0x21,ttl=64,frag=0x4000),udp(src=0,dst=4789,csum=0x0),vxlan(flags=0x8000000,vni=0x7)),out_port(12)"

var vxlanOut = megaflow.TunnelOutput{Port: 10, Tunnel: flows.RefTo(flows.Tunnel{
	Src: netip.MustParseAddr("192.0.2.1"), Dst: netip.MustParseAddr("192.0.2.2"), ID: 7, Port: 4789, TOS: 0x20, TTL: 64})}

func encap(t flows.Tunnel) megaflow.Encap { return megaflow.Encap{Tunnel: flows.RefTo(t)} }

func TestActions(t *testing.T) {
	no := func(reason flows.Reason, name string) megaflow.Unsupported {
		return megaflow.Unsupported{Reason: reason, Name: name}
	}
	for text, want := range map[string][]megaflow.Action{
		"drop":                        nil,
		"4":                           {megaflow.Output{Port: 4}},
		"1,4,ct(zone=11),recirc(0xc)": {megaflow.Output{Port: 1}, megaflow.Output{Port: 4}, megaflow.CT{Zone: 11}, megaflow.Recirc{ID: 12}},
		"ct":                          {megaflow.CT{}},
		"ct(commit,zone=5,mark=0x1/0xff,label=0x1/0x3,helper=ftp,timeout=t)": {megaflow.CT{
			Zone: 5, Commit: true, Mark: 1, MarkMask: 255, Labels: [16]byte{15: 1}, LabelsMask: [16]byte{15: 3}, Helper: "ftp"}},
		"ct(force_commit,zone=5)": {megaflow.CT{Zone: 5, Commit: true, Force: true}},
		"ct(nat)":                 {megaflow.CT{NAT: true}},
		"ct(commit,nat(src=10.0.0.1-10.0.0.2:1-9))":         {megaflow.CT{Commit: true, NAT: true, NATSrc: true}},
		"ct(commit,nat(dst=[fd00::1]:80,random))":           {megaflow.CT{Commit: true, NAT: true, NATDst: true}},
		"ct(commit,nat(src))":                               {megaflow.CT{Commit: true, NAT: true, NATSrc: true}},
		"push_vlan(vid=7,pcp=0)":                            {megaflow.PushVLAN{Tag: flows.Tag{Type: 0x8100, ID: 7}}},
		"push_vlan(tpid=0x88a8,vid=7,pcp=3)":                {megaflow.PushVLAN{Tag: flows.Tag{Type: 0x88a8, ID: 7, Priority: 3}}},
		"pop_vlan":                                          {megaflow.PopVLAN{}},
		"ct_clear":                                          {megaflow.CTClear{}},
		"dec_ttl(le_1(userspace(pid=1)))":                   {megaflow.DecTTL{N: 1}},
		"set(eth(dst=00:00:00:00:00:09))":                   {megaflow.SetUint(megaflow.EthDst, 9, 1<<48-1)},
		"set(eth(src=02:00:00:00:00:09/ff:00:00:00:00:ff))": {megaflow.SetUint(megaflow.EthSrc, 0x020000000009, 0xff00000000ff)},
		"set(ipv4(src=10.0.0.1/255.0.0.0,tos=0x20/0xfc,ttl=63))": {
			megaflow.SetWide(megaflow.IPSrc, [16]byte{12: 10}, [16]byte{12: 255}), megaflow.SetUint(megaflow.IPTOS, 0x20, 0xfc), megaflow.SetUint(megaflow.IPTTL, 63, 255)},
		"set(ipv6(dst=fd00::1,label=1,tclass=0x1,hlimit=63))": {
			megaflow.SetWide(megaflow.IPDst, [16]byte{0: 0xfd, 15: 1}, ones128(128)), megaflow.SetUint(megaflow.IPv6Label, 1, 1<<20-1),
			megaflow.SetUint(megaflow.IPTOS, 1, 255), megaflow.SetUint(megaflow.IPTTL, 63, 255)},
		"set(tcp(src=1))":         {megaflow.SetUint(megaflow.TPSrc, 1, 0xffff)},
		"set(udp(dst=2/0xff))":    {megaflow.SetUint(megaflow.TPDst, 2, 0xff)},
		"set(sctp(src=1,dst=2))":  {megaflow.SetUint(megaflow.TPSrc, 1, 0xffff), megaflow.SetUint(megaflow.TPDst, 2, 0xffff)},
		"set(skb_priority(0x10))": {no(flows.UnsupportedAction, "set(skb_priority(0x10))")},
		"set(tunnel(tun_id=0x1,dst=1.2.3.4,ttl=64,tp_dst=6081,geneve({class=0x102,type=0x80,len=4,0x10003}),flags(df|csum|key)))": {encap(flows.Tunnel{
			Dst: netip.MustParseAddr("1.2.3.4"), ID: 1, TTL: 64, Port: 6081, Checksum: true, Options: "\x01\x02\x80\x01\x00\x01\x00\x03"})},
		"set(tunnel(tun_id=0x1,ipv6_src=fd00::1,ipv6_dst=fd00::2,tos=0x21,flags(key)))": {encap(flows.Tunnel{
			Src: netip.MustParseAddr("fd00::1"), Dst: netip.MustParseAddr("fd00::2"), ID: 1, TOS: 0x20, MayBreak: true})},
		"set(tunnel(tun_id=0x1000000,dst=1.2.3.4))":               {no(flows.UnsupportedTunnel, "set(tunnel(tun_id=0x1000000,dst=1.2.3.4))")},
		"set(tunnel(tun_id=0x1,dst=1.2.3.4,vxlan(gbp(id=1))))":    {no(flows.UnsupportedTunnel, "set(tunnel(tun_id=0x1,dst=1.2.3.4,vxlan(gbp(id=1))))")},
		"set(tunnel(tun_id=0x1,dst=1.2.3.4,flags(df|oam|key)))":   {no(flows.UnsupportedTunnel, "set(tunnel(tun_id=0x1,dst=1.2.3.4,flags(df|oam|key)))")},
		"clone(tnl_push(tnl_port(4),out_port(1)),2)":              {no(flows.UnsupportedAction, "clone(tnl_push(tnl_port(4),out_port(1)),2)")},
		"tnl_push(" + vxlanHeader + "),13":                        {vxlanOut},
		"clone(tnl_push(" + vxlanHeader + "),13)":                 {vxlanOut},
		"clone(tnl_push(" + vxlanHeader + "),13),2":               {vxlanOut, megaflow.Output{Port: 2}},
		"tnl_push(" + vxlanHeader + "),ct(zone=1),13":             {no(flows.UnsupportedTunnel, clip("tnl_push("+vxlanHeader+")")), megaflow.CT{Zone: 1}, megaflow.Output{Port: 13}},
		"check_pkt_len(size=9,gt(drop),le(ct(zone=1),recirc(1)))": {megaflow.CheckLength{Size: 9, Branches: &megaflow.Branches{Fits: []megaflow.Action{megaflow.CT{Zone: 1}, megaflow.Recirc{ID: 1}}}}},
		"userspace(pid=1,controller(reason=1))":                   {no(flows.UnsupportedUpcall, "userspace(pid=1,controller(reason=1))")},
		"hash(l4(0))":                                             {no(flows.UnsupportedBond, "hash(l4(0))")},
		"lb_output(1)":                                            {no(flows.UnsupportedBond, "lb_output(1)")},
		"pop_nsh()":                                               {no(flows.UnsupportedAction, "pop_nsh()")},
	} {
		got, _, err := parseActions(text)
		if err != nil || len(got) != len(want) {
			t.Errorf("%s: %v, %v", text, got, err)
			continue
		}
		for i := range got {
			if !reflect.DeepEqual(got[i], want[i]) {
				t.Errorf("%s: %+v, want %+v", text, got[i], want[i])
			}
		}
	}
	if _, ids, err := parseActions("clone(ct,recirc(0x1)),check_pkt_len(size=9,gt(recirc(0x2)),le(drop)),recirc(0x3)"); err != nil || len(ids) != 3 {
		t.Errorf("nested: %v, %v", ids, err)
	}
	for _, text := range []string{
		"", ",", "1,", ",1", "v1", "-1", "4294967296", "foo", "foo(1)", "ct(", "ct()", "ct)", "ct(zone=1))", "ct((zone=1)", "ct(zone=65536)",
		"ct(foo)", "ct(zone=)", "ct(mark=x)", "ct(label=1)", "ct(nat(error: no))", "ct(nat(srcx))", "ct(nat())", "ct(error)", "recirc", "recirc()",
		"recirc(x)", "clone(recirc(x))", "action99(00)", "push_vlan(vid=4096)", "push_vlan(foo=1)", "set(eth(foo=1))", "set(ipv4(ttl=256))", "set(tunnel(dst=x))", "check_pkt_len(size=9)", "check_pkt_len(size=9,le(1),gt(2))", "bad length 4, expected 8 for: action1", "<empty>,***4 leftover bytes*** (00)", "1 ", " 1",
	} {
		if got, _, err := parseActions(text); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

// TestDamaged: an answer that is not whole, or not what was asked for, is none.
func TestDamaged(t *testing.T) {
	q := ask("10.0.1.2")
	good := load(t, "tcp.txt")
	first, second, _ := strings.Cut(good, "\n\n"+rule)
	for _, c := range []struct {
		name, text string
		err        error
	}{
		{"empty", "", ErrFormat},
		{"other text", "hello\n", ErrFormat},
		{"too long", good + strings.Repeat(" ", maxAnswer), ErrFormat},
		{"cut in the heading", good[:strings.Index(good, "recirc(")+20], ErrFormat},
		{"cut in a match", good[:strings.LastIndex(good, "Megaflow: ")+30], ErrFormat},
		{"cut before the actions", good[:strings.LastIndex(good, "Datapath")-1], ErrFormat},
		{"more behind it", strings.TrimSuffix(good, "\n") + "\nhello", ErrFormat},
		{"without the first stage", "\n\n" + rule + second, ErrFormat},
		{"state of another direction", strings.Replace(good, "ct_state=est|trk\n", "ct_state=est|rpl|trk\n", 1), ErrFormat},
		{"default state", strings.Replace(good, "with ct_state=est|trk\n", "with default ct_state=trk|new (use --ct-next to customize)\n", 1), ErrStages},
		{"foreign recirculation", strings.Replace(good, "\nrecirc(0x", "\nrecirc(0x9", 1), ErrFormat},
		{"recirculation to the start", strings.Replace(good, "\nrecirc(0x", "\nrecirc(0x0)", 1), ErrFormat},
		{"foreign megaflow", strings.Replace(good, "Megaflow: recirc_id=0x", "Megaflow: recirc_id=0x9", 1), ErrFormat},
		{"foreign port", strings.Replace(good, "eth,ip,in_port=1,", "eth,ip,in_port=2,", 1), ErrFormat},
		{"unknown field", strings.Replace(good, "eth,ip,", "eth,ip,foo=1,", 1), ErrFormat},
		{"no recirculation id", strings.Replace(good, "Megaflow: recirc_id=0,", "Megaflow: ", 1), ErrFormat},
		{"unknown action", strings.Replace(good, "actions: ct(zone=10)", "actions: ct(zone=10),foo", 1), ErrFormat},
		{"another bridge", strings.Replace(good, `bridge("br0")`, `bridge("br1")`, 1), ErrFormat},
		{"no bridge", strings.Replace(good, `bridge("br0")`, "thaw", 1), ErrFormat},
		{"error", strings.Replace(good, "    output:2\n", "    output:2\n     >>>> anything <<<<\n", 1), ErrFailed},
		{"unknown warning", strings.Replace(good, "    output:2\n", "    output:2\n     >> anything\n", 1), ErrFailed},
		{"fork not traced", strings.Replace(good, "-> A clone", "-> Failed to trace the conntrack forked pipeline", 1), ErrFailed},
		{"failed", strings.TrimSuffix(good, "\n") + "\nTranslation failed (Recursion too deep), packet is dropped.\n", ErrFailed},
	} {
		if c.text == good {
			t.Fatalf("%s: nothing was changed", c.name)
		}
		if trace, err := parse(&q, c.text); !errors.Is(err, c.err) || trace != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	var refusal *megaflow.Refusal
	if _, err := parse(&q, first); !errors.As(err, &refusal) || refusal.Reason != flows.UnsupportedAction {
		t.Errorf("without the second stage: %v", err)
	}
}

func TestSlowPath(t *testing.T) {
	q := ask("10.0.2.2")
	text := strings.TrimSuffix(load(t, "two-outputs.txt"), "\n") + "\n" + slowPath + "\n  - Sends \"packet-in\" messages.\n  - Needs help."
	trace, err := parse(&q, text)
	if err != nil {
		t.Fatal(err)
	}
	u, ok := trace.Stages[0].Actions[0].(megaflow.Unsupported)
	if !ok || u.Reason != flows.UnsupportedUpcall || len(trace.Stages[0].Actions) != 3 {
		t.Errorf("%+v", trace.Stages[0].Actions)
	}
}

func TestPlain(t *testing.T) {
	for _, text := range []string{
		"drop", "NORMAL", "output:4", "output:NXM_NX_REG15[]", "resubmit(,3)", "goto_table:5", "ct(table=15,zone=NXM_NX_REG13[0..15],nat)", "nat", "ct(table=1,zone=10)", "ct_clear", "set_field:0x1->reg0",
		"set_field:0x7/0xffff->reg13", "load:0x1->NXM_NX_CT_MARK[0]", "move:NXM_OF_ETH_SRC[]->NXM_NX_XXREG0[0..47]", "pop:NXM_NX_REG2[]", "push:NXM_OF_ETH_SRC[]",
		"set_field:0x5->metadata", "set_field:0x1->tun_id", "set_tunnel:0x1", "check_pkt_larger(1400)->NXM_NX_REG0[0]", "clone(resubmit(,3))", "set_queue:5",
		"ct(commit,zone=NXM_NX_REG13[0..15],exec(set_field:0/0x1->ct_mark))", "set_field:0->ct_label",
	} {
		if !isPlain(text) {
			t.Errorf("%s is not plain", text)
		}
	}
	for _, text := range []string{
		"", "foo", "mod_dl_dst:00:00:00:00:00:09", "mod_nw_src:10.0.0.1", "mod_tp_dst:80", "dec_ttl", "push_vlan:0x8100", "pop_vlan", "strip_vlan",
		"set_field:02:00:00:00:00:09->eth_dst", "load:0xffff->NXM_OF_IN_PORT[]", "set_field:ANY->in_port", "move:NXM_NX_REG0[]->NXM_OF_ETH_DST[]",
		"pop:NXM_OF_IN_PORT[]", "resubmit(5,1)", "resubmit:5", "resubmit(,1,ct)", "ct(commit,table=2,nat(src=192.0.2.1))", "nat(src=192.0.2.1)", "nat=src",
		"bundle(eth_src,0,active_backup,ofport,members:1,2)", "multipath(eth_src,50,modulo_n,1,0,NXM_NX_REG0[])", "output(port=2,max_len=100)",
		"set_field:10.0.0.1->ip_src", "load:0x50->NXM_OF_TCP_DST[]", "decap()", "push_mpls:0x8847", "set_field:1", "load:0x1", "set_field:1->nw_ttl",
	} {
		if isPlain(text) {
			t.Errorf("%q is plain", text)
		}
	}
}

func TestQueries(t *testing.T) {
	for name, change := range map[string]func(*Query){
		"bridge":       func(q *Query) { q.Bridge = "" },
		"option":       func(q *Query) { q.Bridge = "--names" },
		"datapath":     func(q *Query) { q.Datapath = &Datapath{Type: "--names"} },
		"port":         func(q *Query) { q.InPort = 0 },
		"source":       func(q *Query) { q.SrcMAC = flows.MAC{} },
		"destination":  func(q *Query) { q.DstMAC = flows.MAC{1} },
		"tuple":        func(q *Query) { q.Tuple = flows.Tuple{} },
		"ICMP":         func(q *Query) { q.Tuple.Proto = flows.ICMP },
		"AH over IPv6": func(q *Query) { *q = v6(flows.AH, 0) },
	} {
		q := ask("10.0.1.2")
		change(&q)
		if _, err := (&Tracer{}).Trace(t.Context(), q); !errors.Is(err, ErrQuery) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzParse: what is accepted holds together.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txt")
	for _, file := range files {
		f.Add(load(f, filepath.Base(file)))
	}
	f.Fuzz(func(t *testing.T, text string) {
		q := ask("10.0.1.2")
		trace, err := parse(&q, text)
		if err != nil {
			return
		}
		stages := map[uint64]bool{}
		for i, s := range trace.Stages {
			id := s.Match.Key.Uint(megaflow.RecircID)
			stages[id] = true
			if (id == 0) != (i == 0) || i > 0 && s.Match.Mask.Uint(megaflow.InPort) != 0 {
				t.Errorf("stage %d: id %#x", i, id)
			}
			for w := range s.Match.Key {
				if s.Match.Key[w]&^s.Match.Mask[w] != 0 {
					t.Errorf("stage %d: key outside of its mask", i)
				}
			}
		}
		if len(stages) == 0 || len(trace.Stages) > maxStages {
			t.Errorf("%d stages", len(trace.Stages))
		}
		for _, s := range trace.Stages {
			for _, a := range s.Actions {
				if r, ok := a.(megaflow.Recirc); ok && !stages[uint64(r.ID)] {
					t.Errorf("recirc(%#x) leads nowhere", r.ID)
				}
			}
		}
	})
}

// FuzzActions: what is accepted can be composed, and options that are read are written
// as they were.
func FuzzActions(f *testing.F) {
	f.Add("set(tunnel(tun_id=0x1,dst=1.2.3.4,geneve({class=0x102,type=0x80,len=4,0x10003}),flags(df|csum|key))),set(ipv4(ttl=63)),2")
	f.Add("tnl_push(" + vxlanHeader + "),13")
	f.Add("pop_vlan,push_vlan(tpid=0x88a8,vid=7,pcp=3),check_pkt_len(size=9,gt(drop),le(ct(zone=1,nat),recirc(1)))")
	f.Add("set(eth(src=02:00:00:00:00:09/ff:00:00:00:00:ff)),set(ipv6(dst=fd00::1,label=1)),set(tcp(src=1)),dec_ttl(le_1(drop))")
	f.Fuzz(func(t *testing.T, text string) {
		actions, _, err := parseActions(text)
		if err != nil {
			return
		}
		flow := megaflow.Flow{Actions: actions}
		flow.Match.SetUint(megaflow.IPTTL, 64, 255)
		flow.Relax()
		p := megaflow.NewPacket(1, flows.Frame{}, flows.Tuple{Src: netip.IPv4Unspecified(), Dst: netip.IPv4Unspecified()})
		_, _ = megaflow.Compose(megaflow.NewTable([]megaflow.Flow{flow}), p, megaflow.Connection{MaxFrame: 1514})
		for _, a := range actions {
			e, ok := a.(megaflow.Encap)
			if !ok {
				continue
			}
			written, err := formatOptions(e.Tunnel.Value().Options)
			again, err2 := parseOptions(written)
			if err != nil || err2 != nil || again != e.Tunnel.Value().Options {
				t.Errorf("%q, %v, %q, %v", written, err, again, err2)
			}
		}
	})
}
