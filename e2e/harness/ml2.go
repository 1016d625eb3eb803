package harness

import (
	"fmt"
	"net/netip"
	"strings"
)

// ML2 are the bridges of a node as Neutron's Open vSwitch agent shapes them: br-int, where
// each network is a VLAN of the node's own, with its firewall; br-tun, by patch ports
// behind it, which learns by flows who is behind which tunnel; and br-ex to the physical network.
type ML2 struct {
	w       *World
	tunnels []string
	nets    []ml2Net
	ports   []ml2Port
}

// ML2Network is a network: a segment of VXLAN, or with VLAN of the physical network.
type ML2Network struct {
	Subnet  byte
	Segment uint32
	VLAN    bool
}

type ml2Net struct {
	ML2Network
	local uint16 // its VLAN in br-int
}

type ml2Port struct {
	*VM
	ofport string
	local  uint16
}

// ML2 makes the bridges, with tunnels to other nodes, and with an uplink to the physical
// network if one is named. Networks get local VLANs from first on, in this order: they
// differ from node to node.
func (w *World) ML2(uplink string, first uint16, peers []*World, networks ...ML2Network) *ML2 {
	w.T.Helper()
	m := &ML2{w: w}
	for i, n := range networks {
		m.nets = append(m.nets, ml2Net{n, first + uint16(i)})
	}
	for _, b := range []string{Integration, tunnelBridge, External} {
		w.Bridge(b)
	}
	w.Patch(Integration, "patch-tun", tunnelBridge, "patch-int")
	w.Patch(Integration, "int-br-ex", External, "phy-br-ex")
	if uplink != "" {
		w.Vsctl("add-port", External, uplink)
	}
	for _, p := range peers {
		name := "vxlan-" + fmt.Sprintf("%x", p.Endpoint.AsSlice())[max(0, 2*len(p.Endpoint.AsSlice())-8):]
		w.Vsctl("add-port", tunnelBridge, name, "--", "set", "interface", name, "type=vxlan", "options:df_default=true", "options:in_key=flow", "options:out_key=flow",
			"options:egress_pkt_mark=0", ovsOption("local_ip", w.Endpoint), ovsOption("remote_ip", p.Endpoint))
		m.tunnels = append(m.tunnels, name)
	}
	w.rulePorts = append(w.rulePorts, VXLAN)
	m.flows()
	return m
}

const tunnelBridge = "br-tun"

func ovsOption(key string, value netip.Addr) string {
	return fmt.Sprintf(`options:%s="%s"`, key, value)
}

// Patch joins two bridges by a pair of patch ports.
func (w *World) Patch(bridge, port, other, peer string) {
	w.T.Helper()
	for _, end := range [][3]string{{bridge, port, peer}, {other, peer, port}} {
		w.Vsctl("add-port", end[0], end[1], "--", "set", "interface", end[1], "type=patch", "options:peer="+end[2])
	}
}

// AddVM adds a machine to one of the node's networks; the firewall permits it all.
func (m *ML2) AddVM(name string, network ML2Network, cfg VMConfig) *VM {
	w := m.w
	w.T.Helper()
	local := m.local(network)
	cfg.Subnet = network.Subnet
	cfg.IfaceID = fmt.Sprintf("4f0a7d3e-22f3-4a5b-8d5f-%012x", len(m.ports)+1)
	vm := w.AddVM(Integration, name, cfg)
	w.Vsctl("set", "port", vm.Rep, fmt.Sprint("tag=", local), fmt.Sprint("other_config:tag=", local), fmt.Sprint("other_config:segmentation_id=", network.Segment))
	m.ports = append(m.ports, ml2Port{vm, w.OFPort(vm), local})
	m.flows()
	return vm
}

func (m *ML2) local(network ML2Network) uint16 {
	for _, n := range m.nets {
		if n.ML2Network == network {
			return n.local
		}
	}
	m.w.T.Fatalf("%+v is no network of the node", network)
	return 0
}

func (m *ML2) flows() {
	m.w.T.Helper()
	m.w.Flows(Integration, m.integration()...)
	m.w.Flows(tunnelBridge, m.tunnel()...)
	m.w.Flows(External, m.external()...)
}

// integration is br-int: tables 71 and 72 for what a port sends, 81 and 82 for what it
// gets, as in Neutron's documentation of its firewall; and what leaves the node goes to
// the tunnels at once, as with the agent's explicitly_egress_direct. Without, br-int floods
// it, for it never learns where remote stations are.
func (m *ML2) integration() (flows []string) {
	flows = []string{
		"table=0,priority=0,actions=resubmit(,60)", "table=60,priority=3,actions=NORMAL",
		"table=0,priority=2,in_port=int-br-ex,actions=drop",
		"table=91,priority=1,actions=resubmit(,94)", "table=94,priority=1,actions=NORMAL",
	}
	for _, n := range m.nets {
		if !n.VLAN {
			flows = append(flows, fmt.Sprintf("table=94,priority=10,reg6=%d,actions=push_vlan:0x8100,mod_vlan_vid:%[1]d,output:patch-tun", n.local))
		}
		if n.VLAN {
			flows = append(flows, fmt.Sprintf("table=0,priority=3,in_port=int-br-ex,dl_vlan=%d,actions=mod_vlan_vid:%d,resubmit(,60)", n.Segment, n.local))
		}
	}
	for _, p := range m.ports {
		flows = append(flows, fmt.Sprintf("table=94,priority=12,reg6=%d,dl_dst=%s,actions=output:%s", p.local, p.MAC, p.ofport))
		flows = append(flows, p.flows()...)
	}
	return flows
}

