package ofproto

import (
	"fmt"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

const vlanPresent = 0x1000 // the CFI bit, which OVS sets for a tag

// protocols are the words that stand for an Ethernet type and an IP protocol.
var protocols = map[string]struct {
	ethType uint64
	proto   flows.Proto // 0: any
}{
	"ip": {0x0800, 0}, "icmp": {0x0800, flows.ICMP}, "tcp": {0x0800, flows.TCP}, "udp": {0x0800, flows.UDP}, "sctp": {0x0800, flows.SCTP},
	"ipv6": {0x86dd, 0}, "icmp6": {0x86dd, flows.ICMPv6}, "tcp6": {0x86dd, flows.TCP}, "udp6": {0x86dd, flows.UDP}, "sctp6": {0x86dd, flows.SCTP},
}

// numbers are the fields that are one number, with or without a mask.
var numbers = map[string]struct {
	field megaflow.Field
	bits  int
}{
	"recirc_id": {megaflow.RecircID, 32}, "pkt_mark": {megaflow.SkbMark, 32}, "skb_priority": {megaflow.SkbPriority, 32},
	"dp_hash": {megaflow.DPHash, 32}, "ct_zone": {megaflow.CTZone, 16}, "ct_mark": {megaflow.CTMark, 32},
	"ct_nw_proto": {megaflow.CTIPProto, 8}, "ct_tp_src": {megaflow.CTTPSrc, 16}, "ct_tp_dst": {megaflow.CTTPDst, 16},
	"dl_type": {megaflow.EthType, 16}, "vlan_tci": {megaflow.VLANTCI, 16}, "vlan_tci1": {megaflow.InnerTCI, 16},
	"nw_proto": {megaflow.IPProto, 8}, "nw_ttl": {megaflow.IPTTL, 8},
	"ipv6_label": {megaflow.IPv6Label, 20}, "tp_src": {megaflow.TPSrc, 16}, "tp_dst": {megaflow.TPDst, 16},
}

// addresses are the fields that are an IP address.
var addresses = map[string]struct {
	field megaflow.Field
	v6    bool
}{
	"nw_src": {megaflow.IPSrc, false}, "nw_dst": {megaflow.IPDst, false},
	"ipv6_src": {megaflow.IPSrc, true}, "ipv6_dst": {megaflow.IPDst, true},
	"ct_nw_src": {megaflow.CTIPSrc, false}, "ct_nw_dst": {megaflow.CTIPDst, false},
	"ct_ipv6_src": {megaflow.CTIPSrc, true}, "ct_ipv6_dst": {megaflow.CTIPDst, true},
}

// parseMatch reads a megaflow as match_format() of lib/match.c writes it. Where that
// leaves out a mask (of the DSCP, of ports behind a protocol) the flow is read as the
// narrower one.
func parseMatch(text string) (megaflow.Match, error) {
	var m megaflow.Match
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(part, "=")
		if seen[name] {
			return m, fmt.Errorf("%w: field %s twice", ErrFormat, clip(name))
		}
		seen[name] = true
		if err := setField(&m, part, name, value); err != nil {
			return m, fmt.Errorf("megaflow: %s: %w", clip(part), err)
		}
	}
	return m, nil
}

func setField(m *megaflow.Match, part, name, value string) error {
	if part == "eth" { // the packet starts with an Ethernet header, as all do here
		return nil
	}
	if p, ok := protocols[part]; ok {
		m.SetUint(megaflow.EthType, p.ethType, 0xffff)
		if p.proto != 0 {
			m.SetUint(megaflow.IPProto, uint64(p.proto), 0xff)
		}
		return nil
	}
	if n, ok := numbers[name]; ok {
		v, mask, err := masked(value, n.bits)
		m.SetUint(n.field, v, mask)
		return err
	}
	if a, ok := addresses[name]; ok {
		v, mask, err := maskedAddr(value, a.v6)
		m.SetWide(a.field, v, mask)
		return err
	}
	return setSpecial(m, name, value)
}

