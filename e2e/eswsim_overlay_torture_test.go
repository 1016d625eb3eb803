package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// overlayRules are so many rules of each kind that rewrites, for tc -batch: into the tunnel
// and out of it, with tags and addresses changed.
func overlayRules(b *bench, command string, n int) string {
	var batch strings.Builder
	for i := range n {
		fmt.Fprintf(&batch, "filter %s dev %s ingress pref 20 handle %d protocol ip flower ", command, b.rep(0), i+1)
		if command == "add" {
			fmt.Fprintf(&batch, "skip_sw ip_proto udp dst_ip 10.1.%d.%d action vlan push id 5 pipe "+
				"action pedit ex munge ip src set 10.2.0.1 munge ip ttl dec munge eth dst set 02:00:00:00:00:01 pipe action csum ip4h and udp pipe "+
				"action tunnel_key set id %d dst_port 6081 src_ip 192.0.2.1 dst_ip 192.0.2.2 geneve_opts 0102:80:00010002 pipe action mirred egress redirect dev tun", i/256, i%256, i)
		}
		fmt.Fprintf(&batch, "\nfilter %s dev tun ingress pref 20 handle %d protocol ip flower ", command, i+1)
		if command == "add" {
			fmt.Fprintf(&batch, "enc_key_id %d enc_dst_port 6081 enc_src_ip 192.0.2.2 geneve_opts 0102:80:00010002 ip_proto udp action tunnel_key unset pipe "+
				"action pedit ex munge ip dst set 10.0.0.1 pipe action csum ip4h and udp pipe action vlan modify id 9 pipe action mirred egress redirect dev %s", i, b.rep(0))
		}
		batch.WriteString("\n")
	}
	return batch.String()
}

// busyOverlay is two hosts whose VMs speak through a tunnel that their NICs make.
func busyOverlay(t *testing.T) (hosts [2]*bench, stop func()) {
	t.Helper()
	o := overlays["Geneve with options"]
	hosts = overlaid(t, &o)
	x := hosts[0]
	x.in(x.host, "ping", "-q", "-c", "1", "-W", "5", o.local[1])
	for i, b := range hosts {
		if err := o.through(b, i, "skip_sw"); err != nil {
			t.Fatal(err)
		}
	}
	return hosts, x.background(x.vms[0], "ping", "-q", "-f", "10.0.0.9")
}

// Rules that rewrite come and go while packets go through a tunnel, and leave nothing in
// the kernel's memory.
func TestModelOverlayChurnEswsim(t *testing.T) {
	slowly(t)
	rounds, n := 12, 500
	if torture() {
		rounds = 100
	}
	kernelQuiet(t)
	hosts, stop := busyOverlay(t)
	defer stop()
	x := hosts[0]
	round := func() {
		x.feed(x.host, overlayRules(x, "add", n), "tc", "-batch", "-")
		if c := x.counters(); c["rules"] != uint64(2*n+2) {
			t.Fatalf("%d rules are in, want %d", c["rules"], 2*n+2)
		}
		_ = x.read("rules")
		x.feed(x.host, overlayRules(x, "del", n), "tc", "-batch", "-")
	}
	round() // what the kernel keeps for good is there before
	before, memory := x.counters(), kernelMemory(t)
	for range rounds {
		round()
	}
	if g := x.grown(before); g["adds"] != uint64(2*n*rounds) || g["dels"] != g["adds"] || g["hits"] == 0 || g["refused"] != 0 {
		t.Errorf("%v", g)
	}
	memoryIsBackBut(t, memory, 400<<10) // a header for each rule, were it lost, would be 750 KiB
	stop()
	for _, b := range hosts {
		b.remove(0, 10)
		b.in(b.host, "tc", "filter", "del", "dev", "tun", "ingress", "pref", "10")
	}
	noRules(t)
}

// Whatever rules point to goes away in the middle of traffic: the tunnel's device, the
// route, the bond, the NIC, the module.
func TestModelOverlayEndsEswsim(t *testing.T) {
	slowly(t)
	for _, c := range []struct {
		name string
		end  func(x, y *bench)
	}{
		{"tunnel", func(x, y *bench) { x.in(x.host, "ip", "link", "del", "tun") }},
		{"qdisc", func(x, y *bench) { x.in(x.host, "tc", "qdisc", "del", "dev", "tun", "clsact") }},
		{"uplink's address", func(x, y *bench) { x.in(x.host, "ip", "addr", "flush", "dev", x.uplink(0)) }},
		{"devices again", func(x, y *bench) { x.set("reset", "devices") }},
		{"NIC", func(x, y *bench) { x.order("del", x.nic) }},
		{"the other NIC", func(x, y *bench) { y.order("del", y.nic) }},
		{"namespace", func(x, y *bench) { x.in("", "ip", "netns", "del", x.host) }},
		{"module", func(x, y *bench) {
			harness.Within(x.T, patience, "rmmod", func() error {
				_, err := x.try("", "", "rmmod", "eswsim")
				return err
			})
			x.in("", "insmod", filepath.Join("../build/eswsim", strings.TrimSpace(x.in("", "uname", "-r")), "eswsim.ko"))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			kernelQuiet(t)
			hosts, stop := busyOverlay(t)
			defer stop()
			x := hosts[0]
			x.feed(x.host, overlayRules(x, "add", 20), "tc", "-batch", "-")
			before := x.counters()
			harness.Within(t, patience, "packets go through", func() error {
				if g := x.grown(before); g["hits"] < 50 {
					return fmt.Errorf("%v", g)
				}
				return nil
			})
			c.end(x, hosts[1])
		})
	}
}

// A NIC that comes after a tunnel's device takes the rules that come after it, and a bond
// that goes leaves a rule that drops.
func TestModelOverlayLaterEswsim(t *testing.T) {
	slowly(t)
	kernelQuiet(t)
	b := newBench(t, 1, "")
	b.tunnel("geneve", "tun", "")
	rule := "pref %d protocol ip flower enc_key_id 7 action tunnel_key unset pipe action mirred egress redirect dev $r0"
	b.addAt("tun", fmt.Sprintf(rule, 1))
	b.order("del", b.nic)
	b.again()
	b.addAt("tun", fmt.Sprintf(rule, 2))
	if c := b.counters(); c["rules"] != 1 {
		t.Errorf("%v", c)
	}
	b.in(b.host, "tc", "qdisc", "del", "dev", "tun", "clsact")
	if c := b.counters(); c["rules"] != 0 || c["lost"] != 0 {
		t.Errorf("%v", c)
	}
	b.in(b.host, "ip", "link", "add", "bond0", "type", "bond", "mode", "active-backup")
	b.in(b.host, "ip", "link", "set", b.uplink(0), "master", "bond0")
	b.in(b.host, "ip", "link", "set", "bond0", "up")
	b.add(0, "pref 10 protocol ip flower skip_sw action mirred egress redirect dev bond0")
	b.in(b.host, "ip", "link", "del", "bond0")
	before := b.counters()
	b.in(b.vms[0], "ip", "neigh", "add", "10.0.0.9", "lladdr", "02:00:00:00:00:09", "dev", b.vf(0))
	_, _ = b.try(b.vms[0], "", "ping", "-q", "-c", "1", "-W", "1", "10.0.0.9")
	if g := b.grown(before); g["dropped"] == 0 || !strings.Contains(b.read("rules"), "to=gone") {
		t.Errorf("%v: %s", g, b.read("rules"))
	}
}