func (p ml2Port) flows() (flows []string) {
	fill := strings.NewReplacer("PORT", p.ofport, "VLAN", fmt.Sprint(p.local), "MAC", p.MAC, "IP4", p.IP4.String(), "IP6", p.IP6.String(), "ZONE", "zone=NXM_NX_REG6[0..15]")
	add := func(lines ...string) {
		for _, l := range lines {
			flows = append(flows, fill.Replace(l))
		}
	}
	add(
		"table=60,priority=100,in_port=PORT,actions=set_field:PORT->reg5,set_field:VLAN->reg6,resubmit(,71)",
		"table=60,priority=90,dl_vlan=VLAN,dl_dst=MAC,actions=set_field:PORT->reg5,set_field:VLAN->reg6,pop_vlan,resubmit(,81)",
		"table=71,priority=110,ct_state=+trk,actions=ct_clear,resubmit(,71)",
		"table=71,priority=95,arp,reg5=PORT,in_port=PORT,dl_src=MAC,arp_spa=IP4,actions=resubmit(,94)",
		"table=71,priority=95,icmp6,reg5=PORT,in_port=PORT,icmp_type=135,actions=resubmit(,94)",
		"table=71,priority=95,icmp6,reg5=PORT,in_port=PORT,icmp_type=136,actions=resubmit(,94)",
		"table=71,priority=65,ip,reg5=PORT,in_port=PORT,dl_src=MAC,nw_src=IP4,actions=ct(table=72,ZONE)",
		"table=71,priority=65,ipv6,reg5=PORT,in_port=PORT,dl_src=MAC,ipv6_src=IP6,actions=ct(table=72,ZONE)",
		"table=73,priority=100,reg6=VLAN,dl_dst=MAC,actions=set_field:PORT->reg5,resubmit(,81)",
		"table=73,priority=80,reg5=PORT,actions=resubmit(,94)",
		"table=81,priority=100,arp,reg5=PORT,actions=output:PORT",
		"table=81,priority=100,icmp6,reg5=PORT,icmp_type=135,actions=output:PORT",
		"table=81,priority=100,icmp6,reg5=PORT,icmp_type=136,actions=output:PORT",
		"table=81,priority=80,ct_state=+trk,reg5=PORT,actions=resubmit(,82)",
	)
	for _, table := range [][2]string{{"72", "resubmit(,94)"}, {"82", "output:PORT"}} {
		add(
			"table="+table[0]+",priority=50,ct_mark=0x1,reg5=PORT,actions=resubmit(,93)",
			"table="+table[0]+",priority=50,ct_state=+est-rel+rpl,ct_zone=VLAN,ct_mark=0,reg5=PORT,actions="+table[1],
			"table="+table[0]+",priority=50,ct_state=-new-est+rel-inv,ct_zone=VLAN,ct_mark=0,reg5=PORT,actions="+table[1],
		)
	}
	for _, family := range []string{"ip", "ipv6"} {
		add(
			"table=72,priority=74,ct_state=+est-rel-rpl,"+family+",reg5=PORT,actions=resubmit(,73)",
			"table=72,priority=74,ct_state=+new-est,"+family+",reg5=PORT,actions=resubmit(,73)",
			"table=73,priority=90,ct_state=+new-est,"+family+",reg5=PORT,actions=ct(commit,ZONE),resubmit(,91)",
			"table=81,priority=90,ct_state=-trk,"+family+",reg5=PORT,actions=ct(table=82,ZONE)",
			"table=82,priority=77,ct_state=+est-rel-rpl,"+family+",reg5=PORT,actions=output:PORT",
			"table=82,priority=77,ct_state=+new-est,"+family+",reg5=PORT,actions=ct(commit,ZONE),output:PORT,resubmit(,92)",
		)
	}
	return flows
}

// tunnel is br-tun: table 20 is what was learnt of unicast, 22 floods.
func (m *ML2) tunnel() (flows []string) {
	flows = []string{
		"table=0,priority=1,in_port=patch-int,actions=resubmit(,2)",
		"table=2,priority=0,dl_dst=00:00:00:00:00:00/01:00:00:00:00:00,actions=resubmit(,20)",
		"table=2,priority=0,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,actions=resubmit(,22)",
		"table=10,priority=1,actions=learn(table=20,hard_timeout=300,priority=1,cookie=0x20,NXM_OF_VLAN_TCI[0..11],NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[]," +
			"load:0->NXM_OF_VLAN_TCI[],load:NXM_NX_TUN_ID[]->NXM_NX_TUN_ID[],output:OXM_OF_IN_PORT[]),output:patch-int",
		"table=20,priority=0,actions=resubmit(,22)",
	}
	for _, t := range m.tunnels {
		flows = append(flows, "table=0,priority=1,in_port="+t+",actions=resubmit(,4)")
	}
	for _, n := range m.nets {
		if n.VLAN {
			continue
		}
		flood := fmt.Sprintf("table=22,priority=1,dl_vlan=%d,actions=strip_vlan,set_tunnel:%d", n.local, n.Segment)
		for _, t := range m.tunnels {
			flood += ",output:" + t
		}
		flows = append(flows, flood, fmt.Sprintf("table=4,priority=1,tun_id=%d,actions=mod_vlan_vid:%d,resubmit(,10)", n.Segment, n.local))
	}
	return flows
}

func (m *ML2) external() (flows []string) {
	flows = []string{"table=0,priority=0,actions=NORMAL", "table=0,priority=2,in_port=phy-br-ex,actions=drop"}
	for _, n := range m.nets {
		if n.VLAN {
			flows = append(flows, fmt.Sprintf("table=0,priority=4,in_port=phy-br-ex,dl_vlan=%d,actions=mod_vlan_vid:%d,NORMAL", n.local, n.Segment))
		}
	}
	return flows
}
