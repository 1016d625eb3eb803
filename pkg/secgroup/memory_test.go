package secgroup_test

import (
	"net/netip"
	"runtime"
	"testing"

	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// heap returns how many bytes a compiler and its table hold beside what they were told.
func heap(u *secgroup.Update) float64 {
	before := inUse()
	c := secgroup.NewCompiler()
	table, _ := c.Apply(u)
	after := inUse()
	runtime.KeepAlive(c)
	runtime.KeepAlive(table)
	runtime.KeepAlive(u)
	return float64(after) - float64(before)
}

func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestMemoryIsLinear shows that memory grows with rules and members, and not faster.
func TestMemoryIsLinear(t *testing.T) {
	of := func(n int, c cloud) *secgroup.Update {
		c.groups, c.addrs = c.groups*n, c.addrs*n
		return c.update()
	}
	grown := func(n int, c cloud) *secgroup.Update {
		c.rules, c.members, c.addrs = c.rules*n, c.members*n, c.addrs*n
		return c.update()
	}
	tests := []struct {
		name string
		make func(n int) *secgroup.Update
	}{
		{"groups", func(n int) *secgroup.Update {
			return of(n, cloud{ports: 100, groups: 50, rules: 100, members: 500, addrs: 5000, shape: mixed})
		}},
		{"rules of a group", func(n int) *secgroup.Update {
			return grown(n, cloud{ports: 10, groups: 1, rules: 5000, members: 1000, addrs: 5000, shape: mixed})
		}},
		{"ranges within ranges", func(n int) *secgroup.Update {
			return grown(n, cloud{ports: 10, groups: 1, rules: 5000, members: 1000, addrs: 1000, shape: nested})
		}},
		{"members", func(n int) *secgroup.Update {
			return grown(n, cloud{ports: 10, groups: 1, rules: 10, members: 25_000, addrs: 25_000, shape: mixed})
		}},
		{"prefixes within prefixes", func(n int) *secgroup.Update { return deep(1000 * n) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var bytes [3]float64
			for i, n := range []int{1, 2, 4} {
				bytes[i] = heap(tt.make(n))
			}
			t.Logf("%.2f, %.2f, %.2f MB", bytes[0]/1e6, bytes[1]/1e6, bytes[2]/1e6)
			if bytes[2] > 1.3*2*bytes[1] || bytes[1] > 1.5*2*bytes[0] {
				t.Error("memory grows faster than what is told")
			}
		})
	}
}

// deep is IPv6 prefixes that lie within each other, 128 deep, each in a set and each named
// by a rule.
func deep(n int) *secgroup.Update {
	u := (&cloud{ports: 1, groups: 1, addrs: 1, shape: mixed}).update()
	var all []netip.Prefix
	for i := range n {
		a := netip.AddrFrom16([16]byte{0: 0xfd, 1: byte(i >> 15), 2: byte(i >> 7), 15: byte(i)})
		p := netip.PrefixFrom(a, 24+i%105).Masked()
		all = append(all, p)
		r := rule(groupID(0), secgroup.Allow, secgroup.Addrs{Prefixes: []netip.Prefix{p}})
		u.Rules[ruleID(0, i)] = r
	}
	u.Sets[setID(0)] = secgroup.SetChange{Add: all}
	return u
}
