package openflow

import (
	"context"
	"encoding/binary"
	"fmt"
)

const typePacketOut = 13

// OpenFlow ports that are none of a bridge's own numbers (ofp_port_no).
const (
	Local      = 0xfffffffe // the bridge's own network device
	Controller = 0xfffffffd // of PacketOut.InPort: a packet that came in nowhere
)

// PacketOut is a packet that is sent through actions, and through no flow.
type PacketOut struct {
	InPort  uint32 // the OpenFlow port where it seems to come in
	Actions []Action
	Frame   []byte // from the Ethernet header on
}

// Send sends packets, and enters into errs what the bridge refused. What it did not
// refuse has been through the actions when it returns.
func (c *Client) Send(ctx context.Context, packets []PacketOut, errs []error) error {
	if err := inTurn(ctx, c, packets, errs, appendPacketOut); err != nil {
		return fmt.Errorf("send packets: %w", err)
	}
	return nil
}

// untilBarrier takes errors of requests whose ids count from first on.
func (c *Client) untilBarrier(first, barrier uint32, errs []error) func(message) (bool, error) {
	return func(m message) (bool, error) {
		n := m.xid - first
		switch {
		case m.kind == typeError && n < uint32(len(errs)):
			errs[n] = parseRequestError(m.body)
		case m.kind == typeError && m.xid == barrier:
			return true, parseRequestError(m.body)
		case m.kind == writing.barrierRequest()+1 && m.xid == barrier:
			return true, nil
		}
		return false, nil
	}
}

func appendPacketOut(b []byte, xid uint32, p *PacketOut) []byte {
	start := len(b)
	b = appendMessage(b, writing, typePacketOut, xid, nil)
	b = binary.BigEndian.AppendUint32(b, noBuffer)
	b = binary.BigEndian.AppendUint32(b, p.InPort)
	at := len(b)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0) // length of the actions, padding
	b = appendActions(b, p.Actions)
	binary.BigEndian.PutUint16(b[at:], uint16(len(b)-at-8))
	b = append(b, p.Frame...)
	binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start))
	return b
}
