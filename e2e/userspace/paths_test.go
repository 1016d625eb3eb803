package userspace

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// Addresses of the router that stories write by hand, one for each network.
const (
	routerA = "02:00:00:00:00:fa"
	routerB = "02:00:00:00:00:fb"
)

// journeyRate is in bytes per second: much for a packet counter, little for two processors.
const journeyRate = 4_000_000

// journey is a connection on its way through a world, by the address that A dials.
type journey struct {
	*transfer
	t    *testing.T
	from netip.AddrPort // as B sees A
}

// setOut makes a connection that B sees come from an address, and sends.
func (w *world) setOut(t *testing.T, at *harness.Peer, to netip.AddrPort, sport uint16, from netip.Addr) *journey {
	t.Helper()
	x := &transfer{w: w, b: at, a: w.A.Dial(t, "tcp", to, sport, 1)}
	j := &journey{transfer: x, t: t, from: netip.AddrPortFrom(from, sport)}
	x.number = at.Conn(j.from)
	x.send(4*journeyRate, journeyRate)
	return j
}

// bypass waits until rules alone see connections, and flows of OVS's own nothing of them. OVS
// adds up what its datapath counted twice a second: each look takes longer than that.
func bypass(all ...*journey) {
	w := all[0].w
	w.T.Helper()
	harness.Within(w.T, patience, "the pipeline is still", func() error {
		pipeline, ours := w.pipeline(), count(w.ours())
		goOn(all, journeyRate*3/4)
		pipeline, ours = w.pipeline()-pipeline, count(w.ours())-ours
		if pipeline > 20 || ours < 100 { // of what arrived meanwhile there are more
			err := fmt.Errorf("it saw %d packets more, and the rules %d", pipeline, ours)
			w.T.Log(err) // the data may end before the patience does
			return err
		}
		return nil
	})
}

// goOn waits until so many bytes more have arrived of each.
func goOn(all []*journey, bytes int64) {
	w := all[0].w
	w.T.Helper()
	before := make([]int64, len(all))
	for i, j := range all {
		before[i] = j.b.Report(j.number).Received
	}
	harness.Within(w.T, patience, fmt.Sprintf("%d bytes more", bytes), func() error {
		for i, j := range all {
			if more := j.b.Report(j.number).Received - before[i]; more < bytes {
				return fmt.Errorf("%d of %s", more, j.from)
			}
		}
		return nil
	})
}

// arrive waits until all is there, unchanged.
func arrive(all ...*journey) {
	for _, j := range all {
		j.arrived()
	}
}

// say looks for words in the rules.
func (w *world) say(t *testing.T, words ...string) {
	t.Helper()
	all := strings.Join(w.ours(), "\n")
	for _, want := range words {
		if !strings.Contains(all, want) {
			t.Errorf("want %q in\n%s", want, all)
		}
	}
}

// rulesAmong returns the flows that are rules, without guards.
func rulesAmong(list []string) (rules []string) {
	for _, f := range list {
		if !strings.Contains(f, "resubmit") {
			rules = append(rules, f)
		}
	}
	return rules
}

func (w *world) rulesWithin(t *testing.T, n int) {
	t.Helper()
	harness.Within(t, patience, fmt.Sprintf("%d rules", n), func() error {
		all := w.ours()
		if got := rulesAmong(all); len(got) != n {
			out, _ := w.TryCtl("--socket="+w.Dir+"/control.sock", "sessions", "--all")
			return fmt.Errorf("%d:\n%s\n%s", len(got), strings.Join(all, "\n"), out)
		}
		return nil
	})
}

// pipeline returns how many IP packets went through flows that are not ours.
func (w *world) pipeline() (n int64) {
	w.T.Helper()
	var others []string
	for _, match := range []string{"ip", "ipv6"} {
		for line := range strings.Lines(w.Run(w.T, "ovs-ofctl", "-O", "OpenFlow14", "dump-flows", "br0", match)) {
			if strings.Contains(line, "n_packets=") && !strings.Contains(line, "cookie=0xf1054701") {
				others = append(others, line)
			}
		}
	}
	return count(others)
}

// count adds up the packets of flows.
func count(list []string) (n int64) {
	for _, f := range list {
		var packets int64
		if _, rest, ok := strings.Cut(f, "n_packets="); ok {
			_, _ = fmt.Sscanf(rest, "%d", &packets)
		}
		n += packets
	}
	return n
}

