package ofproto

import (
	"slices"
	"strings"
)

// plainWords and plainVerbs are the actions that leave the packet as it is.
var (
	plainWords = []string{
		"drop", "NORMAL", "FLOOD", "ALL", "LOCAL", "IN_PORT", "IN_PORT:0", "ct_clear", "exit", "clear_actions", "pop_queue",
	}
	plainVerbs = []string{
		"output:", "enqueue:", "set_queue:", "goto_table:", "push:", "note:", "meter:",
		"write_metadata:", "write_actions(", "clone(", "set_tunnel:", "set_tunnel64:",
	}
	// writers have their destination behind the last arrow.
	writers = []string{"set_field:", "load:", "move:", "check_pkt_larger("}
	// asides start the names of fields that are no part of the packet as it came in.
	asides = []string{
		"reg", "xreg", "xxreg", "metadata", "pkt_mark", "ct_mark", "ct_label", "tun_",
		"nxm_nx_reg", "nxm_nx_xxreg", "oxm_of_pkt_reg", "oxm_of_metadata",
		"nxm_nx_pkt_mark", "nxm_nx_ct_mark", "nxm_nx_ct_label", "nxm_nx_tun_",
	}
)

// isPlain reports whether an action surely leaves port, addresses and protocol as
// they are.
func isPlain(text string) bool {
	switch {
	case slices.Contains(plainWords, text), hasPrefix(text, plainVerbs):
		return true
	case text == "ct" || strings.HasPrefix(text, "ct("):
		return !strings.Contains(text, "nat")
	case strings.HasPrefix(text, "resubmit(,"): // no port
		return !strings.Contains(text, "ct") // not with the tuple of the connection
	case strings.HasPrefix(text, "pop:"):
		return isAside(strings.TrimPrefix(text, "pop:"))
	case hasPrefix(text, writers):
		arrow := strings.LastIndex(text, "->")
		return arrow >= 0 && isAside(text[arrow+2:])
	}
	return false
}

func isAside(field string) bool { return hasPrefix(strings.ToLower(field), asides) }

func hasPrefix(s string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}
