package ovn

// Config says how to read OVN's databases. The zero value is of no use: Chassis must be set
// for the Southbound database.
type Config struct {
	// Chassis is this host's name in OVN: external_ids:system-id of Open_vSwitch.
	Chassis string
	// DropGroup is the port group whose ACLs drop what no security group permits. Empty:
	// neutron_pg_drop.
	DropGroup string
}

// neutronDropGroup is Neutron's OVN_DROP_PORT_GROUP_NAME.
const neutronDropGroup = "neutron_pg_drop"

func (c Config) withDefaults() Config {
	if c.DropGroup == "" {
		c.DropGroup = neutronDropGroup
	}
	return c
}
