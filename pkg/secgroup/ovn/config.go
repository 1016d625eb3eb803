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
	// Inactivity is how long a server may be silent before it is given up; 0: 15 s.
	Inactivity time.Duration
}

// neutronDropGroup is Neutron's OVN_DROP_PORT_GROUP_NAME.
const neutronDropGroup = "neutron_pg_drop"

func (c Config) withDefaults() Config {
	if c.DropGroup == "" {
		c.DropGroup = neutronDropGroup
	}
	if c.Inactivity <= 0 {
		c.Inactivity = inactivity
	}
	return c
}

// A server is asked whether it lives after a third of inactivity, and has the rest for its
// answer: one that stands still for 10 s, to compact its database or to elect a leader, keeps
// its clients, and one that is dead is known as such after 15 s. How long sessions may stay
// then is another's decision. The first reply has snapshot: when a server has restarted it
// makes one for each host.
const (
	inactivity = 15 * time.Second
	snapshot   = 30 * time.Second
)

// maxRows bounds each table: a stateful ACL has two flows, so that is more than 200,000 ACLs.
// maxMessage bounds the reply with all of them: a flow is about 400 bytes, and a match can be
// longer than Neutron's.
const (
	maxRows    = 1 << 19
	maxMessage = maxRows << 10
)

func (c Config) client(database string, tables []client.Table) (*client.Client, error) {
	return client.New(client.Config{
		Remotes: c.Remotes, TLS: c.TLS, Inactivity: c.withDefaults().Inactivity, Snapshot: snapshot,
		Database: database, Tables: tables, MaxRows: maxRows, MaxMessage: maxMessage,
	})
}
