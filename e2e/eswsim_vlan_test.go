package e2e

import (
	"strings"
	"testing"
)

// vlan makes a VLAN device above a device of a namespace, with an address.
func (b *bench) vlan(ns, lower, name, tag, addr string) {
	b.Helper()
	protocol, id, qinq := strings.Cut(tag, ":")
	if !qinq {
		protocol, id = "802.1q", tag
	}
	b.in(ns, "ip", "link", "add", "link", lower, "name", name, "type", "vlan", "protocol", protocol, "id", id)
	if addr != "" {
		b.in(ns, "ip", "addr", "add", addr, "dev", name)
	}
	b.in(ns, "ip", "link", "set", name, "up")
}

// The tags that each of two VFs has are not the other's: the NIC pushes, pops and
// changes them, and all of a transfer arrives.
func TestModelVLANEswsim(t *testing.T) {
	for _, c := range []struct {
		name  string
		tags  [2][]string // of each VF, outer first
		forth string      // match and actions from VF 0 to VF 1
		back  string
	}{
		{
			name:  "push and pop",
			tags:  [2][]string{nil, {"5"}},
			forth: "protocol all flower skip_sw action vlan push id 5",
			back:  "protocol 802.1q flower skip_sw vlan_id 5 action vlan pop",
		},
		{
			name:  "priority",
			tags:  [2][]string{nil, {"5"}},
			forth: "protocol all flower skip_sw action vlan push id 5 priority 3",
			back:  "protocol 802.1q flower skip_sw vlan_id 5 vlan_prio 0 action vlan pop",
		},
		{
			name:  "modify",
			tags:  [2][]string{{"4"}, {"5"}},
			forth: "protocol 802.1q flower skip_sw vlan_id 4 action vlan modify id 5",
			back:  "protocol 802.1q flower skip_sw vlan_id 5 action vlan modify id 4",
		},
		{
			name:  "QinQ from nothing",
			tags:  [2][]string{nil, {"802.1ad:7", "5"}},
			forth: "protocol all flower skip_sw action vlan push id 5 pipe action vlan push id 7 protocol 802.1ad",
			back:  "protocol 802.1ad flower skip_sw vlan_id 7 vlan_ethtype 802.1q cvlan_id 5 action vlan pop pipe action vlan pop",
		},
		{
			name:  "QinQ around a tag",
			tags:  [2][]string{{"5"}, {"802.1ad:7", "5"}},
			forth: "protocol 802.1q flower skip_sw vlan_id 5 action vlan push id 7 protocol 802.1ad",
			back:  "protocol 802.1ad flower skip_sw vlan_id 7 vlan_ethtype 802.1q cvlan_id 5 action vlan pop",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name != "push and pop" {
				slowly(t)
			}
			kernelQuiet(t)
			b := newBench(t, 2, "")
			for i, tags := range c.tags {
				dev := b.vf(i)
				for _, tag := range tags {
					b.vlan(b.vms[i], dev, dev+"t", tag, "")
					dev += "t"
				}
				b.in(b.vms[i], "ip", "addr", "add", []string{"10.0.1.1/24", "10.0.1.2/24"}[i], "dev", dev)
			}
			b.add(0, "pref 10 "+c.forth+" pipe action mirred egress redirect dev $r1")
			b.add(1, "pref 10 "+c.back+" pipe action mirred egress redirect dev $r0")
			b.slowPath() // for what the rules do not mean
			if out, err := b.try(b.vms[0], "", "ping", "-q", "-c", "3", "-i", "0.01", "-W", "1", "10.0.1.2"); err != nil {
				t.Fatalf("%s%s", out, b.read("rules"))
			}
			before := b.counters()
			b.transfer(b.vms[0], b.vms[1], "10.0.1.2:9000", 9000)
			if g := b.grown(before); g["misses"] != 0 || g["hits"] == 0 {
				t.Errorf("a transfer by rules: %v\n%s", g, b.read("rules"))
			}
			t.Log(b.read("rules"))
		})
	}
}

// A rule means the tags that it speaks of and no others.
func TestModelVLANMatchesEswsim(t *testing.T) {
	slowly(t)
	b := newBench(t, 2, "")
	b.slowPath()
	for i := range b.vms {
		b.vlan(b.vms[i], b.vf(i), "one", "5", []string{"10.0.1.1/24", "10.0.1.2/24"}[i])
		b.vlan(b.vms[i], b.vf(i), "outer", "802.1ad:7", "")
		b.vlan(b.vms[i], "outer", "two", "5", []string{"10.0.2.1/24", "10.0.2.2/24"}[i])
		b.in(b.vms[i], "ip", "link", "set", "two", "type", "vlan", "egress-qos-map", "0:3")
	}
	b.in(b.vms[0], "ping", "-q", "-c", "1", "-W", "3", "10.0.1.2") // neighbours are known then
	b.in(b.vms[0], "ping", "-q", "-c", "1", "-W", "3", "10.0.2.2")
	const zero, one, two = "10.0.0.2", "10.0.1.2", "10.0.2.2"
	for _, c := range []struct {
		match   string
		matches string
	}{
		{"protocol all flower", zero},
		{"protocol 802.1q flower", one},
		{"protocol 802.1q flower vlan_id 5 vlan_prio 0 vlan_ethtype ipv4", one},
		{"protocol 802.1q flower vlan_id 5 vlan_prio 3", ""},
		{"protocol 802.1ad flower vlan_id 7 vlan_ethtype 802.1q", two},
		{"protocol 802.1ad flower vlan_id 7", ""}, // a single tag
		{"protocol 802.1ad flower vlan_id 7 vlan_ethtype 802.1q cvlan_id 5 cvlan_ethtype ipv4", two},
		{"protocol 802.1ad flower vlan_id 7 vlan_ethtype 802.1q cvlan_id 5 cvlan_prio 3", two},
		{"protocol 802.1ad flower vlan_id 7 vlan_ethtype 802.1q cvlan_id 5 cvlan_prio 2", ""},
		{"protocol 802.1ad flower vlan_id 7 vlan_ethtype 802.1q cvlan_id 6", ""},
		{"protocol 802.1ad flower vlan_id 5 vlan_ethtype 802.1q cvlan_id 7", ""},
		{"protocol 802.1q flower vlan_id 7 vlan_ethtype 802.1q cvlan_id 5", ""},
	} {
		b.add(0, "pref 10 "+strings.Replace(c.match, "flower", "flower skip_sw", 1)+" action mirred egress redirect dev $r1")
		for _, addr := range []string{zero, one, two} {
			before, _ := b.rule("prio=10 ")
			b.in(b.vms[0], "ping", "-q", "-c", "1", "-W", "1", addr)
			if after, _ := b.rule("prio=10 "); (after-before == 1) != (addr == c.matches) {
				t.Errorf("%s took %d packets of a ping to %s\n%s", c.match, after-before, addr, b.read("rules"))
			}
		}
		b.remove(0, 10)
	}
}
