package ovn

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/flowshunt/flowshunt/ovsdb/ovnsb"
)

func TestSecuredAddresses(t *testing.T) {
	none := []netip.Prefix{{}}
	for _, test := range []struct{ entries, want []string }{
		{nil, nil},
		{[]string{"02:00:00:00:00:01"}, nil},
		{[]string{"02:00:00:00:00:01 10.0.0.1"}, []string{"10.0.0.1/32"}},
		{[]string{"02:00:00:00:00:01 10.0.0.1 10.0.1.0/24"}, []string{"10.0.0.1/32", "10.0.1.0/24"}},
		{[]string{"02:00:00:00:00:01 10.0.1.7/24"}, []string{"10.0.1.7/32"}},
		{[]string{"02:00:00:00:00:01 fd00::1"}, []string{"fd00::1/128", "fe80::ff:fe00:1/128"}},
		{[]string{"02:00:00:00:00:01 10.0.0.1", "02:00:00:00:00:02 10.0.0.2"}, []string{"10.0.0.1/32", "10.0.0.2/32"}},
		{[]string{"02:00:00:00:00:01 10.0.0.1", "02:00:00:00:00:02"}, nil},
		{[]string{"02:00:00:00:00:01 10.0.0.1", "VRRPv3 02:00:00:00:00:01 10.0.0.2"}, []string{"10.0.0.1/32", "10.0.0.2/32"}},
		{[]string{"02:00:00:00:00:01 10.0.0.1", "nonsense 10.0.0.2"}, []string{"10.0.0.1/32"}},
	} {
		var want []netip.Prefix
		for _, p := range test.want {
			want = append(want, netip.MustParsePrefix(p))
		}
		if got := securedAddresses(test.entries); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", test.entries, got, want)
		}
	}
	if got := securedAddresses([]string{"nonsense"}); !slices.Equal(got, none) || got[0].Contains(netip.MustParseAddr("10.0.0.1")) {
		t.Errorf("what is not understood: %v", got)
	}
}

// TestAddressPairRemoved is what Neutron writes when an allowed address pair is removed.
func TestAddressPairRemoved(t *testing.T) {
	r := newSouthRig(t)
	r.change(ovnsb.PortBindingTable, string(web1), `{"port_security": ["02:00:00:00:00:01 10.0.0.11 10.0.0.99"]}`)
	r.change(ovnsb.PortBindingTable, string(web1), `{"port_security": ["02:00:00:00:00:01 10.0.0.11"]}`)
	if p := r.port(web1); !slices.Equal(p.Addresses, prefixes("10.0.0.11/32")) || p.Reason != "" {
		t.Errorf("%+v", p)
	}
	r.consistent()
}