// newPair starts a node with two machines on br0.
func newPair(t *testing.T, a, b harness.VMConfig) *world {
	t.Helper()
	node := startNode(t, "us")
	w := harness.On(t, node)
	w.UserspaceBridge("br0")
	a.NoOffload, b.NoOffload = true, true
	return &world{&harness.Pair{World: w, A: w.AddVM("br0", "vm1", a), B: w.AddVM("br0", "vm2", b), Zone: harness.PairZone}}
}

// trunk puts a switch between br0 and the other machine, and a cable between the two on
// which that is in a VLAN: this kernel may have no devices that tag.
func (w *world) trunk(vlan int) {
	w.T.Helper()
	w.UserspaceBridge("br1")
	w.Feed(w.T, "link add trunk0 type veth peer name trunk1\nlink set trunk0 up\nlink set trunk1 up\n", "ip", "-batch", "-")
	w.T.Cleanup(func() { _, _ = w.Try("ip", "link", "del", "trunk0") })
	w.Detach(w.B)
	w.Attach("br1", w.B)
	w.Vsctl("set", "port", w.B.Rep, fmt.Sprintf("tag=%d", vlan), "--", "add-port", "br0", "trunk0", "--", "add-port", "br1", "trunk1")
	w.Flows("br1", "actions=NORMAL")
}

// TestVLAN: from an access port to a trunk, by which the other machine is reached.
func TestVLAN(t *testing.T) {
	slowly(t)
	w := newPair(t, harness.VMConfig{}, harness.VMConfig{})
	w.trunk(7)
	w.Vsctl("set", "port", w.A.Rep, "tag=7")
	w.Switch("br0", harness.Pipeline{Zone: w.Zone})
	w.agent("--ports=" + w.A.Rep + ",trunk0")
	at := w.B.Listen(t, "tcp", dport, false)
	var all []*journey
	for i, v6 := range []bool{false, true} {
		w.A.Ping(t, w.B.Addr(v6))
		all = append(all, w.setOut(t, at, netip.AddrPortFrom(w.B.Addr(v6), dport), sport+uint16(i), w.A.Addr(v6)))
	}
	w.rulesWithin(t, 4)
	bypass(all...)
	w.say(t, "push_vlan:0x8100,set_field:4103->vlan_vid,output:", "dl_vlan=7,dl_vlan_pcp=0", "pop_vlan,output:")
	arrive(all...)
}

// neighbours tell the machines where the router is, which answers to nobody.
func (w *world) neighbours() {
	for vm, router := range map[*harness.VM]string{w.A: routerA, w.B: routerB} {
		gw4, gw6 := harness.Gateway(vm.IP4.As4()[2])
		vm.Feed(w.T, fmt.Sprintf("neigh replace %s lladdr %s dev eth0\nneigh replace %s lladdr %[2]s dev eth0\n", gw4, router, gw6), "ip", "-batch", "-")
	}
}

// route returns the flows of a router between the two machines, as of table 2: what is
// addressed to a machine goes there.
func (w *world) route() (list []string) {
	for vm, router := range map[*harness.VM]string{w.A: routerA, w.B: routerB} {
		for _, dst := range []string{"ip,nw_dst=" + vm.IP4.String(), "ipv6,ipv6_dst=" + vm.IP6.String()} {
			list = append(list, fmt.Sprintf("table=2,%s,actions=mod_dl_src:%s,mod_dl_dst:%s,dec_ttl,output:%s", dst, router, vm.MAC, w.OFPort(vm)))
		}
	}
	return list
}

// lastHop is where the router sees packets that it must not pass on.
const lastHop = "cookie=0x77,table=0,priority=150,%s,nw_ttl=1,actions=drop"

// TestRouted: by a router that is written by hand, and that looks for the last hop.
func TestRouted(t *testing.T) {
	w := newPair(t, harness.VMConfig{Subnet: 1, Routed: true}, harness.VMConfig{Subnet: 2, Routed: true})
	w.neighbours()
	list := append(w.route(), fmt.Sprintf(lastHop, "ip"), fmt.Sprintf(lastHop, "ipv6"))
	for _, family := range []string{"ip", "ipv6"} {
		list = append(list, "table=0,priority=100,"+family+",actions=ct(table=1,zone=10)",
			"table=1,"+family+",ct_state=+trk+new-inv,actions=ct(commit,zone=10),resubmit(,2)",
			"table=1,"+family+",ct_state=+trk+est-inv,actions=resubmit(,2)")
	}
	w.Flows("br0", list...)
	w.agent()
	at := w.B.Listen(t, "tcp", dport, false)
	var all []*journey
	for i, v6 := range []bool{false, true} {
		all = append(all, w.setOut(t, at, netip.AddrPortFrom(w.B.Addr(v6), dport), sport+uint16(i), w.A.Addr(v6)))
	}
	w.rulesWithin(t, 4)
	bypass(all...)
	for i, v6 := range []bool{false, true} {
		all[i].lastHop(v6)
	}
	arrive(all...)
}

