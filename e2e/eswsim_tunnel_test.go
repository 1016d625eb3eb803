package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// underlay gives an uplink of the host an address.
func (b *bench) underlay(addr string) {
	b.Helper()
	b.underlayAt(b.uplink(0), addr)
}

func (b *bench) underlayAt(dev, addr string) {
	b.Helper()
	b.in(b.host, "ip", "link", "set", dev, "up")
	b.addr(b.host, dev, addr)
}

func (b *bench) addr(ns, dev, addr string) {
	b.Helper()
	if strings.Contains(addr, ":") {
		b.in(ns, "sysctl", "-qw", "net.ipv6.conf."+dev+".disable_ipv6=0")
		b.in(ns, "ip", "addr", "add", addr, "dev", dev, "nodad")
		return
	}
	b.in(ns, "ip", "addr", "add", addr, "dev", dev)
}

// tunnel makes a tunnel's device as OVS does: packets bring the fields with them.
func (b *bench) tunnel(kind, name, options string) {
	b.Helper()
	b.in(b.host, append([]string{"ip", "link", "add", name, "type", kind, "external"}, strings.Fields(options)...)...)
	b.in(b.host, "ip", "link", "set", name, "up")
	b.in(b.host, "tc", "qdisc", "add", "dev", name, "clsact")
}

// overlay is one way of two hosts to bring their VMs together.
type overlay struct {
	kind    string
	port    int
	local   [2]string // underlay addresses
	bits    string
	options string // of Geneve, as tc has them
}

// through makes VF 0 of a host go through the overlay, in software or in hardware.
func (o *overlay) through(b *bench, side int, how string) error {
	b.Helper()
	options, match := "", ""
	if o.options != "" {
		options, match = " geneve_opts "+o.options, " geneve_opts "+o.options
	}
	err := b.tc(0, fmt.Sprintf("pref 10 protocol all flower %s action tunnel_key set id 77 dst_port %d src_ip %s dst_ip %s tos 0x10 ttl 33%s pipe action mirred egress redirect dev tun",
		how, o.port, o.local[side], o.local[1-side], options))
	if err != nil {
		return err
	}
	b.addAt("tun", fmt.Sprintf("pref 10 protocol all flower %s enc_key_id 77 enc_dst_port %d enc_src_ip %s enc_dst_ip %s enc_tos 0x10 enc_ttl 33%s action tunnel_key unset pipe action mirred egress redirect dev $r0",
		strings.TrimPrefix(how, "skip_sw"), o.port, o.local[1-side], o.local[side], match))
	return nil
}

// overlaid makes two hosts with a VF each, 10.0.0.1 and 10.0.0.9, whose NICs are
// connected and who have a tunnel's device.
func overlaid(t *testing.T, o *overlay) [2]*bench {
	t.Helper()
	hosts := [2]*bench{newBench(t, 1, ""), newBench(t, 1, "")}
	hosts[0].order("connect", hosts[0].nic+"/0 "+hosts[1].nic+"/0")
	for i, b := range hosts {
		b.underlay(o.local[i] + o.bits)
		b.in(b.host, "ip", "link", "set", b.uplink(0), "mtu", "1600")
		b.tunnel(o.kind, "tun", fmt.Sprint("dstport ", o.port))
	}
	b := hosts[1]
	b.in(b.vms[0], "ip", "addr", "flush", "dev", b.vf(0))
	b.in(b.vms[0], "ip", "addr", "add", "10.0.0.9/24", "dev", b.vf(0))
	return hosts
}

// seenAt is how many packets the host itself has had at a device.
func (b *bench) seenAt(dev string) uint64 {
	b.Helper()
	s := b.device(b.host, dev).Stats
	return s.Rx.Packets + s.Tx.Packets
}

var overlays = map[string]overlay{
	"VXLAN":                      {"vxlan", 4789, [2]string{"192.0.2.1", "192.0.2.2"}, "/24", ""},
	"VXLAN over IPv6":            {"vxlan", 8472, [2]string{"2001:db8::1", "2001:db8::2"}, "/64", ""},
	"Geneve":                     {"geneve", 6081, [2]string{"192.0.2.1", "192.0.2.2"}, "/24", ""},
	"Geneve with options":        {"geneve", 6081, [2]string{"192.0.2.1", "192.0.2.2"}, "/24", "0102:80:00010002"},
	"Geneve, options, over IPv6": {"geneve", 6082, [2]string{"2001:db8::1", "2001:db8::2"}, "/64", "0102:80:00010002,0103:1:1122334455667788"},
}

