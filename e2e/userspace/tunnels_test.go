package userspace

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// overlay is a tunnel between two nodes, with a machine at either end, tracked by both.
type overlay struct {
	options    string // of the tunnel's interface
	ends       [2]string
	flowBased  bool   // flows say the other end
	port       string // of OpenFlow
	match      string // IP packets in it
	neighbours string // and those that ask for stations
	v6         bool
	into, out  string // what rules do, and match
}

var overlays = []overlay{{
	options: "type=vxlan options:key=7", ends: [2]string{"192.0.2.1", "192.0.2.2"}, port: "104", match: "ip", neighbours: "arp",
	into: "set_field:192.0.2.2->tun_dst,output:", out: "tun_id=0x7,tun_src=192.0.2.2,tun_dst=192.0.2.1",
}, {
	options: "type=geneve options:key=flow options:csum=true", flowBased: true, ends: [2]string{"2001:db8::1", "2001:db8::2"}, port: "106", match: "ipv6", neighbours: "icmp6", v6: true,
	into: "set_field:2001:db8::2->tun_ipv6_dst,output:", out: "tun_id=0x8,tun_ipv6_src=2001:db8::2,tun_ipv6_dst=2001:db8::1",
}}

// newNodes starts two nodes with an underlay between them: a bridge whose own port has the
// addresses where tunnels end. For each overlay there are the worlds of both nodes.
func newNodes(t *testing.T) (pairs [][2]*world) {
	t.Helper()
	var nodes [2]*harness.World
	for i := range nodes {
		w := harness.On(t, startNode(t, fmt.Sprint("us", i+1)))
		nodes[i] = w
		w.UserspaceBridge("br0")
		w.UserspaceBridge("brp")
	}
	nodes[0].Feed(t, fmt.Sprintf("link add uplink type veth peer name uplink netns %s\n", nodes[1].Namespace.Name), "ip", "-batch", "-")
	t.Cleanup(func() { _, _ = nodes[0].Try("ip", "link", "del", "uplink") })
	var flows [2][]string
	for n, o := range overlays {
		var vms [2]*harness.VM
		for i, w := range nodes {
			number := byte(2*n + i + 1)
			vms[i] = w.AddVM("br0", fmt.Sprint("vm", number), harness.VMConfig{NoOffload: true, MTU: 1400, Number: number})
			flows[i] = append(flows[i], o.attach(w, vms[i], i)...)
		}
		var pair [2]*world
		for i, w := range nodes {
			pair[i] = &world{&harness.Pair{World: w, A: vms[0], B: vms[1], Zone: harness.PairZone}}
		}
		pairs = append(pairs, pair)
	}
	for i, w := range nodes {
		w.Feed(t, "link set uplink up\n", "ip", "-batch", "-")
		w.Run(t, "ethtool", "-K", "uplink", "tx", "off", "tso", "off", "gso", "off", "gro", "off")
		w.Vsctl("add-port", "brp", "uplink")
		w.Flows("brp", "actions=NORMAL")
		w.Flows("br0", flows[i]...)
		w.Feed(t, fmt.Sprintf("addr add %s/24 dev brp\naddr add %s/64 dev brp nodad\nlink set brp up\n", overlays[0].ends[i], overlays[1].ends[i]), "ip", "-batch", "-")
	}
	return pairs
}

// attach makes the tunnel's end at a node, and returns the flows between it and a machine.
func (o *overlay) attach(w *harness.World, vm *harness.VM, node int) []string {
	w.T.Helper()
	name := "tunnel" + o.port
	remote, into := o.ends[1-node], "output:"+o.port
	if o.flowBased {
		remote, into = "flow", fmt.Sprintf("set_field:8->tun_id,set_field:%s->tun_ipv6_dst,output:%s", remote, o.port)
	}
	w.Vsctl(append([]string{"add-port", "br0", name, "--", "set", "interface", name, "ofport_request=" + o.port,
		"options:remote_ip=\"" + remote + "\""}, strings.Fields(o.options)...)...)
	port := w.OFPort(vm)
	return []string{
		fmt.Sprintf("table=0,priority=100,%s,actions=ct(table=1,zone=10)", o.match),
		fmt.Sprintf("table=1,%s,ct_state=+trk+new-inv,actions=ct(commit,zone=10),resubmit(,2)", o.match),
		fmt.Sprintf("table=1,%s,ct_state=+trk+est-inv,actions=resubmit(,2)", o.match),
		fmt.Sprintf("table=2,%s,in_port=%s,actions=%s", o.match, port, into),
		fmt.Sprintf("table=2,%s,in_port=%s,actions=output:%s", o.match, o.port, port),
		fmt.Sprintf("priority=200,%s,in_port=%s,actions=%s", o.neighbours, port, into),
		fmt.Sprintf("priority=200,%s,in_port=%s,actions=output:%s", o.neighbours, o.port, port),
	}
}

// TestTunnels: machines of two nodes, each of which offloads its part, into the tunnels
// and out of them; IPv4 in VXLAN over IPv4, and IPv6 in Geneve over IPv6, whose ends flows say.
func TestTunnels(t *testing.T) {
	pairs := newNodes(t)
	for n, pair := range pairs {
		pair[0].A.Ping(t, pair[0].B.Addr(overlays[n].v6))
	}
	pairs[0][0].agent()
	pairs[0][1].agent()
	var here, there []*journey
	for n, pair := range pairs {
		o := &overlays[n]
		at := pair[0].B.Listen(t, "tcp", dport, false)
		j := pair[0].setOut(t, at, netip.AddrPortFrom(pair[0].B.Addr(o.v6), dport), sport, pair[0].A.Addr(o.v6))
		onOther := *j.transfer
		onOther.w = pair[1]
		here, there = append(here, j), append(there, &journey{&onOther, t, j.from})
	}
	for _, node := range pairs[0] {
		node.rulesWithin(t, 2*len(pairs))
	}
	bypass(here...)
	bypass(there...)
	for _, o := range overlays {
		pairs[0][0].say(t, o.into, o.out)
	}
	arrive(here...)
}
