package openflow

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
)

// A BundleError says which change of a bundle kept all of them from being made.
type BundleError struct {
	Index int // -1: none alone
	Err   error
}

// Error names the change and what is wrong with it.
func (e *BundleError) Error() string {
	if e.Index < 0 {
		return fmt.Sprintf("bundle: %v", e.Err)
	}
	return fmt.Sprintf("bundle: change %d: %v", e.Index, e.Err)
}

// Unwrap returns what the bridge said.
func (e *BundleError) Unwrap() error { return e.Err }

// Of OFPT_BUNDLE_CONTROL and OFPT_BUNDLE_ADD_MESSAGE.
const (
	typeBundleControl = 33
	typeBundleAdd     = 34

	bundleOpen       = 0
	bundleCommit     = 4
	bundleFlags      = 1<<0 | 1<<1 // ATOMIC, ORDERED
	bundleControlLen = 8
)

// Bundle carries out all changes at once, or none: no packet meets some of them only.
// When it returns they are in force. Where the bridge refused them the error is a
// *BundleError; any other says that the outcome is not known.
func (c *Client) Bundle(ctx context.Context, mods []FlowMod) error {
	if len(mods) > MaxBundle {
		return &BundleError{-1, fmt.Errorf("%d changes are more than %d", len(mods), MaxBundle)}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	open := c.next(len(mods) + 2)
	first, commit := open+1, open+1+uint32(len(mods))
	c.buf = appendBundleControl(c.buf[:0], open, open, bundleOpen)
	for i := range mods {
		c.buf = appendBundled(c.buf, first+uint32(i), open, &mods[i])
	}
	c.buf = appendBundleControl(c.buf, commit, open, bundleCommit)
	return c.commit(ctx, open, first, commit)
}

// commit sends the bundle in c.buf. A bridge answers a commit last, whatever else
// failed before.
func (c *Client) commit(ctx context.Context, open, first, commit uint32) error {
	var failed *BundleError
	err := c.exchange(ctx, c.buf, func(m message) (bool, error) {
		switch {
		case m.xid < open || m.xid > commit:
			return false, nil
		case m.kind != typeError:
			return m.kind == typeBundleControl && m.xid == commit, nil
		case failed == nil || m.xid >= first && m.xid < commit && failed.Index < 0:
			failed = &BundleError{-1, parseRequestError(m.body)}
			if m.xid >= first && m.xid < commit {
				failed.Index = int(m.xid - first)
			}
		}
		return m.xid == commit, nil
	})
	switch {
	case err != nil:
		return fmt.Errorf("commit a bundle: %w", err)
	case failed == nil:
		return nil
	case errors.Is(failed.Err, ErrProtocol):
		return failed.Err
	}
	return failed
}

func appendBundleControl(b []byte, xid, id uint32, kind uint16) []byte {
	b = appendMessage(b, writing, typeBundleControl, xid, make([]byte, bundleControlLen))
	body := b[len(b)-bundleControlLen:]
	binary.BigEndian.PutUint32(body, id)
	binary.BigEndian.PutUint16(body[4:], kind)
	binary.BigEndian.PutUint16(body[6:], bundleFlags)
	return b
}

// appendBundled appends a change that is to wait for the commit. Both messages have
// the same transaction id.
func appendBundled(b []byte, xid, id uint32, f *FlowMod) []byte {
	start := len(b)
	b = appendMessage(b, writing, typeBundleAdd, xid, nil)
	b = binary.BigEndian.AppendUint32(b, id)
	b = append(b, 0, 0, 0, bundleFlags)
	b = appendFlowMod(b, xid, f)
	binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start))
	return b
}
