package ofproto

import (
	"fmt"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

// unsupported are the actions of a datapath that no rule repeats, by name.
var unsupported = map[string]flows.Reason{
	"tnl_push": flows.UnsupportedTunnel, "tnl_pop": flows.UnsupportedTunnel,
	"userspace": flows.UnsupportedUpcall, "lb_output": flows.UnsupportedBond,
	"hash": flows.UnsupportedBond, // also of groups that select by hash
	"set":  flows.UnsupportedAction, "clone": flows.UnsupportedAction,
	"sample": flows.UnsupportedAction, "psample": flows.UnsupportedAction,
	"meter": flows.UnsupportedAction, "trunc": flows.UnsupportedAction,
	"push_mpls": flows.UnsupportedAction, "pop_mpls": flows.UnsupportedAction, "add_mpls": flows.UnsupportedAction,
	"push_nsh": flows.UnsupportedAction, "pop_nsh": flows.UnsupportedAction, "push_eth": flows.UnsupportedAction,
	"pop_eth": flows.UnsupportedAction, "drop": flows.PathDropped,
}

// parseActions reads datapath actions as format_odp_actions() of lib/odp-util.c
// writes them, and the recirculation ids in them, nested ones too.
func parseActions(text string) (actions []megaflow.Action, ids []uint32, err error) {
	if actions, err = parseList(text, 0); err != nil {
		return nil, nil, err
	}
	ids, err = recircs(text)
	return actions, ids, err
}

// maxDepth bounds how deep lists of actions are in each other.
const maxDepth = 16

func parseList(text string, depth int) (actions []megaflow.Action, err error) {
	if text == "drop" {
		return nil, nil
	}
	words, err := split(text)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(words); i++ {
		if out, ok := pushed(words[i:]); ok {
			actions = append(actions, out)
			break
		}
		a, err := parseAction(words[i], depth)
		if err != nil {
			return nil, fmt.Errorf("datapath action %s: %w", clip(words[i]), err)
		}
		actions = append(actions, a...)
	}
	return actions, nil
}

func parseAction(s string, depth int) ([]megaflow.Action, error) {
	name, args, err := call(s)
	if err != nil {
		return nil, err
	}
	var a megaflow.Action
	switch name {
	case "ct":
		a, err = parseCT(args)
	case "ct_clear":
		a = megaflow.CTClear{}
	case "recirc":
		var id uint64
		id, err = number(args, 32)
		a = megaflow.Recirc{ID: uint32(id)}
	case "pop_vlan":
		a = megaflow.PopVLAN{}
	case "push_vlan":
		a, err = parsePush(args)
	case "dec_ttl": // what it does when the TTL is used up is no matter: a rule leaves that alone
		a = megaflow.DecTTL{N: 1}
	case "check_pkt_len":
		a, err = parseCheck(args, depth)
	case "clone":
		if words, err := split(args); err == nil {
			if out, ok := pushed(words); ok {
				return []megaflow.Action{out}, nil
			}
		}
		a = megaflow.Unsupported{Reason: unsupported[name], Name: clip(s)}
	case "set":
		return parseSet(s, args)
	default:
		if reason, ok := unsupported[name]; ok {
			a = megaflow.Unsupported{Reason: reason, Name: clip(s)}
			break
		}
		port, err := number(s, 32)
		if err != nil {
			return nil, fmt.Errorf("%w: unknown", ErrFormat)
		}
		a = megaflow.Output{Port: uint32(port)}
	}
	return []megaflow.Action{a}, err
}

// parsePush reads vid=7,pcp=0 with tpid=0x88a8 before it, or cfi=0 behind it.
func parsePush(args string) (megaflow.Action, error) {
	t := flows.Tag{Type: flows.TagCustomer}
	for word := range strings.SplitSeq(args, ",") {
		name, value, _ := strings.Cut(word, "=")
		bits := map[string]int{"tpid": 16, "vid": 12, "pcp": 3}[name]
		n, err := number(value, max(bits, 1))
		if bits == 0 && err == nil {
			err = fmt.Errorf("%w: %q", ErrFormat, clip(word))
		}
		if err != nil {
			return nil, err
		}
		switch name {
		case "tpid":
			t.Type = uint16(n)
		case "vid":
			t.ID = uint16(n)
		case "pcp":
			t.Priority = uint8(n)
		}
	}
	return megaflow.PushVLAN{Tag: t}, nil
}

// parseCheck reads size=1400,gt(drop),le(2).
func parseCheck(args string, depth int) (megaflow.Action, error) {
	words, err := split(args)
	if err != nil {
		return nil, err
	}
	if len(words) != 3 || depth == maxDepth {
		return nil, fmt.Errorf("%w: branches", ErrFormat)
	}
	size, ok := strings.CutPrefix(words[0], "size=")
	n, err := number(size, 16)
	if !ok || err != nil {
		return nil, fmt.Errorf("%w: size", ErrFormat)
	}
	c := megaflow.CheckLength{Size: uint16(n), Branches: &megaflow.Branches{}}
	for i, list := range []*[]megaflow.Action{&c.Longer, &c.Fits} {
		name, inner, err := call(words[1+i])
		if err != nil || name != [...]string{"gt", "le"}[i] {
			return nil, fmt.Errorf("%w: branches", ErrFormat)
		}
		if *list, err = parseList(inner, depth+1); err != nil {
			return nil, err
		}
	}
	return c, nil
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
