package flows

import (
	"fmt"
	"net"
)

// MAC is an Ethernet address. The zero value means "not known".
type MAC [6]byte

// IsZero reports whether m is not known.
func (m MAC) IsZero() bool { return m == MAC{} }

// IsUnicast reports whether m can be the address of one station: known, and
// without the group bit.
func (m MAC) IsUnicast() bool { return !m.IsZero() && m[0]&1 == 0 }

// String returns the colon-separated lower-case form.
func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// ParseMAC reads the colon-separated form of a 48-bit address.
func ParseMAC(s string) (MAC, error) {
	hw, err := net.ParseMAC(s)
	if err != nil || len(hw) != 6 {
		return MAC{}, fmt.Errorf("MAC address %q: want six colon-separated bytes", s)
	}
	return MAC(hw), nil
}
