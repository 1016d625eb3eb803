package datapath

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

// render writes flows in a form that parseText makes of OVS's, sorted. OVS does not write
// that they are in no tunnel.
func render(all []megaflow.Flow) (lines []string) {
	for _, f := range all {
		f.Match.SetUint(megaflow.TunID, 0, 0)
		f.Match.SetUint(megaflow.TunOAM, 0, 0)
		f.Match.SetWide(megaflow.TunSrc, [16]byte{}, [16]byte{})
		f.Match.SetWide(megaflow.TunDst, [16]byte{}, [16]byte{})
		lines = append(lines, renderMatch(&f.Match)+" -> "+renderActions(f.Actions)+f.Unknown)
	}
	slices.Sort(lines)
	return lines
}

// renderMatch names each field that is not wildcarded.
func renderMatch(m *megaflow.Match) string {
	var parts []string
	for _, f := range megaflow.Fields() {
		if f.IsWide() {
			if mask := m.Mask.Wide(f); mask != [16]byte{} {
				parts = append(parts, fmt.Sprintf("%s=%x/%x", f, m.Key.Wide(f), mask))
			}
		} else if mask := m.Mask.Uint(f); mask != 0 {
			parts = append(parts, fmt.Sprintf("%s=%#x/%#x", f, m.Key.Uint(f), mask))
		}
	}
	if o := m.Options.Value(); o != (megaflow.Options{}) {
		return fmt.Sprintf("%s options %x/%x", strings.Join(parts, ","), o.Value, o.Mask)
	}
	return strings.Join(parts, ",")
}

func renderActions(all []megaflow.Action) string {
	var parts []string
	for _, a := range all {
		switch a := a.(type) {
		case megaflow.Output:
			parts = append(parts, strconv.Itoa(int(a.Port)))
		case megaflow.Recirc:
			parts = append(parts, fmt.Sprintf("recirc(%#x)", a.ID))
		case megaflow.CT:
			parts = append(parts, renderCT(&a))
		case megaflow.CTClear:
			parts = append(parts, "ct_clear")
		case megaflow.PushVLAN:
			parts = append(parts, fmt.Sprintf("push_vlan(vid=%d,pcp=%d)", a.Tag.ID, a.Tag.Priority))
		case megaflow.PopVLAN:
			parts = append(parts, "pop_vlan")
		case megaflow.Set:
			parts = append(parts, fmt.Sprintf("set(%s)", a.Field))
		case megaflow.DecTTL:
			parts = append(parts, fmt.Sprintf("dec_ttl(%d)", a.N))
		case megaflow.Encap:
			parts = append(parts, fmt.Sprintf("set(tunnel(%s))", a.Tunnel.Value()))
		case megaflow.CheckLength:
			parts = append(parts, fmt.Sprintf("check_pkt_len(size=%d,gt(%s),le(%s))", a.Size, renderActions(a.Longer), renderActions(a.Fits)))
		case megaflow.Unsupported:
			parts = append(parts, a.Name)
		}
	}
	if parts == nil {
		return "drop"
	}
	return strings.Join(parts, ",")
}