// Two NICs put a tunnel around what two VMs say to each other and take it off, and the
// hosts see nothing of it.
func TestModelOverlayEswsim(t *testing.T) {
	for name, o := range overlays {
		t.Run(name, func(t *testing.T) {
			if name != "Geneve with options" {
				slowly(t)
			}
			kernelQuiet(t)
			hosts := overlaid(t, &o)
			x, y := hosts[0], hosts[1]
			x.in(x.host, "ping", "-q", "-c", "1", "-W", "5", o.local[1])
			for i, b := range hosts {
				if err := o.through(b, i, "skip_sw"); err != nil {
					t.Fatal(err)
				}
			}
			x.in(x.vms[0], "ping", "-q", "-c", "2", "-W", "3", "-i", "0.1", "10.0.0.9")
			var saw [2][2]uint64
			var before [2]map[string]uint64
			for i, b := range hosts {
				saw[i], before[i] = [2]uint64{b.seenAt(b.uplink(0)), b.seenAt("tun")}, b.counters()
			}
			x.transfer(x.vms[0], y.vms[0], "10.0.0.9:9000", 9000)
			for i, b := range hosts {
				if n := b.seenAt(b.uplink(0)) - saw[i][0]; n > 20 { // neighbours ask now and then
					t.Errorf("host %d saw %d packets at its uplink", i, n)
				}
				if n := b.seenAt("tun") - saw[i][1]; n != 0 {
					t.Errorf("host %d saw %d packets at its tunnel", i, n)
				}
				if g := b.grown(before[i]); g["hits"] < 100 || g["misses"] > 20 || g["dropped"] != 0 {
					t.Errorf("host %d: %v", i, g)
				}
			}
			t.Log(x.read("rules"))
		})
	}
}

// What the model sends through a tunnel, the kernel understands, and the other way round:
// one of the hosts has its rules in software.
func TestModelOverlaySoftwareEswsim(t *testing.T) {
	slowly(t)
	for name, o := range overlays {
		for _, verify := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", checksums ", verify), func(t *testing.T) {
				kernelQuiet(t)
				hosts := overlaid(t, &o)
				x, y := hosts[0], hosts[1]
				if verify {
					x.checksums()
					y.checksums()
				}
				x.in(x.host, "ping", "-q", "-c", "1", "-W", "5", o.local[1])
				for i, b := range hosts {
					if err := o.through(b, i, []string{"skip_sw", "skip_hw"}[i]); err != nil {
						t.Fatal(err)
					}
				}
				for _, b := range hosts {
					for i, vm := range b.vms { // software makes no room by itself
						b.in(vm, "ip", "link", "set", b.vf(i), "mtu", "1400")
					}
				}
				before := x.counters()
				x.transfer(x.vms[0], y.vms[0], "10.0.0.9:9000", 9000)
				if g := x.grown(before); g["hits"] < 100 || g["misses"] > 20 {
					t.Errorf("%v", g)
				}
				if y.seenAt("tun") < 100 {
					t.Error("software did nothing")
				}
			})
		}
	}
}

