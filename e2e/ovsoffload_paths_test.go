package e2e

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// What Open vSwitch itself puts into tc, of the ways of docs/paths.md: its hw-offload=true,
// on veths, so that tc is the kernel's.
func TestOVSOffloadPaths(t *testing.T) {
	slowly(t)
	u := harness.NewUnderlay(t)
	w := harness.SwitchedPair(t)
	u.Endpoints(false, w.World)
	u.AddHost("far", 0, 50) // whom nobody asks
	t.Cleanup(func() { setHWOffload(w.World, false); restartSwitch(w.World, "br0") })
	w.A.Ping(t, w.B.IP4)
	setHWOffload(w.World, true)
	restartSwitch(w.World, "br0")
	w.A.Run(t, "ip", "neigh", "replace", w.B.IP4.String(), "lladdr", w.B.MAC, "dev", "eth0", "nud", "permanent")
	w.Run(t, "ip", "neigh", "replace", "192.0.2.99", "lladdr", "02:00:00:00:00:99", "dev", "tun0", "nud", "permanent")
	for _, typ := range []string{"geneve", "vxlan"} {
		w.Vsctl("add-port", "br0", typ+"0", "--", "set", "interface", typ+"0", "type="+typ, "options:remote_ip=192.0.2.99", "options:key=7")
	}
	w.Run(t, "ovs-ofctl", "-O", "OpenFlow15", "add-group", "br0", "group_id=1,type=select,bucket=output:"+w.OFPort(w.B))
	w.Run(t, "ovs-ofctl", "-O", "OpenFlow15", "add-meter", "br0", "meter=1,kbps,band=type=drop,rate=100000")
	t.Cleanup(func() {
		w.Run(t, "ovs-ofctl", "-O", "OpenFlow15", "del-groups", "br0")
		w.Run(t, "ovs-ofctl", "-O", "OpenFlow15", "del-meters", "br0")
	})
	number := func(port string) string { return strings.TrimSpace(w.Vsctl("get", "interface", port, "ofport")) }
	out := "output:" + w.OFPort(w.B)
	w.B.Listen(t, "udp", 9000, false)
	p := w.A.Dial(t, "udp", netip.AddrPortFrom(w.B.IP4, 9000), 45000, 1)
	p.Do(1, "chat 50")
	for _, c := range []struct {
		name, actions string
		want          bool
	}{
		{"switched", out, true},
		{"VLAN pushed", "push_vlan:0x8100,set_field:4103->vlan_vid," + out, true},
		{"QinQ pushed", "push_vlan:0x8100,set_field:4103->vlan_vid,push_vlan:0x88a8,set_field:4105->vlan_vid," + out, true},
		{"routed", "set_field:fa:16:3e:00:09:09->eth_src,dec_ttl," + out, true},
		{"addresses set", "set_field:10.9.9.9->ip_dst," + out, true},
		{"into Geneve", "output:" + number("geneve0"), true},
		{"into VXLAN", "output:" + number("vxlan0"), true},
		{"by conntrack", "ct(zone=9,table=1)", false},
		{"by conntrack with NAT", "ct(zone=9,nat,table=1)", false},
		{"two outputs", out + ",output:" + number("geneve0"), true},
		{"select group", "group:1", false},
		{"meter", "meter:1," + out, true},
		{"to the controller too", "controller(max_len=64)," + out, false},
	} {
		flows := fmt.Sprintf("table=0,priority=0,actions=drop\ntable=0,priority=9,udp,tp_src=45000,actions=%s\ntable=1,actions=%s\n", c.actions, out)
		w.Feed(t, flows, "ovs-ofctl", "-O", "OpenFlow15", "--bundle", "replace-flows", "br0", "-")
		var got string
		harness.Within(t, patience, c.name+": a flow of the datapath", func() error {
			offloaded := datapathFlow(w.World, "tc")
			plain := datapathFlow(w.World, "ovs")
			if (offloaded == "") == (plain == "") {
				return fmt.Errorf("in tc %q, in the module %q", offloaded, plain)
			}
			got = offloaded
			return nil
		})
		t.Logf("%-24s in tc: %t", c.name, got != "")
		if (got != "") != c.want {
			t.Errorf("%s: in tc: %t, want %t", c.name, got != "", c.want)
		}
	}
}

// datapathFlow returns the flow of the datapath in which the story's packets come in.
func datapathFlow(w *harness.World, typ string) string {
	flows, err := w.Try("ovs-appctl", "dpctl/dump-flows", "--names", "type="+typ)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(flows) {
		if strings.Contains(line, "recirc_id(0)") && strings.Contains(line, "src=45000") {
			return line
		}
	}
	return ""
}
