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
	bundleDiscard    = 6
	bundleFlags      = 1<<0 | 1<<1 // ATOMIC, ORDERED
	bundleControlLen = 8
)

// Bundle carries out all changes at once, or none: no packet meets some of them only.
// When it returns they are in force. Where the bridge refused them the error is a
// *BundleError; any other says that the outcome is not known.
//
// OVS commits what it has taken of a bundle although it refused the rest (measured with
// 3.1), so that is asked first.
func (c *Client) Bundle(ctx context.Context, mods []FlowMod) error {
	if len(mods) > MaxBundle {
		return &BundleError{-1, fmt.Errorf("%d changes are more than %d", len(mods), MaxBundle)}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b := &filling{client: c, id: c.next(len(mods) + 3), n: len(mods)}
	if err := b.fill(ctx, mods); err != nil {
		return fmt.Errorf("fill a bundle: %w", err)
	}
	kind := uint16(bundleCommit)
	if b.failed != nil {
		kind = bundleDiscard
	}
	if err := b.close(ctx, kind); err != nil {
		return fmt.Errorf("commit a bundle: %w", err)
	}
	if b.failed != nil { // a typed nil is no error
		return b.failed
	}
	return nil
}

// filling is a bundle on its way. Its requests have consecutive transaction ids: to open it,
// which is its number too, the changes, a barrier, and to close it.
type filling struct {
	client *Client
	id     uint32
	n      int
	failed *BundleError
}

// fill opens the bundle and puts the changes in.
func (b *filling) fill(ctx context.Context, mods []FlowMod) error {
	c, barrier := b.client, b.id+1+uint32(b.n)
	c.buf = appendBundleControl(c.buf[:0], b.id, b.id, bundleOpen)
	for i := range mods {
		c.buf = appendBundled(c.buf, b.id+1+uint32(i), b.id, &mods[i])
	}
	c.buf = appendMessage(c.buf, writing, writing.barrierRequest(), barrier, nil)
	return c.exchange(ctx, c.buf, func(m message) (bool, error) {
		if err := b.refused(m); err != nil {
			return true, err
		}
		return m.xid == barrier, nil
	})
}

// close commits the bundle, or discards it. OVS answers that last, whatever failed before.
func (b *filling) close(ctx context.Context, kind uint16) error {
	c, xid := b.client, b.id+2+uint32(b.n)
	c.buf = appendBundleControl(c.buf[:0], xid, b.id, kind)
	return c.exchange(ctx, c.buf, func(m message) (bool, error) {
		if err := b.refused(m); err != nil {
			return true, err
		}
		return m.xid == xid, nil
	})
}

// refused notes what the bridge refuses, the first change of all.
func (b *filling) refused(m message) error {
	n := int(int32(m.xid - b.id - 1))
	if m.kind != typeError || n < -1 || n > b.n+1 {
		return nil
	}
	err := parseRequestError(m.body)
	if errors.Is(err, ErrProtocol) {
		return err
	}
	change := n >= 0 && n < b.n
	switch {
	case change && (b.failed == nil || b.failed.Index < 0):
		b.failed = &BundleError{n, err}
	case b.failed == nil:
		b.failed = &BundleError{-1, err}
	}
	return nil
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
