package nlsocket

import (
	"context"
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// ErrNoFamily: the kernel does not have a family of generic netlink.
var ErrNoFamily = errors.New("netlink: no such family")

// genlHeader is the length of struct genlmsghdr.
const genlHeader = 4

// Family is a family of generic netlink.
type Family struct {
	ID     uint16
	Groups map[string]uint32 // multicast groups
}

// FindFamily asks for a family by its name, on a Conn of unix.NETLINK_GENERIC. It fails
// with ErrNoFamily.
func (c *Conn) FindFamily(ctx context.Context, name string) (Family, error) {
	e := netlink.NewAttributeEncoder()
	e.String(unix.CTRL_ATTR_FAMILY_NAME, name)
	req, err := GenericRequest(unix.GENL_ID_CTRL, 0, unix.CTRL_CMD_GETFAMILY, 1, e)
	if err != nil {
		return Family{}, err
	}
	f := Family{Groups: make(map[string]uint32)}
	err = c.Do(ctx, req, func(m Message) error {
		_, a, err := Generic(m)
		if err != nil {
			return err
		}
		for a.Next() {
			switch a.Type() {
			case unix.CTRL_ATTR_FAMILY_ID:
				f.ID = a.Uint16()
			case unix.CTRL_ATTR_MCAST_GROUPS:
				a.Nested(f.groups)
			}
		}
		return a.Err()
	})
	if errors.Is(err, unix.ENOENT) {
		err = ErrNoFamily
	}
	if err != nil {
		return Family{}, fmt.Errorf("family %s: %w", name, err)
	}
	return f, nil
}

// groups reads an array of groups.
func (f *Family) groups(array *netlink.AttributeDecoder) error {
	for array.Next() {
		array.Nested(func(a *netlink.AttributeDecoder) error {
			var name string
			var id uint32
			for a.Next() {
				switch a.Type() {
				case unix.CTRL_ATTR_MCAST_GRP_NAME:
					name = a.String()
				case unix.CTRL_ATTR_MCAST_GRP_ID:
					id = a.Uint32()
				}
			}
			f.Groups[name] = id
			return nil
		})
	}
	return nil
}

// GenericRequest is a request to a family of generic netlink.
func GenericRequest(family, flags uint16, command, version uint8, attributes *netlink.AttributeEncoder) (Message, error) {
	b, err := attributes.Encode()
	if err != nil {
		return Message{}, err
	}
	return Message{Type: family, Flags: flags, Payload: append([]byte{command, version, 0, 0}, b...)}, nil
}

// Generic returns the command and the attributes of a message of generic netlink.
func Generic(m Message) (command uint8, attributes *netlink.AttributeDecoder, err error) {
	if len(m.Payload) < genlHeader {
		return 0, nil, fmt.Errorf("%w: no generic header", ErrMalformed)
	}
	attributes, err = netlink.NewAttributeDecoder(m.Payload[genlHeader:])
	return m.Payload[0], attributes, err
}
