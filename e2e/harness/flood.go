package harness

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// FloodZone is the conntrack zone of the connections that Flood makes.
const FloodZone = 99

const (
	floodBatch  = 100
	floodStatus = 1<<1 | 1<<2 | 1<<3 // IPS_SEEN_REPLY, ASSURED, CONFIRMED: never dropped for others
	floodMost   = 1 << 19
)

// Flood makes established UDP connections until conntrack's table is full, and
// returns how many were missing, about. They are as good as real ones to whoever listens, and come at
// a rate at which an emulated machine could not carry packets.
func (n *Node) Flood(t testing.TB) (made int) {
	t.Helper()
	err := n.inside(func() error {
		conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
		if err != nil {
			return err
		}
		defer conn.Close()
		for made < floodMost {
			batch, err := floodMessages(n.flooded)
			if err != nil {
				return err
			}
			if _, err = conn.SendMessages(batch); err != nil {
				return err
			}
			n.flooded += len(batch) // some of them were made in any case
			_, err = conn.Receive() // refusals, or that the last was made
			if errors.Is(err, unix.ENOMEM) {
				return nil
			}
			if err != nil {
				return err
			}
			made += len(batch)
		}
		return fmt.Errorf("%d connections do not fill the table", made)
	})
	if err != nil {
		t.Fatalf("flood: %v", err)
	}
	return made
}

func floodMessages(from int) ([]netlink.Message, error) {
	batch := make([]netlink.Message, floodBatch)
	for i := range batch {
		attributes, err := floodEntry(from + i)
		if err != nil {
			return nil, err
		}
		flags := netlink.Request | netlink.Create | netlink.Excl
		if i == len(batch)-1 {
			flags |= netlink.Acknowledge
		}
		batch[i] = netlink.Message{
			Header: netlink.Header{Type: unix.NFNL_SUBSYS_CTNETLINK << 8, Flags: flags},
			Data:   append([]byte{unix.AF_INET, unix.NFNETLINK_V0, 0, 0}, attributes...),
		}
	}
	return batch, nil
}

func floodEntry(n int) ([]byte, error) {
	orig := Direction{
		Src: netip.AddrFrom4([4]byte{198, 18, byte(n >> 14), byte(n >> 6)}), Dst: netip.AddrFrom4([4]byte{198, 19, 0, 1}),
		Sport: uint16(1024 + n&63), Dport: 53,
	}
	reply := Direction{Src: orig.Dst, Dst: orig.Src, Sport: orig.Dport, Dport: orig.Sport}
	ae := netlink.NewAttributeEncoder()
	ae.ByteOrder = binary.BigEndian
	ae.Nested(ctaTupleOrig, tupleOf(orig, unix.IPPROTO_UDP))
	ae.Nested(ctaTupleReply, tupleOf(reply, unix.IPPROTO_UDP))
	ae.Uint32(ctaStatus, floodStatus)
	ae.Uint32(ctaTimeout, 600)
	ae.Uint16(ctaZone, FloodZone)
	return ae.Encode()
}
