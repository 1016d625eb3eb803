package ofproto

import (
	"slices"
	"strings"
)

// plainWords and plainVerbs are the actions that leave the packet as it is.
var (
	plainWords = []string{
		"drop", "NORMAL", "FLOOD", "ALL", "LOCAL", "IN_PORT", "IN_PORT:0", "ct_clear", "exit", "clear_actions", "pop_queue", "nat",
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
		"NXM_NX_REG", "NXM_NX_XXREG", "OXM_OF_PKT_REG", "OXM_OF_METADATA",
		"NXM_NX_PKT_MARK", "NXM_NX_CT_MARK", "NXM_NX_CT_LABEL", "NXM_NX_TUN_",
	}
)

// isPlain reports whether an action surely leaves port, addresses and protocol as
// they are.
func isPlain(text string) bool {
	switch {
	case slices.Contains(plainWords, text), hasPrefix(text, plainVerbs):
		return true
	case text == "ct" || strings.HasPrefix(text, "ct("):
		// A bare nat does what was decided for the connection; if that is a change, the
		// resumed pipeline begins with it.
		return !strings.Contains(text, "nat(") && !strings.Contains(text, "src=") && !strings.Contains(text, "dst=")
	case strings.HasPrefix(text, "resubmit(,"): // no port
		return !strings.Contains(text, "ct") // not with the tuple of the connection
	case strings.HasPrefix(text, "pop:"):
		return hasPrefix(text[len("pop:"):], asides)
	case hasPrefix(text, writers):
		arrow := strings.LastIndex(text, "->")
		return arrow >= 0 && hasPrefix(text[arrow+2:], asides)
	}
	return false
}

func hasPrefix(s string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}
