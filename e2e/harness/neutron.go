package harness

import "fmt"

// NeutronVLAN is the local VLAN of a network on Neutron's integration bridge, and its
// conntrack zone.
const NeutronVLAN = 7

// Neutron makes a bridge what Neutron's Open vSwitch firewall makes it: every port is
// in the network's VLAN, may send what it likes, and receives nothing but replies
// and what Accept permits. Table 82 is where that stands.
func (w *World) Neutron(bridge string, vms ...*VM) {
	w.T.Helper()
	flows := []string{
		"table=0,priority=0,actions=resubmit(,60)",
		"table=60,priority=3,actions=NORMAL",
		"table=71,priority=110,ct_state=+trk,actions=ct_clear,resubmit(,71)",
		"table=72,priority=50,ct_state=+inv+trk,actions=drop",
		"table=91,priority=1,actions=resubmit(,94)",
		"table=94,priority=1,actions=NORMAL",
	}
	for i, vm := range vms {
		w.Vsctl("set", "port", vm.Rep, fmt.Sprint("tag=", NeutronVLAN),
			fmt.Sprintf(`other_config={net_uuid="%s",network_type=vlan,physical_network=physnet1,segmentation_id=100,tag="%d"}`, "7d2a1c4e-53ab-4c1f-9a77-2f6c3b0e8d11", NeutronVLAN))
		flows = append(flows, w.neutronPort(i+1, vm)...)
	}
	w.Flows(bridge, flows...)
}

// neutronPort are the flows of a port; reg is the number it has in reg5.
func (w *World) neutronPort(reg int, vm *VM) (flows []string) {
	w.T.Helper()
	port := w.OFPort(vm)
	add := func(format string, args ...any) { flows = append(flows, fmt.Sprintf(format, args...)) }
	const zone, mark = "zone=NXM_NX_REG6[0..15]", "exec(set_field:0x1->ct_mark)"
	add("table=60,priority=100,in_port=%s,actions=set_field:%d->reg5,set_field:%d->reg6,resubmit(,71)", port, reg, NeutronVLAN)
	add("table=71,priority=95,arp,reg5=%d,in_port=%s,dl_src=%s,arp_spa=%s,actions=resubmit(,94)", reg, port, vm.MAC, vm.IP4)
	add("table=71,priority=65,ip,reg5=%d,in_port=%s,dl_src=%s,nw_src=%s,actions=ct(table=72,%s)", reg, port, vm.MAC, vm.IP4, zone)
	for _, state := range []string{"+est-rel-rpl", "+new-est"} {
		add("table=72,priority=74,ct_state=%s,ip,reg5=%d,actions=resubmit(,73)", state, reg)
	}
	add("table=72,priority=50,ct_mark=0x1,reg5=%d,actions=drop", reg)
	add("table=72,priority=50,ct_state=+est-rel+rpl,ct_zone=%d,ct_mark=0,reg5=%d,actions=resubmit(,94)", NeutronVLAN, reg)
	add("table=72,priority=40,ct_state=-est,reg5=%d,actions=drop", reg)
	add("table=72,priority=40,ct_state=+est,ip,reg5=%d,actions=ct(commit,%s,%s)", reg, zone, mark)
	add("table=73,priority=100,reg6=%d,dl_dst=%s,actions=set_field:%d->reg5,resubmit(,81)", NeutronVLAN, vm.MAC, reg)
	add("table=73,priority=90,ct_state=+new-est,ip,reg5=%d,actions=ct(commit,%s),resubmit(,91)", reg, zone)
	add("table=73,priority=80,reg5=%d,actions=resubmit(,94)", reg)
	add("table=81,priority=100,arp,reg5=%d,actions=output:%s", reg, port)
	add("table=81,priority=90,ct_state=-trk,ip,reg5=%d,actions=ct(table=82,%s)", reg, zone)
	add("table=81,priority=80,ct_state=+trk,reg5=%d,actions=resubmit(,82)", reg)
	add("table=82,priority=50,ct_state=+inv+trk,actions=drop")
	add("table=82,priority=50,ct_mark=0x1,reg5=%d,actions=drop", reg)
	add("table=82,priority=50,ct_state=+est-rel+rpl,ct_zone=%d,ct_mark=0,reg5=%d,actions=output:%s", NeutronVLAN, reg, port)
	add("table=82,priority=40,ct_state=-est,reg5=%d,actions=drop", reg)
	add("table=82,priority=40,ct_state=+est,ip,reg5=%d,actions=ct(commit,%s,%s)", reg, zone, mark)
	return flows
}

// NeutronAccept permits a port to receive what matches, e.g. "tcp,tp_dst=80", as a rule
// of a security group does. The port has its place among those that Neutron was given,
// from 1.
func (w *World) NeutronAccept(bridge string, reg int, vm *VM, match string) {
	w.T.Helper()
	port := w.OFPort(vm)
	w.Run(w.T, "ovs-ofctl", "add-flow", bridge, fmt.Sprintf("table=82,priority=77,ct_state=+est-rel-rpl,%s,reg5=%d,actions=output:%s", match, reg, port))
	w.Run(w.T, "ovs-ofctl", "add-flow", bridge,
		fmt.Sprintf("table=82,priority=77,ct_state=+new-est,%s,reg5=%d,actions=ct(commit,zone=NXM_NX_REG6[0..15]),output:%s,resubmit(,92)", match, reg, port))
}

// NeutronRevoke takes that back.
func (w *World) NeutronRevoke(bridge string, reg int, match string) {
	w.T.Helper()
	w.Run(w.T, "ovs-ofctl", "del-flows", bridge, fmt.Sprintf("table=82,%s,reg5=%d", match, reg))
}
