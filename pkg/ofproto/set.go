package ofproto

import (
	"fmt"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

// setter says which field a word of set(...) is, and how its value is written.
type setter struct {
	field megaflow.Field
	bits  int // of a number; 0: see the field
}

// setters are the fields that are set, by header.
var setters = map[string]map[string]setter{
	"eth":  {"src": {megaflow.EthSrc, 0}, "dst": {megaflow.EthDst, 0}},
	"ipv4": {"src": {megaflow.IPSrc, 0}, "dst": {megaflow.IPDst, 0}, "tos": {megaflow.IPTOS, 8}, "ttl": {megaflow.IPTTL, 8}},
	"ipv6": {"src": {megaflow.IPSrc, 0}, "dst": {megaflow.IPDst, 0}, "label": {megaflow.IPv6Label, 20}, "tclass": {megaflow.IPTOS, 8}, "hlimit": {megaflow.IPTTL, 8}},
	"tcp":  setPorts, "udp": setPorts, "sctp": setPorts,
}

var setPorts = map[string]setter{"src": {megaflow.TPSrc, 16}, "dst": {megaflow.TPDst, 16}}

// parseSet reads what is in the parentheses of set(), which is s.
func parseSet(s, args string) ([]megaflow.Action, error) {
	header, inner, err := call(args)
	if err != nil {
		return nil, err
	}
	if header == "tunnel" {
		a, err := parseEncap(s, inner)
		return []megaflow.Action{a}, err
	}
	words, known := setters[header]
	if !known {
		return []megaflow.Action{megaflow.Unsupported{Reason: flows.UnsupportedAction, Name: clip(s)}}, nil
	}
	var all []megaflow.Action
	for word := range strings.SplitSeq(inner, ",") {
		name, value, _ := strings.Cut(word, "=")
		to, ok := words[name]
		if !ok {
			return nil, fmt.Errorf("%w: %q", ErrFormat, clip(word))
		}
		// the forms are those of a match
		var m megaflow.Match
		switch {
		case to.bits > 0:
			var v, mask uint64
			v, mask, err = masked(value, to.bits)
			all = append(all, megaflow.SetUint(to.field, v, mask))
		case to.field.IsWide():
			var v, mask [16]byte
			v, mask, err = maskedAddr(value, header == "ipv6")
			all = append(all, megaflow.SetWide(to.field, v, mask))
		default:
			err = setMAC(&m, to.field, value)
			all = append(all, megaflow.SetUint(to.field, m.Key.Uint(to.field), m.Mask.Uint(to.field)))
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}
