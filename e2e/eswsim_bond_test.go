package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// bonded makes a NIC with two uplinks in a bond of the host, and a namespace at the
// other end of both wires, whose two devices are in a bond or in a bridge.
func bonded(t *testing.T, mode string) (b *bench, far string) {
	t.Helper()
	b = newBench(t, 1, "uplinks=2")
	far = b.namespace("far")
	options := []string{"mode", mode, "miimon", "50"}
	peer := []string{"type", "bridge"} // a switch
	if mode == "802.3ad" {
		options = append(options, "lacp_rate", "fast", "xmit_hash_policy", "layer3+4")
		peer = append([]string{"type", "bond"}, options...)
	}
	b.in(b.host, append([]string{"ip", "link", "add", "bond0", "type", "bond"}, options...)...)
	b.in(far, append([]string{"ip", "link", "add", "peer"}, peer...)...)
	for i := range 2 {
		b.in(b.host, "ip", "link", "set", b.wire(i), "netns", far)
		b.in(b.host, "ip", "link", "set", b.uplink(i), "master", "bond0")
		b.in(far, "ip", "link", "set", b.wire(i), "master", "peer")
		b.in(far, "ip", "link", "set", b.wire(i), "up")
		b.in(b.host, "ip", "link", "set", b.uplink(i), "up")
	}
	b.in(b.host, "ip", "link", "set", "bond0", "up")
	b.in(far, "ip", "link", "set", "peer", "up")
	b.in(far, "ip", "addr", "add", "10.0.0.9/24", "dev", "peer")
	return b, far
}

