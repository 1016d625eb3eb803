package ofproto

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
)

// warnings are the remarks of OVS that leave a translation true: the packet goes
// nowhere, or an action had nothing to act on.
var warnings = []string{"dropping", "skipping output", "Nonexistent output port", "unmet prerequisites", "so learn action ignored"}

// steps reads the bridges, tables and OpenFlow actions that a packet passed, up to
// the line of the final flow.
func (p *parser) steps() {
	bridges := 0
	for p.err == nil {
		line := p.line()
		if strings.HasPrefix(line, "Final flow: ") {
			break
		}
		text := strings.TrimLeft(line, " ")
		if name, ok := strings.CutPrefix(text, "bridge("); ok {
			if bridges++; bridges == 1 && p.query.from == nil && name != `"`+p.query.Bridge+`")` {
				p.failf("the port is in bridge(%s", clip(name))
			}
		} else {
			p.step(text)
		}
	}
	switch {
	case bridges == 0:
		p.failf("no bridge")
	case bridges > 1: // a patch port, or the way of a tunnel's packets
		p.last.plain = false
	}
}

func (p *parser) step(text string) {
	switch {
	case strings.HasPrefix(text, ">>>> "):
		p.fail(fmt.Errorf("%w: %s", ErrFailed, clip(text)))
	case strings.HasPrefix(text, ">> "):
		if !slices.ContainsFunc(warnings, func(w string) bool { return strings.Contains(text, w) }) {
			p.fail(fmt.Errorf("%w: %s", ErrFailed, clip(text)))
		}
	case strings.HasPrefix(text, "-> Failed"):
		p.fail(fmt.Errorf("%w: %s", ErrFailed, clip(text)))
	case strings.HasPrefix(text, "bucket "):
		p.last.groups = true
	case isTable(text):
		p.matched(text)
	case text == "", strings.HasPrefix(text, "-> "), isRule(text), isThaw(text):
	default:
		p.action(text)
	}
}

// isRule reports whether text is what underlines a bridge.
func isRule(text string) bool { return strings.Trim(text, "-") == "" }

// isTable reports whether text is the line of a table: its number, and the flow that
// matched there.
func isTable(text string) bool {
	id, _, found := strings.Cut(text, ". ")
	return found && (id == "--" || len(id) > 0 && len(id) <= 3 && strings.Trim(id, "0123456789") == "")
}

// matched looks at the flow that matched in a table: MATCH, priority N, and its cookie in
// the end, unless that is 0.
func (p *parser) matched(text string) {
	_, word, found := cutLast(text, ", cookie ")
	if !found || p.query.ours == nil {
		return
	}
	cookie, err := number(word, 64)
	switch {
	case err != nil:
		p.failf("cookie %q", clip(word))
	case p.query.ours(cookie):
		p.refuse(flows.UnsupportedAction, fmt.Sprintf("the packet meets a rule (cookie %#x): the pipeline overwrites the metadata that keeps it from rules, and gives it to table 0 again", cookie))
	}
}

// cutLast is strings.Cut for the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// isThaw reports whether text is about what a recirculation brings back; the actions
// among it are shown once more where they are executed.
func isThaw(text string) bool {
	for _, prefix := range []string{"thaw", "Resuming from table ", "Restoring action", "restored state: "} {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	return false
}

// action looks at an OpenFlow action that was executed, as ovs-actions(7) writes it.
// The nested ones of clone, ct and write_actions come as lines of their own too. What
// learn() makes is a flow like any other: it is watched, and when it ends, for want of the
// packets that a rule takes, that is a change like any other.
func (p *parser) action(text string) {
	switch {
	case strings.Contains(text, "controller"), strings.Contains(text, "CONTROLLER"):
		p.refuse(flows.UnsupportedUpcall, text)
	case strings.Contains(text, "group:"):
		p.last.groups = true
	case !isPlain(text):
		p.last.plain = false
	}
}