// lastHop: packets with one hop left come to the router, which the rules pass by.
func (j *journey) lastHop(v6 bool) {
	j.t.Helper()
	set := func(hops int) {
		name := map[bool]string{false: "net.ipv4.ip_default_ttl", true: "net.ipv6.conf.eth0.hop_limit"}[v6]
		j.w.A.Run(j.t, "sysctl", "-qw", fmt.Sprintf("%s=%d", name, hops))
	}
	seen := func() int64 {
		return count(strings.Split(j.w.Run(j.t, "ovs-ofctl", "-O", "OpenFlow14", "dump-flows", "br0", "cookie=0x77/-1"), "\n"))
	}
	before := seen()
	set(1)
	harness.Within(j.t, patience, "the router sees packets with their last hop", func() error {
		if n := seen() - before; n < 3 {
			return fmt.Errorf("%d packets", n)
		}
		return nil
	})
	set(64)
	j.goesOn(journeyRate / 4)
}

// TestNAT: the source of what goes to the other machine, the destination of what goes to an
// address that nobody has, and both, in a zone each, are translated by conntrack.
func TestNAT(t *testing.T) {
	w := newPair(t, harness.VMConfig{Subnet: 1, Routed: true}, harness.VMConfig{Subnet: 2, Routed: true})
	w.neighbours()
	public, virtual := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("2001:db8::9")
	list := append(w.route(),
		"table=0,priority=100,ip,actions=ct(table=1,zone=10,nat)",
		"table=0,priority=100,ipv6,actions=ct(table=1,zone=10,nat)",
		"table=1,ip,ct_state=+trk+est-inv,actions=resubmit(,2)",
		"table=1,ipv6,ct_state=+trk+est-inv,actions=resubmit(,2)",
		fmt.Sprintf("table=1,ip,ct_state=+trk+new-inv,actions=ct(commit,zone=10,table=2,nat(src=%s))", public),
		fmt.Sprintf("table=1,ipv6,ipv6_dst=%s,ct_state=+trk+new-inv,actions=ct(commit,zone=10,table=2,nat(dst=%s))", virtual, w.B.IP6),
		"table=0,priority=110,ip,nw_dst=203.0.113.9,actions=ct(table=4,zone=10,nat)",
		fmt.Sprintf("table=4,ip,ct_state=+trk+new-inv,actions=ct(commit,zone=10,table=5,nat(dst=%s))", w.B.IP4),
		"table=4,ip,ct_state=+trk+est-inv,actions=resubmit(,5)",
		"table=5,ip,actions=ct(table=6,zone=11,nat)",
		"table=6,ip,ct_state=+trk+new-inv,actions=ct(commit,zone=11,table=2,nat(src=203.0.113.2))",
		"table=6,ip,ct_state=+trk+est-inv,actions=resubmit(,2)",
		"table=0,priority=110,ip,nw_dst=203.0.113.2,actions=ct(table=7,zone=11,nat)",
		"table=7,ip,actions=ct(table=2,zone=10,nat)",
	)
	w.Flows("br0", list...)
	w.agent()
	at := w.B.Listen(t, "tcp", dport, false)
	all := []*journey{
		w.setOut(t, at, netip.AddrPortFrom(w.B.IP4, dport), sport, public),
		w.setOut(t, at, netip.AddrPortFrom(virtual, dport), sport+1, w.A.IP6),
		w.setOut(t, at, netip.MustParseAddrPort("203.0.113.9:9000"), sport+2, netip.MustParseAddr("203.0.113.2")),
	}
	w.rulesWithin(t, 6)
	bypass(all...)
	w.say(t, "set_field:203.0.113.1->ip_src", "nw_dst=203.0.113.1", "set_field:10.0.1.1->ip_dst",
		"ipv6_dst=2001:db8::9", "->ipv6_dst", "set_field:2001:db8::9->ipv6_src", "set_field:203.0.113.9->ip_src,set_field:10.0.1.1->ip_dst")
	arrive(all...)
}
