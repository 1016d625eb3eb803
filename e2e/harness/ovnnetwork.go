package harness

import "fmt"

// Network is a logical switch.
type Network struct {
	Name   string
	Subnet byte // of its machines

	o *OVN
}

// AddNetwork adds a network whose packets travel in tunnels.
func (o *OVN) AddNetwork(subnet byte) *Network {
	o.w.T.Helper()
	n := &Network{Name: "neutron-" + o.uuid(), Subnet: subnet, o: o}
	o.Nbctl("--wait=hv",
		"--", "ls-add", n.Name,
		"--", "set", "logical_switch", n.Name, "other_config:mcast_snoop=false", "other_config:mcast_flood_unregistered=false", "other_config:vlan-passthru=false",
		fmt.Sprintf(`external_ids:neutron\:network_name=net%d`, subnet+1), `external_ids:neutron\:mtu="1442"`)
	return n
}

// AddProvider adds a network that is a VLAN of the physical one, or with 0 what is
// untagged there: see Provide.
func (o *OVN) AddProvider(subnet byte, vlan uint16) *Network {
	o.w.T.Helper()
	n := o.AddNetwork(subnet)
	commands := []string{"--id=@p", "create", "logical_switch_port", "name=provnet-" + o.uuid(), "type=localnet", "addresses=unknown", "options:network_name=" + physical}
	if vlan != 0 {
		commands = append(commands, fmt.Sprint("tag=", vlan))
	}
	o.Nbctl(append(commands, "--", "add", "logical_switch", n.Name, "ports", "@p")...)
	o.Sync()
	return n
}
