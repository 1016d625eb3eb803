package wire

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"

	"github.com/flowshunt/flowshunt/flows"
)

// frameLen is the shortest Ethernet frame, without its checksum.
const frameLen = 60

// arp is what an ARP request begins with, from the EtherType on (RFC 826): of Ethernet and IPv4.
var arp = []byte{0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1}

// A probe is an ARP request of nobody for nobody's address (RFC 5227: the sender's is 0), which
// no host answers and none learns from. The target's hardware address means nothing in a request
// and has its number.
const (
	senderAt = 14 + 8 // the sender's hardware address
	numberAt = senderAt + 10
	targetAt = numberAt + 6
)

// nobody is an address for documentation (RFC 5737, TEST-NET-1).
var nobody = [4]byte{192, 0, 2, 255}

// numberMask are the bits of a number.
const numberMask = 1<<48 - 1

// appendProbe appends the frame of a probe.
func appendProbe(b []byte, from, to flows.MAC, number uint64) []byte {
	start := len(b)
	b = append(b, to[:]...)
	b = append(b, from[:]...)
	b = append(b, arp...)
	b = append(b, from[:]...)
	b = append(b, 0, 0, 0, 0)
	b = append(b, binary.BigEndian.AppendUint64(nil, number)[2:]...)
	b = append(b, nobody[:]...)
	return append(b, make([]byte, frameLen-(len(b)-start))...)
}

// parseProbe returns who sent a probe, and its number. VLAN tags of the inspector are not
// expected: a probe that it changed has not come through unchanged.
func parseProbe(b []byte) (from flows.MAC, number uint64, ok bool) {
	if len(b) < targetAt+4 || !bytes.Equal(b[12:senderAt], arp) || !bytes.Equal(b[6:12], b[senderAt:senderAt+6]) {
		return from, 0, false
	}
	var n [8]byte
	copy(n[2:], b[numberAt:targetAt])
	return flows.MAC(b[6:12]), binary.BigEndian.Uint64(n[:]), true
}

// Sources of probes, of all nodes, begin with the same two bytes.
var probeSource, probeMask = flows.MAC{0x02, 0xf1}, flows.MAC{0xff, 0xff}

// probeMACs returns the addresses that probes of a wire come from, by the inspector port they
// leave by: locally administered, and of this wire of this node alone, for one inspector can
// stand between wires of several. Two of them, so that a switch never sees one on both sides.
func probeMACs(node, wire string) [2]flows.MAC {
	h := fnv.New32a()
	_, _ = h.Write([]byte(node + "\x00" + wire)) // never fails
	mac := probeSource
	binary.BigEndian.PutUint32(mac[2:], h.Sum32()&^1)
	other := mac
	other[5] |= 1
	return [2]flows.MAC{mac, other}
}
