package ofproto

import (
	"fmt"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

// unsupported are the actions of a datapath that no rule repeats, by name.
var unsupported = map[string]flows.Reason{
	"push_vlan": flows.UnsupportedVLAN, "pop_vlan": flows.UnsupportedVLAN,
	"tnl_push": flows.UnsupportedTunnel, "tnl_pop": flows.UnsupportedTunnel,
	"userspace": flows.UnsupportedUpcall, "lb_output": flows.UnsupportedBond,
	"set": flows.UnsupportedAction, "hash": flows.UnsupportedAction, "ct_clear": flows.UnsupportedAction,
	"sample": flows.UnsupportedAction, "psample": flows.UnsupportedAction, "clone": flows.UnsupportedAction,
	"check_pkt_len": flows.UnsupportedAction, "meter": flows.UnsupportedAction, "trunc": flows.UnsupportedAction,
	"push_mpls": flows.UnsupportedAction, "pop_mpls": flows.UnsupportedAction, "add_mpls": flows.UnsupportedAction,
	"push_nsh": flows.UnsupportedAction, "pop_nsh": flows.UnsupportedAction, "push_eth": flows.UnsupportedAction,
	"pop_eth": flows.UnsupportedAction, "dec_ttl": flows.UnsupportedAction, "drop": flows.UnsupportedAction,
}

// inside are the reasons of actions that depend on what they act on.
var inside = []struct {
	prefix string
	reason flows.Reason
}{
	{"set(tunnel(", flows.UnsupportedTunnel}, {"clone(tnl_push(", flows.UnsupportedTunnel},
	{"set(eth(", flows.UnsupportedRouted}, {"set(ipv4(", flows.UnsupportedRouted}, {"set(ipv6(", flows.UnsupportedRouted},
}

// parseActions reads datapath actions as format_odp_actions() of lib/odp-util.c
// writes them, and the recirculation ids in them, nested ones too.
func parseActions(text string) (actions []megaflow.Action, ids []uint32, err error) {
	if text == "drop" {
		return nil, nil, nil
	}
	words, err := split(text)
	if err != nil {
		return nil, nil, err
	}
	for _, word := range words {
		a, err := parseAction(word)
		if err != nil {
			return nil, nil, fmt.Errorf("datapath action %s: %w", clip(word), err)
		}
		actions = append(actions, a)
	}
	ids, err = recircs(text)
	return actions, ids, err
}

func parseAction(s string) (megaflow.Action, error) {
	name, args, err := call(s)
	if err != nil {
		return nil, err
	}
	switch name {
	case "ct":
		return parseCT(args)
	case "recirc":
		id, err := number(args, 32)
		return megaflow.Recirc{ID: uint32(id)}, err
	}
	if reason, ok := unsupported[name]; ok {
		for _, i := range inside {
			if strings.HasPrefix(s, i.prefix) {
				reason = i.reason
			}
		}
		return megaflow.Unsupported{Reason: reason, Name: clip(s)}, nil
	}
	port, err := number(s, 32)
	if err != nil {
		return nil, fmt.Errorf("%w: unknown", ErrFormat)
	}
	return megaflow.Output{Port: uint32(port)}, nil
}

// recircs returns the ids of all recirculations in actions.
func recircs(text string) (ids []uint32, err error) {
	for {
		_, rest, found := strings.Cut(text, "recirc(")
		if !found {
			return ids, nil
		}
		var inner string
		inner, text, _ = strings.Cut(rest, ")")
		id, err := number(inner, 32)
		if err != nil {
			return nil, err
		}
		ids = append(ids, uint32(id))
	}
}

// call takes NAME(ARGS) or NAME apart.
func call(s string) (name, args string, err error) {
	name, rest, found := strings.Cut(s, "(")
	if !found {
		return s, "", nil
	}
	args, closed := strings.CutSuffix(rest, ")")
	if !closed || args == "" && name != "pop_nsh" {
		return "", "", fmt.Errorf("%w: parentheses", ErrFormat)
	}
	return name, args, nil
}

// split parts a list at its commas that are outside of parentheses.
func split(text string) (words []string, err error) {
	depth, start := 0, 0
	for i := range len(text) {
		switch text[i] {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				words = append(words, text[start:i])
				start = i + 1
			}
		}
		if depth < 0 {
			break
		}
	}
	if depth != 0 {
		return nil, fmt.Errorf("%w: parentheses in %q", ErrFormat, clip(text))
	}
	return append(words, text[start:]), nil
}
