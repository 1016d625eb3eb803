package ofproto

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

// parseEncap reads what is in the parentheses of set(tunnel()), which is s.
func parseEncap(s, args string) (megaflow.Action, error) {
	t := flows.Tunnel{MayBreak: true}
	odd := false // has something that a Tunnel has not
	words, err := split(args)
	for _, word := range words {
		if err != nil {
			break
		}
		name, value, _ := strings.Cut(word, "=")
		var n uint64
		switch {
		case name == "tun_id":
			n, err = number(value, 64)
			t.ID, odd = uint32(n), odd || n > 1<<24-1
		case name == "src", name == "ipv6_src":
			t.Src, err = endpoint(value)
		case name == "dst", name == "ipv6_dst":
			t.Dst, err = endpoint(value)
		case name == "tos":
			n, err = number(value, 8)
			t.TOS = uint8(n) &^ 3
		case name == "ttl":
			n, err = number(value, 8)
			t.TTL = uint8(n)
		case name == "tp_dst":
			n, err = number(value, 16)
			t.Port = uint16(n)
		case name == "tp_src": // the device chooses
		case strings.HasPrefix(word, "geneve("):
			t.Options, err = parseOptions(word[len("geneve(") : len(word)-1])
		case strings.HasPrefix(word, "flags("):
			odd = odd || !setTunnelFlags(&t, word[len("flags("):len(word)-1])
		default:
			odd = true
		}
	}
	switch {
	case err != nil:
		return nil, err
	case odd || !t.Dst.IsValid():
		return megaflow.Unsupported{Reason: flows.UnsupportedTunnel, Name: clip(s)}, nil
	}
	return megaflow.Encap{Tunnel: flows.RefTo(t)}, nil
}

// setTunnelFlags reads df|csum|key and reports whether that is all.
func setTunnelFlags(t *flows.Tunnel, text string) bool {
	for flag := range strings.SplitSeq(text, "|") {
		switch flag {
		case "df":
			t.MayBreak = false
		case "csum":
			t.Checksum = true
		case "key":
		default:
			return false
		}
	}
	return true
}

// endpoint reads an address of the underlay; that of nobody is none.
func endpoint(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil || a.Zone() != "":
		return a, fmt.Errorf("%w: address %q", ErrFormat, clip(s))
	case a.IsUnspecified():
		return netip.Addr{}, nil
	}
	return a.Unmap(), nil
}

// pushed reads tnl_push(tnl_port(4),header(...),out_port(1)),2: a packet goes out at
// port 4 in a tunnel of which OVS makes the outer header itself, and that is all.
func pushed(words []string) (megaflow.Action, bool) {
	if len(words) != 2 {
		return nil, false
	}
	if _, err := number(words[1], 32); err != nil {
		return nil, false
	}
	name, args, err := call(words[0])
	if err != nil || name != "tnl_push" {
		return nil, false
	}
	parts, err := split(args)
	if err != nil || len(parts) != 3 {
		return nil, false
	}
	name, port, err := call(parts[0])
	n, err1 := number(port, 32)
	kind, header, err2 := call(parts[1])
	t, ok := outerOf(header)
	if err != nil || err1 != nil || err2 != nil || name != "tnl_port" || kind != "header" || !ok {
		return nil, false
	}
	return megaflow.TunnelOutput{Port: uint32(n), Tunnel: flows.RefTo(t)}, true
}

// outerOf reads the header that OVS puts before a packet in a VXLAN or Geneve tunnel
// (format_odp_tnl_push_header of lib/odp-util.c); ok is false for what a Tunnel does
// not have.
func outerOf(header string) (t flows.Tunnel, ok bool) {
	words, err := split(header)
	if err != nil {
		return t, false
	}
	t.MayBreak = true
	vni := false
	for _, word := range words {
		name, args, err := call(word)
		if err != nil {
			return t, false
		}
		switch name {
		case "ipv4", "ipv6", "udp":
			ok = setOuter(&t, name, args)
		case "vxlan":
			ok = setVNI(&t, strings.TrimPrefix(args, "flags=0x8000000,"))
			vni = true
		case "geneve":
			ok = setGeneve(&t, args)
			vni = true
		case "eth":
			ok = true
		default:
			ok = strings.HasPrefix(word, "size=") || strings.HasPrefix(word, "type=")
		}
		if !ok {
			return t, false
		}
	}
	return t, vni && t.Dst.IsValid()
}

func setOuter(t *flows.Tunnel, header, args string) bool {
	for word := range strings.SplitSeq(args, ",") {
		name, value, _ := strings.Cut(word, "=")
		var n uint64
		var err error
		switch header + "." + name {
		case "ipv4.src", "ipv6.src":
			t.Src, err = endpoint(value)
		case "ipv4.dst", "ipv6.dst":
			t.Dst, err = endpoint(value)
		case "ipv4.tos", "ipv6.tclass":
			n, err = number(value, 8)
			t.TOS = uint8(n) &^ 3
		case "ipv4.ttl", "ipv6.hlimit":
			n, err = number(value, 8)
			t.TTL = uint8(n)
		case "ipv4.frag":
			n, err = number(value, 16)
			t.MayBreak = n&0x4000 == 0
		case "udp.dst":
			n, err = number(value, 16)
			t.Port = uint16(n)
		case "udp.csum": // of a template: that there is to be one
			n, err = number(value, 16)
			t.Checksum = n != 0
		}
		if err != nil {
			return false
		}
	}
	return true
}

func setVNI(t *flows.Tunnel, word string) bool {
	value, ok := strings.CutPrefix(word, "vni=")
	n, err := number(value, 24)
	t.ID = uint32(n)
	return ok && err == nil
}

// setGeneve reads crit,vni=0x7,options({class=0x102,type=0x80,len=4,0x10002}).
func setGeneve(t *flows.Tunnel, args string) bool {
	words, err := split(args)
	if err != nil {
		return false
	}
	for _, word := range words {
		switch {
		case word == "crit": // an option has that bit
		case strings.HasPrefix(word, "vni="):
			if !setVNI(t, word) {
				return false
			}
		case strings.HasPrefix(word, "options("):
			if t.Options, err = parseOptions(strings.TrimSuffix(word[len("options("):], ")")); err != nil {
				return false
			}
		default:
			return false
		}
	}
	return true
}