func setSpecial(m *megaflow.Match, name, value string) error {
	switch name {
	case "in_port":
		port, err := portNumber(value)
		m.SetUint(megaflow.InPort, port, 1<<32-1)
		return err
	case "dl_src":
		return setMAC(m, megaflow.EthSrc, value)
	case "dl_dst":
		return setMAC(m, megaflow.EthDst, value)
	case "dl_vlan":
		return setPart(m, megaflow.VLANTCI, value, 12, 0, vlanPresent)
	case "dl_vlan_pcp":
		return setPart(m, megaflow.VLANTCI, value, 3, 13, vlanPresent)
	case "dl_vlan1":
		return setPart(m, megaflow.InnerTCI, value, 12, 0, vlanPresent)
	case "dl_vlan_pcp1":
		return setPart(m, megaflow.InnerTCI, value, 3, 13, vlanPresent)
	case "nw_tos":
		v, err := number(value, 8)
		if err == nil && v&3 != 0 {
			err = ErrFormat
		}
		addUint(m, megaflow.IPTOS, v, 0xfc)
		return err
	case "nw_ecn":
		return setPart(m, megaflow.IPTOS, value, 2, 0, 0)
	case "nw_frag":
		return setFrag(m, value)
	case "ct_state":
		return setFlags(m, megaflow.CTState, value, stateFlags)
	case "tcp_flags":
		return setFlags(m, megaflow.TCPFlags, value, tcpFlags)
	case "ct_label":
		v, mask, err := masked128(value)
		m.SetWide(megaflow.CTLabel, v, mask)
		return err
	}
	if outerHeader(name) && value != "" {
		return nil
	}
	return fmt.Errorf("%w: unknown field", ErrFormat)
}

// outerHeader reports whether a field is about the tunnel that a packet came in. All of
// the tunnel is as it was asked about, in every stage, and what OVS would do with another
// is not told by this answer.
func outerHeader(name string) bool {
	return strings.HasPrefix(name, "tun_") || strings.HasPrefix(name, "gtpu_")
}

// unmatched names a condition on the outer header that no rule can have, if there is one:
// that of an extension of VXLAN or ERSPAN, of GTP, and that an option of Geneve is absent.
func unmatched(megaflow string) string {
	for part := range strings.SplitSeq(megaflow, ",") {
		name, value, _ := strings.Cut(part, "=")
		switch {
		case strings.HasPrefix(name, "tun_gbp"), strings.HasPrefix(name, "tun_erspan"), strings.HasPrefix(name, "gtpu_"),
			strings.HasPrefix(name, "tun_metadata") && value == "NP":
			return clip(part)
		}
	}
	return ""
}

// addUint adds a condition on some bits of a field to what there is.
func addUint(m *megaflow.Match, f megaflow.Field, value, mask uint64) {
	m.SetUint(f, m.Key.Uint(f)|value, m.Mask.Uint(f)|mask)
}

// setPart adds a condition on some bits of a field, and that the bits of present are
// set.
func setPart(m *megaflow.Match, f megaflow.Field, value string, bits, shift int, present uint64) error {
	v, err := number(value, bits)
	addUint(m, f, v<<shift|present, (1<<bits-1)<<shift|present)
	return err
}

// reservedPorts are the ports that OVS writes as words (OpenFlow 1.0 numbers). All
// but LOCAL stand where a pipeline has overwritten the port.
var reservedPorts = map[string]uint64{
	"UNSET": 65527, "IN_PORT": 65528, "TABLE": 65529, "NORMAL": 65530, "FLOOD": 65531,
	"ALL": 65532, "CONTROLLER": 65533, "LOCAL": 65534, "ANY": 65535, "NONE": 65535,
}

// portNumber reads an OpenFlow port of a bridge.
func portNumber(s string) (uint64, error) {
	if port, ok := reservedPorts[s]; ok {
		return port, nil
	}
	return number(s, 16)
}

func setMAC(m *megaflow.Match, f megaflow.Field, s string) error {
	text, maskText, hasMask := strings.Cut(s, "/")
	value, err := mac(text)
	if err != nil {
		return err
	}
	mask := uint64(1<<48 - 1)
	if hasMask {
		mask, err = mac(maskText)
	}
	m.SetUint(f, value, mask)
	return err
}

func mac(s string) (v uint64, err error) {
	m, err := flows.ParseMAC(s)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	for _, b := range m {
		v = v<<8 | uint64(b)
	}
	return v, nil
}

// setFrag translates OVS's two bits, fragment and not the first one, to the numbers
// of a datapath: 0 none, 1 first, 2 later.
func setFrag(m *megaflow.Match, s string) error {
	switch s {
	case "no":
		m.SetUint(megaflow.IPFrag, 0, 0xff)
	case "first":
		m.SetUint(megaflow.IPFrag, 1, 0xff)
	case "later":
		m.SetUint(megaflow.IPFrag, 2, 0xff)
	case "not_later":
		m.SetUint(megaflow.IPFrag, 0, 2)
	default:
		return fmt.Errorf("%w: fragment", ErrFormat)
	}
	return nil
}