// The rules of a tunnel mean its key, its ends and its options, and nothing else; and what
// none means goes to the host as it came.
func TestModelOverlayMatchesEswsim(t *testing.T) {
	slowly(t)
	kernelQuiet(t)
	o := overlays["Geneve with options"]
	hosts := overlaid(t, &o)
	x, y := hosts[0], hosts[1]
	x.in(x.host, "ping", "-q", "-c", "1", "-W", "5", o.local[1])
	for i, b := range hosts {
		if err := o.through(b, i, "skip_sw"); err != nil {
			t.Fatal(err)
		}
	}
	x.in(x.vms[0], "ping", "-q", "-c", "1", "-W", "3", "10.0.0.9")
	for _, c := range []struct {
		match   string
		packets uint64
	}{
		{"enc_key_id 77", 1},
		{"enc_key_id 78", 0},
		{"enc_key_id 77 enc_dst_port 6081", 1},
		{"enc_key_id 77 enc_dst_port 6082", 0},
		{"enc_src_ip 192.0.2.1 enc_dst_ip 192.0.2.2", 1},
		{"enc_src_ip 192.0.2.0/24", 1},
		{"enc_src_ip 192.0.2.3", 0},
		{"enc_dst_ip 192.0.2.1", 0},
		{"enc_tos 0x10", 1},
		{"enc_tos 0x20/0x20", 0},
		{"enc_ttl 33", 1},
		{"enc_ttl 0/0xfe", 0},
		{"geneve_opts 0102:80:00010002", 1},
		{"geneve_opts 0102:80:00010000/ffff:ff:ffff0000", 1},
		{"geneve_opts 0102:80:00010003", 0},
		{"geneve_opts 0102:81:00010002", 0},
		{"geneve_opts 0102:80:00010002,0103:1:00000000", 0},
		{"dst_ip 10.0.0.9", 1},
		{"dst_ip 192.0.2.2", 0},
		{"src_mac " + x.mac(0), 1},
	} {
		y.addAt("tun", "pref 5 protocol ip flower "+c.match+" action tunnel_key unset pipe action mirred egress redirect dev $r0")
		x.in(x.vms[0], "ping", "-q", "-c", "1", "-W", "1", "10.0.0.9")
		if got, _ := y.rule("tun prio=5 "); got != c.packets {
			t.Errorf("%s took %d packets of a ping, want %d\n%s", c.match, got, c.packets, y.read("rules"))
		}
		y.in(y.host, "tc", "filter", "del", "dev", "tun", "ingress", "pref", "5")
	}
	saw := y.seenAt("tun")
	y.addAt("tun", "pref 5 protocol ip flower action pass")
	if _, err := x.try(x.vms[0], "", "ping", "-q", "-c", "1", "-W", "1", "10.0.0.9"); err == nil {
		t.Error("the host has no rule, and an answer came")
	}
	if y.seenAt("tun") == saw {
		t.Error("the host's tunnel did not get what the NIC passed to it")
	}
}

// The way to the other end changes while packets go: the next one goes by it, or by the
// host if there is none.
func TestModelUnderlayChangesEswsim(t *testing.T) {
	slowly(t)
	kernelQuiet(t)
	o := overlays["Geneve with options"]
	hosts := overlaid(t, &o)
	x, y := hosts[0], hosts[1]
	x.in(x.host, "ping", "-q", "-c", "1", "-W", "5", o.local[1])
	for i, b := range hosts {
		if err := o.through(b, i, "skip_sw"); err != nil {
			t.Fatal(err)
		}
	}
	ping := func() error {
		_, err := x.try(x.vms[0], "", "ping", "-q", "-c", "1", "-W", "2", "10.0.0.9")
		return err
	}
	misses := func() uint64 {
		before := x.counters()
		_ = ping()
		return x.grown(before)["misses"]
	}
	if err := ping(); err != nil {
		t.Fatal(err)
	}
	y.in(y.host, "ip", "link", "set", y.uplink(0), "address", "02:00:00:00:00:aa")
	x.in(x.host, "ip", "neigh", "replace", o.local[1], "lladdr", "02:00:00:00:00:aa", "dev", x.uplink(0))
	harness.Within(t, patience, "another neighbour", ping) // the other host, having another address, asks for it
	x.in(x.host, "ip", "route", "add", "unreachable", o.local[1])
	if misses() == 0 {
		t.Error("without a route")
	}
	x.in(x.host, "ip", "route", "del", "unreachable", o.local[1])
	harness.Within(t, patience, "a route again", ping)
	y.in(y.host, "ip", "link", "set", y.uplink(0), "arp", "off")
	x.in(x.host, "ip", "neigh", "del", o.local[1], "dev", x.uplink(0))
	if misses() == 0 {
		t.Error("without a neighbour")
	}
	y.in(y.host, "ip", "link", "set", y.uplink(0), "arp", "on")
	harness.Within(t, patience, "it is found again", ping)
	x.in(x.host, "ip", "link", "set", x.uplink(0), "mtu", "1500")
	dropped := x.counters()["dropped"]
	if _, err := x.try(x.vms[0], "", "ping", "-q", "-c", "1", "-W", "1", "-s", "1472", "10.0.0.9"); err == nil || x.counters()["dropped"] == dropped {
		t.Error("1,500 bytes and a tunnel fit in 1,500")
	}
}
