package ovn

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// securedAddresses returns the addresses that port security lets an instance use; none: any.
// An entry is a MAC and IP addresses, which may have masks; one without any of these permits
// all (port_security in ovn-nb(5), and controller/lflow.c on check_in_port_sec). What else it
// permits, such as multicast and an instance that asks for its address, is no connection
// that can be offloaded.
func securedAddresses(entries []string) []netip.Prefix {
	var all []netip.Prefix
	for _, entry := range entries {
		fields := strings.Fields(strings.TrimPrefix(entry, "VRRPv3 ")) // virtual MACs, after 25.03
		if len(fields) == 0 || !isMAC(fields[0]) {
			continue // OVN leaves it out, too
		}
		if len(fields) == 1 {
			return nil
		}
		for _, text := range fields[1:] {
			if p, ok := securedAddress(text); ok {
				all = append(all, p)
			}
			if strings.Contains(text, ":") {
				all = append(all, linkLocal(fields[0]))
			}
		}
	}
	if len(all) == 0 && len(entries) > 0 {
		return []netip.Prefix{{}} // which no address is in
	}
	slices.SortFunc(all, netip.Prefix.Compare)
	return slices.Compact(all)
}

// securedAddress reads an address of an entry. One with a mask is a prefix only where no bit
// outside of it is set: otherwise the mask is that of the host's network.
func securedAddress(text string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), a.Zone() == ""
	}
	p, err := netip.ParsePrefix(text)
	if err == nil && p.Masked() != p {
		p = netip.PrefixFrom(p.Addr(), p.Addr().BitLen())
	}
	return p, err == nil
}

// linkLocal returns the address that IPv6 makes of a MAC (RFC 4291, appendix A).
func linkLocal(mac string) netip.Prefix {
	m, err := net.ParseMAC(mac)
	if err != nil || len(m) != 6 {
		return netip.Prefix{}
	}
	a := netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5]})
	return netip.PrefixFrom(a, 128)
}
