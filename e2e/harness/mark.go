package harness

import (
	"encoding/binary"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Of linux/netfilter/nfnetlink_conntrack.h.
const (
	ctaTupleOrig  = 1
	ctaTupleReply = 2
	ctaStatus     = 3
	ctaTimeout    = 7
	ctaMark       = 8
	ctaZone       = 18
	ctaMarkMask   = 21

	ctaTupleIP    = 1
	ctaTupleProto = 2
	ctaIPv4Src    = 1
	ctaIPv6Src    = 3
	ctaProtoNum   = 1
	ctaProtoSrc   = 2
	ctaProtoDst   = 3
)

// SetMark changes the bits in mask of the mark of a TCP or UDP entry, as a
// firewall would: `conntrack -U` does not name the zone in what it sends, and
// finds no entry of OVS's.
func (n *Node) SetMark(e Entry, mark, mask uint32) error {
	number, known := map[string]uint8{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP}[e.Proto]
	if !known {
		return fmt.Errorf("mark of protocol %q", e.Proto)
	}
	family := byte(unix.AF_INET)
	if e.Orig.Src.Is6() {
		family = unix.AF_INET6
	}
	ae := netlink.NewAttributeEncoder()
	ae.ByteOrder = binary.BigEndian
	ae.Nested(ctaTupleOrig, tupleOf(e.Orig, number))
	ae.Uint16(ctaZone, e.Zone)
	ae.Uint32(ctaMark, mark)
	ae.Uint32(ctaMarkMask, mask)
	attributes, err := ae.Encode()
	if err != nil {
		return err
	}
	return n.inside(func() error {
		conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Execute(netlink.Message{
			Header: netlink.Header{Type: unix.NFNL_SUBSYS_CTNETLINK << 8, Flags: netlink.Request | netlink.Acknowledge},
			Data:   append([]byte{family, unix.NFNETLINK_V0, 0, 0}, attributes...),
		})
		return err
	})
}

func tupleOf(d Direction, proto uint8) func(*netlink.AttributeEncoder) error {
	addr := uint16(ctaIPv4Src)
	if d.Src.Is6() {
		addr = ctaIPv6Src
	}
	return func(tuple *netlink.AttributeEncoder) error {
		tuple.Nested(ctaTupleIP, func(ip *netlink.AttributeEncoder) error {
			ip.Bytes(addr, d.Src.AsSlice())
			ip.Bytes(addr+1, d.Dst.AsSlice())
			return nil
		})
		tuple.Nested(ctaTupleProto, func(l4 *netlink.AttributeEncoder) error {
			l4.Uint8(ctaProtoNum, proto)
			l4.Uint16(ctaProtoSrc, d.Sport)
			l4.Uint16(ctaProtoDst, d.Dport)
			return nil
		})
		return nil
	}
}
