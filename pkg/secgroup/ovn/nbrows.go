package ovn

import (
	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/ovsdb/ovnnb"
)

// nbACL is a row of ACL with the column that came with OVN 23.06.
type nbACL struct {
	ovnnb.ACL
	Tier int `ovsdb:"tier"`
}

// northboundTables is what is read, and in which order within a transaction.
func northboundTables() []client.Table {
	tables := []client.Table{
		{Name: ovnnb.LogicalSwitchTable, Row: (*ovnnb.LogicalSwitch)(nil), Columns: []string{"acls", "ports"}},
		{
			Name: ovnnb.LogicalSwitchPortTable, Row: (*ovnnb.LogicalSwitchPort)(nil),
			Columns: []string{"addresses", "dynamic_addresses", "enabled", "external_ids", "name", "options", "port_security", "type"},
		},
		{Name: ovnnb.PortGroupTable, Row: (*ovnnb.PortGroup)(nil), Columns: []string{"acls", "name", "ports"}},
		{
			Name: ovnnb.ACLTable, Row: (*nbACL)(nil),
			Columns:       []string{"action", "direction", "external_ids", "match", "options", "priority", "tier"},
			NeededColumns: []string{"action", "direction", "external_ids", "match", "priority"},
		},
		{Name: ovnnb.AddressSetTable, Row: (*ovnnb.AddressSet)(nil), Columns: []string{"addresses", "name"}},
		{Name: ovnnb.NBGlobalTable, Row: (*ovnnb.NBGlobal)(nil), Columns: []string{"nb_cfg", "options"}},
	}
	for i := range tables {
		if tables[i].Needed = true; tables[i].NeededColumns == nil {
			tables[i].NeededColumns = tables[i].Columns
		}
	}
	return tables
}