// bondWorks waits until both members carry, and with LACP have agreed with the far end.
func (b *bench) bondWorks(mode string) {
	b.Helper()
	harness.Within(b.T, patience, "the bond works", func() error {
		out := b.in(b.host, "cat", "/proc/net/bonding/bond0")
		if strings.Count(out, "MII Status: up") != 3 || mode == "802.3ad" && !strings.Contains(out, "Number of ports: 2") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
}

// bondIngress installs a rule for what comes in at the bond, to VF 0, in one of the ways
// there are.
var bondIngress = map[string]func(b *bench, filter string){
	"on the bond": func(b *bench, filter string) {
		b.in(b.host, "tc", "qdisc", "add", "dev", "bond0", "clsact")
		b.addAt("bond0", strings.Replace(filter, "skip_sw", "", 1))
	},
	"on each member": func(b *bench, filter string) {
		for i := range 2 {
			b.in(b.host, "tc", "qdisc", "add", "dev", b.uplink(i), "clsact")
			b.addAt(b.uplink(i), filter)
		}
	},
	"in a shared block": func(b *bench, filter string) { // the bond is in it too, as with OVS
		for _, dev := range []string{"bond0", b.uplink(0), b.uplink(1)} {
			b.in(b.host, "tc", "qdisc", "add", "dev", dev, "ingress_block", "22", "ingress")
		}
		filter = strings.NewReplacer("$r0", b.rep(0), "skip_sw", "").Replace(filter)
		b.in(b.host, strings.Fields("tc filter add block 22 "+filter)...)
		mustMatch(b.T, b.in(b.host, "tc", "filter", "show", "block", "22"), "in_hw_count 3")
	},
}

// Rules know the bond, and packets go by the member that works, in both modes and all
// three ways.
func TestModelBondEswsim(t *testing.T) {
	slowly(t)
	for _, mode := range []string{"active-backup", "802.3ad"} {
		for how, ingress := range bondIngress {
			t.Run(mode+" "+how, func(t *testing.T) {
				kernelQuiet(t)
				b, far := bonded(t, mode)
				b.bondWorks(mode)
				b.add(0, "pref 10 protocol all flower skip_sw action mirred egress redirect dev bond0")
				ingress(b, "pref 10 protocol ip flower skip_sw action mirred egress redirect dev $r0")
				ping := func() error {
					_, err := b.try(b.vms[0], "", "ping", "-q", "-c", "1", "-W", "1", "10.0.0.9")
					return err
				}
				b.in(b.vms[0], "ip", "neigh", "add", "10.0.0.9", "lladdr", b.device(far, "peer").Address, "dev", b.vf(0))
				b.in(far, "ip", "neigh", "add", "10.0.0.1", "lladdr", b.mac(0), "dev", "peer")
				harness.Within(t, patience, "a ping", ping)
				before, saw := b.counters(), b.seenAt(b.rep(0))
				b.transfer(b.vms[0], far, "10.0.0.9:9000", 9000)
				for _, broken := range []int{0, 1} { // at most one of them was active
					b.in(far, "ip", "link", "set", b.wire(broken), "down")
					harness.Within(t, patience, fmt.Sprintf("a ping without wire %d", broken), ping)
					b.transfer(b.vms[0], far, "10.0.0.9:9000", 9000)
					b.in(far, "ip", "link", "set", b.wire(broken), "up")
					b.bondWorks(mode)
					harness.Within(t, patience, "a ping", ping)
				}
				if g := b.grown(before); g["hits"] < 500 {
					t.Errorf("%v", g)
				}
				if n := b.seenAt(b.rep(0)) - saw; n != 0 {
					t.Errorf("the host saw %d packets of the VF", n)
				}
				t.Log(b.read("rules"))
			})
		}
	}
}

// A tunnel over a bond, or over a VLAN of it, to the kernel's own tunnel at the far end.
func TestModelOverlayBondEswsim(t *testing.T) {
	slowly(t)
	for _, tag := range []string{"", "9"} {
		t.Run("VLAN "+tag, func(t *testing.T) {
			kernelQuiet(t)
			b, far := bonded(t, "active-backup")
			near, distant := "bond0", "peer"
			if tag != "" {
				near, distant = "bond0.9", "peer.9"
				b.vlan(b.host, "bond0", near, tag, "")
				b.vlan(far, "peer", distant, tag, "")
			}
			b.underlayAt(near, "192.0.2.1/24")
			b.in(far, "ip", "addr", "flush", "dev", "peer")
			b.in(far, "ip", "addr", "add", "192.0.2.2/24", "dev", distant)
			b.in(far, "ip", "link", "add", "overlay", "type", "geneve", "id", "77", "remote", "192.0.2.1")
			b.in(far, "ip", "addr", "add", "10.0.0.9/24", "dev", "overlay")
			b.in(far, "ip", "link", "set", "overlay", "up", "mtu", "1400")
			b.in(b.vms[0], "ip", "link", "set", b.vf(0), "mtu", "1400")
			b.tunnel("geneve", "tun", "")
			harness.Within(t, patience, "the underlay", func() error {
				_, err := b.try(b.host, "", "ping", "-q", "-c", "1", "-W", "1", "192.0.2.2")
				return err
			})
			b.add(0, "pref 10 protocol all flower skip_sw action tunnel_key set id 77 dst_port 6081 src_ip 192.0.2.1 dst_ip 192.0.2.2 ttl 64 pipe action mirred egress redirect dev tun")
			b.addAt("tun", "pref 10 protocol all flower enc_key_id 77 enc_dst_port 6081 enc_src_ip 192.0.2.2 action tunnel_key unset pipe action mirred egress redirect dev $r0")
			b.in(b.vms[0], "ping", "-q", "-c", "2", "-W", "3", "-i", "0.1", "10.0.0.9")
			for broken := range 2 {
				b.in(far, "ip", "link", "set", b.wire(broken), "down")
				harness.Within(t, patience, "a ping by the other uplink", func() error {
					_, err := b.try(b.vms[0], "", "ping", "-q", "-c", "1", "-W", "1", "10.0.0.9")
					return err
				})
				saw := b.seenAt("tun")
				b.transfer(b.vms[0], far, "10.0.0.9:9000", 9000)
				if n := b.seenAt("tun") - saw; n != 0 {
					t.Errorf("the host saw %d packets at its tunnel", n)
				}
				b.in(far, "ip", "link", "set", b.wire(broken), "up")
				b.bondWorks("active-backup")
			}
		})
	}
}
