package openflow

import (
	"context"
	"encoding/binary"
	"fmt"
)

// Of Nicira's messages about which options of Geneve are which fields (lib/ofp-msgs.h).
const (
	tlvMapRequest = 25
	tlvMapReply   = 26
	tlvMapHeader  = 16 // of the reply
	vendorHeader  = 8
)

// MapsOptions reports whether the bridge makes fields of any of Geneve's options. Those
// of which it does not, nothing in it can look at.
func (c *Client) MapsOptions(ctx context.Context) (maps bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	xid := c.next(1)
	body := binary.BigEndian.AppendUint32(nil, vendorNicira)
	body = binary.BigEndian.AppendUint32(body, tlvMapRequest)
	err = c.exchange(ctx, appendMessage(nil, writing, typeExperimenter, xid, body), func(m message) (bool, error) {
		switch {
		case m.xid != xid:
			return false, nil
		case m.kind == typeError:
			return true, parseRequestError(m.body)
		case m.kind != typeExperimenter || len(m.body) < vendorHeader+tlvMapHeader ||
			binary.BigEndian.Uint32(m.body) != vendorNicira || binary.BigEndian.Uint32(m.body[4:]) != tlvMapReply:
			return true, malformed("reply about options")
		}
		maps = len(m.body) > vendorHeader+tlvMapHeader
		return true, nil
	})
	if err != nil {
		return false, fmt.Errorf("read options of Geneve: %w", err)
	}
	return maps, nil
}
