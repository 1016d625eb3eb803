package link

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/nlsocket"
)

// maxSwitchID is MAX_PHYS_ITEM_ID_LEN (linux/netdevice.h), in bytes.
const maxSwitchID = 32

// skipStats is RTEXT_FILTER_SKIP_STATS (linux/rtnetlink.h): the counters are half of a
// message, and some drivers ask their hardware for them.
const skipStats = 1 << 3

// notification is an RTM_NEWLINK or RTM_DELLINK about a device.
type notification struct {
	index int32
	gone  bool
	state State // without Life and TC
	group uint32
}

// decode reads a message of rtnetlink. It reports false for one that is not about a
// device: another type, or a bridge's word about its port.
func decode(m nlsocket.Message) (n notification, ok bool, err error) {
	if m.Type != unix.RTM_NEWLINK && m.Type != unix.RTM_DELLINK {
		return n, false, nil
	}
	if len(m.Payload) < unix.SizeofIfInfomsg {
		return n, false, fmt.Errorf("%w: no ifinfomsg", nlsocket.ErrMalformed)
	}
	if m.Payload[0] != unix.AF_UNSPEC {
		return n, false, nil
	}
	n.index = int32(binary.NativeEndian.Uint32(m.Payload[4:]))
	n.gone = m.Type == unix.RTM_DELLINK
	flags := binary.NativeEndian.Uint32(m.Payload[8:])
	n.state.Admin, n.state.Carrier = flags&unix.IFF_UP != 0, flags&unix.IFF_LOWER_UP != 0
	a, err := netlink.NewAttributeDecoder(m.Payload[unix.SizeofIfInfomsg:])
	if err != nil {
		return n, false, err
	}
	for a.Next() {
		n.attribute(a)
	}
	return n, a.Err() == nil, a.Err()
}

func (n *notification) attribute(a *netlink.AttributeDecoder) {
	switch a.Type() {
	case unix.IFLA_IFNAME:
		n.state.Name = a.String()
	case unix.IFLA_MTU:
		n.state.MTU = int(a.Uint32())
	case unix.IFLA_MASTER:
		n.state.Master = int32(a.Uint32())
	case unix.IFLA_GROUP:
		n.group = a.Uint32()
	case unix.IFLA_PHYS_SWITCH_ID:
		if id := a.Bytes(); len(id) <= maxSwitchID {
			n.state.SwitchID = flows.EswitchID(hex.EncodeToString(id))
		}
	case unix.IFLA_PHYS_PORT_NAME:
		n.state.PortName = a.String()
	case unix.IFLA_PARENT_DEV_NAME:
		n.state.Parent.Name = a.String()
	case unix.IFLA_PARENT_DEV_BUS_NAME:
		n.state.Parent.Bus = a.String()
	case unix.IFLA_LINKINFO:
		a.Nested(func(info *netlink.AttributeDecoder) error {
			for info.Next() {
				if info.Type() == unix.IFLA_INFO_KIND {
					n.state.Kind = info.String()
				}
			}
			return nil
		})
	}
}

// getLink is a request for one device, or with index 0 for all.
func getLink(index int32) (nlsocket.Message, error) {
	m := ifinfo(unix.RTM_GETLINK, index)
	if index == 0 {
		m.Flags = unix.NLM_F_DUMP
	}
	e := netlink.NewAttributeEncoder()
	e.Uint32(unix.IFLA_EXT_MASK, skipStats)
	b, err := e.Encode()
	m.Payload = append(m.Payload, b...)
	return m, err
}

// setGroup is a request to put a device into a group.
func setGroup(index int32, group uint32) (nlsocket.Message, error) {
	m := ifinfo(unix.RTM_SETLINK, index)
	e := netlink.NewAttributeEncoder()
	e.Uint32(unix.IFLA_GROUP, group)
	b, err := e.Encode()
	m.Payload = append(m.Payload, b...)
	return m, err
}

// ifinfo is a message with nothing but its struct ifinfomsg.
func ifinfo(typ uint16, index int32) nlsocket.Message {
	b := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	return nlsocket.Message{Type: typ, Payload: b}
}
