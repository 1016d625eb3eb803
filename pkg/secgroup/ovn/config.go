package ovn

import (
	"time"

	"github.com/flowshunt/flowshunt/ovsdb/client"
)

// Config says where OVN's databases are and how to read them. Remotes must be set, and for
// the Southbound database Chassis.
type Config struct {
	// Remotes are the servers of the database, as client.ParseRemotes reads them: for the
	// Southbound one external_ids:ovn-remote of Open_vSwitch.
	Remotes string
	TLS     client.TLS // for remotes of ssl
	// Chassis is this host's name in OVN: external_ids:system-id of Open_vSwitch.
	Chassis string
	// DropGroup is the port group whose ACLs drop what no security group permits. Empty:
	// neutron_pg_drop.
	DropGroup string
	// Inactivity is how long a server may be silent before it is given up; 0: 5 s.
	Inactivity time.Duration
}

// neutronDropGroup is Neutron's OVN_DROP_PORT_GROUP_NAME.
const neutronDropGroup = "neutron_pg_drop"

func (c Config) withDefaults() Config {
	if c.DropGroup == "" {
		c.DropGroup = neutronDropGroup
	}
	return c
}

// maxRows bounds each table: twice the flows of 100,000 ACLs.
const maxRows = 1 << 20

func (c Config) client(database string, tables []client.Table) (*client.Client, error) {
	return client.New(client.Config{
		Remotes: c.Remotes, TLS: c.TLS, Inactivity: c.Inactivity,
		Database: database, Tables: tables, MaxRows: maxRows,
	})
}
