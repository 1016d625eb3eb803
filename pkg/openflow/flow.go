package openflow

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/flowshunt/flowshunt/flows"
)

// Flow is a flow as a bridge has it. What it points to is valid during the call that
// reports it.
type Flow struct {
	Table    uint8
	Priority uint16
	Cookie   uint64
	Hard     uint16 // seconds after the last modification when it ends; 0: it does not
	Idle     uint16 // seconds after the last packet when it ends; 0: it does not
	Match    Match
	Actions  []Action // that are applied
	Partial  bool     // it does more than that
	Count    flows.Counters
	// ReadsMetadata says that actions may make something depend on the metadata. What is
	// matched of it says Match.
	ReadsMetadata bool
}

// Filter says which flows are meant. The zero Filter is all of table 0.
type Filter struct {
	Table      uint8 // AllTables: all
	Cookie     uint64
	CookieMask uint64 // 0: whatever the cookie
	Match      Match  // flows that match this, or more
}

// AllTables stands for every table.
const AllTables = allTables

const (
	multipartFlows    = 1
	multipartPorts    = 13
	multipartMore     = 1
	multipartHeader   = 8
	flowStatsLen      = 48
	instructionWrite  = 3
	instructionApply  = 4
	instructionHeader = 8
)

// Flows calls fn for each flow. An error of fn is returned after all were read.
func (c *Client) Flows(ctx context.Context, filter Filter, fn func(*Flow) error) error {
	body := []byte{filter.Table, 0, 0, 0}
	body = binary.BigEndian.AppendUint32(body, anyPort)
	body = binary.BigEndian.AppendUint32(body, anyGroup)
	body = append(body, 0, 0, 0, 0)
	body = binary.BigEndian.AppendUint64(body, filter.Cookie)
	body = binary.BigEndian.AppendUint64(body, filter.CookieMask)
	body = appendMatch(body, &filter.Match)
	var flow Flow
	var failed error
	err := c.multipart(ctx, multipartFlows, body, func(b []byte) error {
		for len(b) > 0 {
			rest, err := parseFlow(b, &flow)
			if err != nil {
				return err
			}
			if failed == nil {
				failed = fn(&flow)
			}
			b = rest
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read flows: %w", err)
	}
	return failed
}

// multipart sends a multipart request and calls fn with the body of each reply.
func (c *Client) multipart(ctx context.Context, kind uint16, body []byte, fn func([]byte) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	xid := c.next(1)
	b := binary.BigEndian.AppendUint16(nil, kind)
	b = append(b, 0, 0, 0, 0, 0, 0)
	b = appendMessage(nil, writing, writing.multipartRequest(), xid, append(b, body...))
	return c.exchange(ctx, b, func(m message) (bool, error) {
		switch {
		case m.xid != xid:
			return false, nil
		case m.kind == typeError:
			return true, parseRequestError(m.body)
		case m.kind != writing.multipartRequest()+1 || len(m.body) < multipartHeader || binary.BigEndian.Uint16(m.body) != kind:
			return true, malformed("multipart reply")
		}
		more := binary.BigEndian.Uint16(m.body[2:])&multipartMore != 0
		return !more, fn(m.body[multipartHeader:])
	})
}

// parseFlow reads the ofp_flow_stats that b begins with.
func parseFlow(b []byte, f *Flow) (rest []byte, err error) {
	if len(b) < flowStatsLen {
		return nil, malformed("flow")
	}
	size := int(binary.BigEndian.Uint16(b))
	if size < flowStatsLen || size > len(b) {
		return nil, malformed("length of a flow")
	}
	b, rest = b[:size], b[size:]
	*f = Flow{
		Table:    b[2],
		Priority: binary.BigEndian.Uint16(b[12:]),
		Idle:     binary.BigEndian.Uint16(b[14:]),
		Hard:     binary.BigEndian.Uint16(b[16:]),
		Cookie:   binary.BigEndian.Uint64(b[24:]),
		Count:    flows.Counters{Packets: known64(b[32:]), Bytes: known64(b[40:])},
		Actions:  f.Actions[:0],
	}
	b, err = parseMatch(b[flowStatsLen:], &f.Match)
	if err != nil {
		return nil, err
	}
	return rest, f.parseInstructions(b)
}

// known64 reads a counter; all ones mean that it is not known.
func known64(b []byte) uint64 {
	if n := binary.BigEndian.Uint64(b); n != 1<<64-1 {
		return n
	}
	return 0
}

func (f *Flow) parseInstructions(b []byte) (err error) {
	for len(b) > 0 {
		if len(b) < instructionHeader {
			return malformed("instruction")
		}
		size := int(binary.BigEndian.Uint16(b[2:]))
		if size < instructionHeader || size > len(b) {
			return malformed("length of an instruction")
		}
		if kindOf(b) == instructionApply {
			if f.Actions, err = parseActions(f.Actions, b[instructionHeader:size]); err != nil {
				return err
			}
			f.ReadsMetadata = f.ReadsMetadata || anyReadsMetadata(b[instructionHeader:size])
		} else {
			f.Partial = true
			f.ReadsMetadata = f.ReadsMetadata || kindOf(b) == instructionWrite && anyReadsMetadata(b[instructionHeader:size])
		}
		b = b[size:]
	}
	return nil
}

func kindOf(instruction []byte) uint16 { return binary.BigEndian.Uint16(instruction) }

// anyReadsMetadata looks through a list of actions that may be malformed.
func anyReadsMetadata(b []byte) bool {
	for len(b) >= 8 {
		size := int(binary.BigEndian.Uint16(b[2:]))
		if size < 8 || size > len(b) {
			break
		}
		if readsMetadata(b[:size]) {
			return true
		}
		b = b[size:]
	}
	return false
}
