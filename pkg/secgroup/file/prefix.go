package file

import (
	"fmt"
	"net/netip"
	"strings"
)

// parsePrefix reads an address or a CIDR, whose host bits do not matter (Neutron: normalized_cidr).
func parsePrefix(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		addr, err := netip.ParseAddr(s)
		if err != nil || addr.Zone() != "" || addr.Is4In6() {
			return netip.Prefix{}, fmt.Errorf("an IP address or prefix is expected, not %q", bounded(s))
		}
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil || prefix.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("an IP address or prefix is expected, not %q", bounded(s))
	}
	return prefix.Masked(), nil
}
