package flower

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/nlsocket"
)

// kindOf returns what a device of software is, "geneve" or "bond", empty for one of a
// hardware's driver: only those have no kind (IFLA_INFO_KIND).
func (d *Driver) kindOf(ctx context.Context, link int32) (kind string, err error) {
	req := nlsocket.Message{Type: unix.RTM_GETLINK, Payload: make([]byte, unix.SizeofIfInfomsg)}
	binary.NativeEndian.PutUint32(req.Payload[4:], uint32(link))
	err = d.links.Do(ctx, req, func(m nlsocket.Message) error {
		if m.Type != unix.RTM_NEWLINK || len(m.Payload) < unix.SizeofIfInfomsg {
			return fmt.Errorf("%w: no device", nlsocket.ErrMalformed)
		}
		kind, err = decodeKind(m.Payload[unix.SizeofIfInfomsg:])
		return err
	})
	if errors.Is(err, unix.ENODEV) {
		err = fmt.Errorf("%w: %w", eswitch.ErrPortGone, err)
	}
	return kind, err
}

func decodeKind(b []byte) (kind string, err error) {
	a, err := netlink.NewAttributeDecoder(b)
	if err != nil {
		return "", err
	}
	for a.Next() {
		if a.Type() != unix.IFLA_LINKINFO {
			continue
		}
		a.Nested(func(info *netlink.AttributeDecoder) error {
			for info.Next() {
				if info.Type() == unix.IFLA_INFO_KIND {
					kind = info.String()
				}
			}
			return nil
		})
	}
	return kind, a.Err()
}
