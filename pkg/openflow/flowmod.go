package openflow

import (
	"context"
	"encoding/binary"
	"fmt"
)

// Command says what a FlowMod does.
type Command uint8

// The commands (ofp_flow_mod_command). Modify and Delete concern all flows that match
// Match or more, in Table, with the cookie that CookieMask selects. A flow that is
// added takes the place of one with the same match and priority, and counts from 0;
// one that is modified keeps counters, timeouts and cookie, and its hard timeout begins
// anew (measured with Open vSwitch 3.1; ofproto/ofproto.c, replace_rule_start).
const (
	AddFlow    Command = 0
	ModifyFlow Command = 1
	DeleteFlow Command = 3
)

// FlowMod is one change of a table.
type FlowMod struct {
	Command    Command
	Table      uint8
	Priority   uint16 // of AddFlow
	Cookie     uint64
	CookieMask uint64 // of ModifyFlow and DeleteFlow
	Idle, Hard uint16 // seconds, of AddFlow; 0: never
	Match      Match
	Actions    []Action
}

const (
	typeFlowMod = 14
	noBuffer    = 0xffffffff
)

// MaxBundle is how many changes a bundle can have. It bounds what is sent before an
// answer is read, so that neither side ever waits for the other to read.
const MaxBundle = 256

func appendFlowMod(b []byte, xid uint32, f *FlowMod) []byte {
	start := len(b)
	b = appendMessage(b, writing, typeFlowMod, xid, nil)
	b = binary.BigEndian.AppendUint64(b, f.Cookie)
	b = binary.BigEndian.AppendUint64(b, f.CookieMask)
	b = append(b, f.Table, byte(f.Command))
	b = binary.BigEndian.AppendUint16(b, f.Idle)
	b = binary.BigEndian.AppendUint16(b, f.Hard)
	b = binary.BigEndian.AppendUint16(b, f.Priority)
	b = binary.BigEndian.AppendUint32(b, noBuffer)
	b = binary.BigEndian.AppendUint32(b, anyPort)
	b = binary.BigEndian.AppendUint32(b, anyGroup)
	b = append(b, 0, 0, 0, 0) // flags, importance
	b = appendMatch(b, &f.Match)
	if len(f.Actions) > 0 {
		at := len(b)
		b = append(b, 0, instructionApply, 0, 0, 0, 0, 0, 0)
		b = appendActions(b, f.Actions)
		binary.BigEndian.PutUint16(b[at+2:], uint16(len(b)-at))
	}
	binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start))
	return b
}

// Change carries out changes in order, each by itself, and enters into errs what the
// bridge refused, a *RequestError; the others are in force when it returns. An error
// that is returned says that the outcome of some is not known.
func (c *Client) Change(ctx context.Context, mods []FlowMod, errs []error) error {
	if err := inTurn(ctx, c, mods, errs, appendFlowMod); err != nil {
		return fmt.Errorf("change flows: %w", err)
	}
	return nil
}

// inTurn sends requests that are answered only where they are refused, some at a time, and
// enters into errs what was; the others are carried out when it returns.
func inTurn[T any](ctx context.Context, c *Client, all []T, errs []error, encode func([]byte, uint32, *T) []byte) error {
	for len(all) > 0 {
		n := min(len(all), MaxBundle)
		if err := someInTurn(ctx, c, all[:n], errs[:n], encode); err != nil {
			return err
		}
		all, errs = all[n:], errs[n:]
	}
	return nil
}

func someInTurn[T any](ctx context.Context, c *Client, some []T, errs []error, encode func([]byte, uint32, *T) []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.next(len(some) + 1)
	barrier := first + uint32(len(some))
	c.buf = c.buf[:0]
	for i := range some {
		errs[i] = nil
		c.buf = encode(c.buf, first+uint32(i), &some[i])
	}
	c.buf = appendMessage(c.buf, writing, writing.barrierRequest(), barrier, nil)
	return c.exchange(ctx, c.buf, c.untilBarrier(first, barrier, errs))
}
