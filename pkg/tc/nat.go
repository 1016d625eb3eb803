package tc

import (
	"fmt"
	"net/netip"
)

// AddrChange is what the nat action does to the source or destination of IPv4 packets
// that have the old address: unlike pedit with csum it keeps the TCP and UDP checksums
// of packets right that are still to be segmented. No driver takes it.
type AddrChange struct {
	Old, New netip.Addr
	Source   bool // else the destination
}

// Attributes of nat (linux/tc_act/tc_nat.h, TCA_NAT_*).
const (
	natParms = 1
	natTM    = 2
	natPad   = 3

	natEgress = 1 // TCA_NAT_FLAG_EGRESS: the source
)

func (a *Action) appendNAT(b []byte) ([]byte, error) {
	n := &a.NAT
	if !n.Old.Is4() || !n.New.Is4() {
		return b, fmt.Errorf("%w: nat of %s to %s", ErrInvalid, n.Old, n.New)
	}
	b = a.appendGeneric(appendHeader(b, natParms, 36))
	from, to := n.Old.As4(), n.New.As4()
	b = append(append(append(b, from[:]...), to[:]...), 0xff, 0xff, 0xff, 0xff)
	return native.AppendUint32(b, uint32(flag(n.Source))), nil
}

// decodeNAT knows the change of one address only.
func (a *Action) decodeNAT(n *attrs) bool {
	if n.typ != natParms {
		return a.decodeTimes(n, natTM, natPad)
	}
	v := n.bytes(36)
	a.decodeGeneric(v)
	flags := native.Uint32(v[32:])
	a.NAT = AddrChange{
		Old: netip.AddrFrom4([4]byte(v[20:])), New: netip.AddrFrom4([4]byte(v[24:])), Source: flags&natEgress != 0,
	}
	return big.Uint32(v[28:]) == 0xffffffff && flags&^natEgress == 0
}
