package dpctl

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
)

// EntryID is the id of all entries: the datapath has none. It keeps an entry of the
// datapath apart from one of the kernel with the same tuple and zone, unless the
// kernel's hash happens to be the same.
const EntryID uint32 = 0x64706374

// Connections calls fn with each entry of a zone, or of all where zone is nil, and
// returns how many could not be read. Entries of protocols without ports but ESP, AH
// and GRE are left out. Of TCP the status tells whether both sides answered each
// other; of others StatusConfirmed alone is set. The argument is valid during the call
// only; an error of fn ends it.
func (c *Client) Connections(ctx context.Context, zone *flows.Zone, fn func(*flows.Entry) error) (unread int, err error) {
	args := []string{"-m", "-s", c.datapath()}
	if zone != nil {
		args = append(args, "zone="+strconv.Itoa(int(*zone)))
	}
	text, err := c.call(ctx, "dump-conntrack", args...)
	if err != nil {
		return 0, err
	}
	var e flows.Entry
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		known, err := parseEntry(line, &e)
		if err != nil {
			unread++
			continue
		}
		if !known {
			continue
		}
		if err := fn(&e); err != nil {
			return unread, err
		}
	}
	return unread, nil
}

var protocols = map[string]flows.Proto{
	"tcp": flows.TCP, "udp": flows.UDP, "sctp": flows.SCTP, "esp": flows.ESP, "ah": flows.AH, "gre": flows.GRE,
}

// parseEntry reads a line as ct_dpif_format_entry() of lib/ct-dpif.c writes it. known
// is false for protocols that are left out.
func parseEntry(line string, e *flows.Entry) (known bool, err error) {
	name, rest, _ := strings.Cut(line, ",")
	proto, known := protocols[name]
	if !known {
		return false, nil
	}
	*e = flows.Entry{Status: flows.StatusConfirmed}
	e.Key.ID, e.Key.Tuple.Proto, e.Reply.Proto = EntryID, proto, proto
	seen := uint(0)
	for rest != "" && err == nil {
		var field string
		field, rest = nextField(rest)
		err = setField(e, &seen, field)
	}
	const needed = sawOrig | sawReply
	if err == nil && (seen&needed != needed || !e.Key.Tuple.IsValid() || !e.Reply.IsValid()) {
		err = fmt.Errorf("%w: no tuples", ErrFormat)
	}
	e.Status |= translation(e)
	return true, err
}

// translation returns what the kernel's status would say of two tuples.
func translation(e *flows.Entry) (s flows.Status) {
	leaves := e.Reply.Reverse()
	if t := e.Key.Tuple; t.Src != leaves.Src || t.SrcPort != leaves.SrcPort {
		s |= flows.StatusSrcNAT
	}
	if t := e.Key.Tuple; t.Dst != leaves.Dst || t.DstPort != leaves.DstPort {
		s |= flows.StatusDstNAT
	}
	return s
}

// nextField cuts a list at its first comma outside of parentheses.
func nextField(s string) (field, rest string) {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				return s[:i], s[i+1:]
			}
		}
	}
	return s, ""
}
