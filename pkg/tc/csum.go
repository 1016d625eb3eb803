package tc

import "fmt"

// Checksums are those that the csum action makes right again after a rewrite
// (TCA_CSUM_UPDATE_FLAG_*). In a packet without the header the kernel skips it.
type Checksums uint32

// Checksums of headers.
const (
	ChecksumIPv4 Checksums = 1 << iota // of the IP header itself
	ChecksumICMP                       // ICMP and ICMPv6
	ChecksumIGMP
	ChecksumTCP
	ChecksumUDP
	ChecksumUDPLite
	ChecksumSCTP
)

// Attributes of csum (linux/tc_act/tc_csum.h, TCA_CSUM_*): not in the order of the
// others.
const (
	csumParms = 1
	csumTM    = 2
)

func (a *Action) appendCsum(b []byte) ([]byte, error) {
	if a.Checksums == 0 {
		return b, fmt.Errorf("%w: csum of nothing", ErrInvalid)
	}
	return native.AppendUint32(a.appendGeneric(appendHeader(b, csumParms, 24)), uint32(a.Checksums)), nil
}

func (a *Action) decodeCsum(n *attrs) bool {
	if n.typ != csumParms {
		return a.decodeTimes(n, csumTM, 3)
	}
	v := n.bytes(24)
	a.decodeGeneric(v)
	a.Checksums = Checksums(native.Uint32(v[20:]))
	return true
}