func renderCT(a *megaflow.CT) string {
	var parts []string
	add := func(set bool, format string, args ...any) {
		if set {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(a.Commit, "commit")
	add(a.Zone != 0, "zone=%d", a.Zone)
	add(a.MarkMask != 0, "mark=%#x/%#x", a.Mark, a.MarkMask)
	add(a.LabelsMask != [16]byte{}, "label=0x%s/0x%s", strings.TrimLeft(fmt.Sprintf("%x", a.Labels), "0"), strings.TrimLeft(fmt.Sprintf("%x", a.LabelsMask), "0"))
	add(a.NAT, "nat")
	return "ct(" + strings.Join(parts, ",") + ")"
}

// parseText reads `dpctl/dump-flows -m --no-names`: flows of IPv4 over Ethernet that
// are not ICMP, which is all that the test makes.
func parseText(t *testing.T, text string) (lines []string) {
	t.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		match, rest, ok := strings.Cut(line, ", packets:")
		_, actions, ok2 := strings.Cut(rest, "actions:")
		if !ok || !ok2 {
			t.Fatalf("not a flow: %q", line)
		}
		if !strings.Contains(match, "eth_type(0x0800)") {
			continue
		}
		var m megaflow.Match
		m.SetUint(megaflow.VLANTCI, 0, 0xffff)
		for len(match) > 0 {
			name, inner, ok := strings.Cut(match, "(")
			end := strings.Index(inner, ")")
			if strings.HasPrefix(match, "ufid:") {
				_, match, _ = strings.Cut(match, ", ")
				continue
			}
			if !ok || end < 0 {
				break
			}
			match = strings.TrimPrefix(inner[end+1:], ",")
			for part := range strings.SplitSeq(inner[:end], ",") {
				textField(t, &m, name, part)
			}
		}
		// the parameters that names leave out
		for _, long := range []string{"set(ipv4", "set(eth", "userspace", "sample"} {
			if at := strings.Index(actions, long+"("); at >= 0 {
				depth, end := 0, at+len(long)
				for ; end < len(actions); end++ {
					if actions[end] == '(' {
						depth++
					} else if actions[end] == ')' {
						if depth--; depth == 0 {
							break
						}
					}
				}
				actions = actions[:at] + long + "(...)" + actions[end+1:]
			}
		}
		if strings.Contains(actions, "set(ipv4(...))") { // the only one of the test
			m.SetUint(megaflow.IPTTL, 0, 0)
			actions = strings.ReplaceAll(actions, "set(ipv4(...))", "dec_ttl(1)")
		}
		if possible(&m) {
			lines = append(lines, renderMatch(&m)+" -> "+actions)
		}
	}
	slices.Sort(lines)
	return lines
}

var textFields = map[string]megaflow.Field{
	"recirc_id": megaflow.RecircID, "dp_hash": megaflow.DPHash, "skb_priority": megaflow.SkbPriority,
	"in_port": megaflow.InPort, "skb_mark": megaflow.SkbMark, "ct_state": megaflow.CTState, "ct_zone": megaflow.CTZone,
	"ct_mark": megaflow.CTMark, "ct_label": megaflow.CTLabel, "eth_type": megaflow.EthType,
	"eth.src": megaflow.EthSrc, "eth.dst": megaflow.EthDst,
	"ipv4.src": megaflow.IPSrc, "ipv4.dst": megaflow.IPDst, "ipv4.proto": megaflow.IPProto, "ipv4.tos": megaflow.IPTOS,
	"ipv4.ttl": megaflow.IPTTL, "ipv4.frag": megaflow.IPFrag,
	"tcp.src": megaflow.TPSrc, "tcp.dst": megaflow.TPDst, "udp.src": megaflow.TPSrc, "udp.dst": megaflow.TPDst,
	"tcp_flags":     megaflow.TCPFlags,
	"ct_tuple4.src": megaflow.CTIPSrc, "ct_tuple4.dst": megaflow.CTIPDst, "ct_tuple4.proto": megaflow.CTIPProto,
	"ct_tuple4.tp_src": megaflow.CTTPSrc, "ct_tuple4.tp_dst": megaflow.CTTPDst,
}

// textField adds the condition "name(part)".
func textField(t *testing.T, m *megaflow.Match, name, part string) {
	t.Helper()
	value := part
	if key, v, ok := strings.Cut(part, "="); ok {
		name, value = name+"."+key, v
	}
	field, ok := textFields[name]
	if !ok {
		if name == "tunnel" || strings.HasPrefix(name, "icmp.") || part == "" {
			return
		}
		t.Fatalf("%s(%s): no such field", name, part)
	}
	value, mask, masked := strings.Cut(value, "/")
	switch field {
	case megaflow.CTLabel:
		v, w := textLabel(t, value), [16]byte{}
		for i := range w {
			w[i] = 255
		}
		if masked {
			w = textLabel(t, mask)
		}
		m.SetWide(field, v, w)
	case megaflow.IPSrc, megaflow.IPDst, megaflow.CTIPSrc, megaflow.CTIPDst:
		if !masked {
			mask = "255.255.255.255"
		}
		m.SetWide(field, wide(netip.MustParseAddr(value).AsSlice()), wide(netip.MustParseAddr(mask).AsSlice()))
	default:
		w := ^uint64(0)
		if masked {
			w = textNumber(t, mask)
		}
		m.SetUint(field, textNumber(t, value), w)
	}
}

func textLabel(t *testing.T, s string) (v [16]byte) {
	t.Helper()
	s = fmt.Sprintf("%032s", strings.TrimPrefix(s, "0x"))
	for i := range v {
		b, err := strconv.ParseUint(strings.ReplaceAll(s[2*i:2*i+2], " ", "0"), 16, 8)
		must(t, err)
		v[i] = byte(b)
	}
	return v
}

func textNumber(t *testing.T, s string) (v uint64) {
	t.Helper()
	if s == "no" {
		return 0
	}
	if mac, err := net.ParseMAC(s); err == nil {
		for _, b := range mac {
			v = v<<8 | uint64(b)
		}
		return v
	}
	v, err := strconv.ParseUint(s, 0, 64)
	must(t, err)
	return v
}
