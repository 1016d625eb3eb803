package ovn

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

func TestAddressSet(t *testing.T) {
	s := newAddressSet([]string{"10.0.0.1", "10.0.0.1/32", "10.1.2.3/16", "10.3.0.0/255.255.0.0"})
	if want := prefixes("10.0.0.1/32", "10.1.0.0/16", "10.3.0.0/16"); !slices.Equal(s.all(), want) {
		t.Errorf("%v, want %v", s.all(), want)
	}
	// One of two ways to write an address leaves, and with it nothing.
	if c := s.become([]string{"10.0.0.1", "10.1.2.3/16", "10.3.0.0/255.255.0.0"}); len(c.Add)+len(c.Remove) > 0 {
		t.Errorf("%+v", c)
	}
	four, six := setUse{"s", secgroup.IPv4}, setUse{"s", secgroup.IPv6}
	for _, test := range []struct {
		row      []string
		in4, in6 bool
	}{
		{nil, true, true},
		{[]string{"10.0.0.1"}, true, false},
		{[]string{"fd00::1", "fd00::/64"}, false, true},
		{[]string{"10.0.0.1", "fd00::1"}, false, false},
		{[]string{"00:00:00:00:00:01"}, false, false},
		{[]string{"10.0.0.1", "host"}, false, false},
		{[]string{"10.0.0.1/255.0.0.255"}, false, false},
	} {
		if k := newAddressSet(test.row).kind(); k.fits(four) != test.in4 || k.fits(six) != test.in6 {
			t.Errorf("%v: fits IPv4 %v, IPv6 %v", test.row, k.fits(four), k.fits(six))
		}
	}
	if (setKind{}).fits(four) {
		t.Error("a set that is not there fits")
	}
}

// TestAddressSetChanges sums up changes of a set, and compares them with what is in it.
func TestAddressSetChanges(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	s := newAddressSet(nil)
	sum := map[netip.Prefix]bool{}
	pool := []string{"10.0.0.1", "10.0.0.1/32", "10.0.0.2", "10.0.0.0/24", "10.0.0.9/24", "fd00::1", "fd00::1/128", "x"}
	for range 2000 {
		r.Shuffle(len(pool), func(i, j int) { pool[i], pool[j] = pool[j], pool[i] })
		row := slices.Clone(pool[:r.IntN(len(pool))])
		c := s.become(row)
		for _, p := range c.Remove {
			if !sum[p] {
				t.Fatalf("%s is removed twice", p)
			}
			delete(sum, p)
		}
		for _, p := range c.Add {
			if sum[p] {
				t.Fatalf("%s is added twice", p)
			}
			sum[p] = true
		}
		fresh := newAddressSet(row)
		if len(sum) != len(fresh.members) || !slices.Equal(s.all(), fresh.all()) || s.kind() != fresh.kind() {
			t.Fatalf("%v: %v, anew %v; told %v", row, s.all(), fresh.all(), sum)
		}
	}
}
