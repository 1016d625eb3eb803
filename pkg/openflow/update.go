package openflow

import "encoding/binary"

// news is what one message told.
type news struct {
	changes         []Change
	paused, resumed bool
}

// Sizes of an update before its match.
const (
	updateHeaderLen = 4 // length, event
	updateFullLen   = 24
)

// niciraUpdates reads an array of nx_flow_update.
func niciraUpdates(b []byte, n *news) error { return eachUpdate(b, n, niciraUpdate) }

// onfUpdates reads the same with OXM matches.
func onfUpdates(b []byte, n *news) error { return eachUpdate(b, n, onfUpdate) }

// standardUpdates reads an array of ofp_flow_update.
func standardUpdates(b []byte, n *news) error { return eachUpdate(b, n, standardUpdate) }

// eachUpdate calls read with each element of an array of updates.
func eachUpdate(b []byte, n *news, read func(event uint16, b []byte, n *news) error) error {
	for len(b) > 0 {
		if len(b) < updateHeaderLen {
			return malformed("flow update")
		}
		size := int(binary.BigEndian.Uint16(b))
		if size < 8 || size > len(b) {
			return malformed("length of a flow update")
		}
		if err := read(binary.BigEndian.Uint16(b[2:]), b[:size], n); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}

var extensionKinds = [...]Kind{FlowAdded, FlowDeleted, FlowModified}

const extensionAbbrev = 3

func niciraUpdate(event uint16, b []byte, n *news) error {
	return extensionUpdate(event, b, n, func(c *Change, b []byte, size int) error {
		if size > len(b) {
			return malformed("match of a flow update")
		}
		return c.narrow(b[:size])
	})
}

func onfUpdate(event uint16, b []byte, n *news) error {
	return extensionUpdate(event, b, n, func(c *Change, b []byte, _ int) error {
		return c.narrowOXM(b)
	})
}

// extensionUpdate reads nx_flow_update_full; match gets what follows it and the
// length of the match.
func extensionUpdate(event uint16, b []byte, n *news, match func(*Change, []byte, int) error) error {
	if event == extensionAbbrev {
		n.changes = append(n.changes, Change{})
		return nil
	}
	if int(event) >= len(extensionKinds) || len(b) < updateFullLen {
		return malformed("event of a flow update")
	}
	c := Change{
		Kind:     extensionKinds[event],
		Priority: binary.BigEndian.Uint16(b[6:]),
		Table:    b[14],
		Cookie:   binary.BigEndian.Uint64(b[16:]),
	}
	if err := match(&c, b[updateFullLen:], int(binary.BigEndian.Uint16(b[12:]))); err != nil {
		return err
	}
	n.changes = append(n.changes, c)
	return nil
}

// Events of ofp_flow_update_event. INITIAL is not asked for.
const (
	standardAdded = 1 + iota
	standardRemoved
	standardModified
	standardAbbrev
	standardPaused
	standardResumed
)

var standardKinds = [...]Kind{standardAdded: FlowAdded, standardRemoved: FlowDeleted, standardModified: FlowModified}

func standardUpdate(event uint16, b []byte, n *news) error {
	switch event {
	case standardAdded, standardRemoved, standardModified:
	case standardAbbrev:
		n.changes = append(n.changes, Change{})
		return nil
	case standardPaused:
		n.paused, n.resumed = true, false
		return nil
	case standardResumed:
		n.resumed = true
		return nil
	default:
		return malformed("event of a flow update")
	}
	if len(b) < updateFullLen {
		return malformed("flow update")
	}
	c := Change{
		Kind:     standardKinds[event],
		Table:    b[4],
		Priority: binary.BigEndian.Uint16(b[10:]),
		Cookie:   binary.BigEndian.Uint64(b[16:]),
	}
	if err := c.narrowOXM(b[updateFullLen:]); err != nil {
		return err
	}
	n.changes = append(n.changes, c)
	return nil
}

// narrowOXM narrows by the ofp_match that b begins with.
func (c *Change) narrowOXM(b []byte) error {
	if len(b) < 4 || binary.BigEndian.Uint16(b) != matchTypeOXM {
		return malformed("match of a flow update")
	}
	size := int(binary.BigEndian.Uint16(b[2:]))
	if size < 4 || size > len(b) {
		return malformed("length of a match")
	}
	return c.narrow(b[4:size])
}
