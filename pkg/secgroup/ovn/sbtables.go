package ovn

import (
	"maps"
	"slices"

	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/ovsdb/ovnsb"
)

// southboundTables is what is read, and in which order within a transaction: SB_Global last,
// because its number then counts all that was told before.
func southboundTables() []client.Table {
	tables := []client.Table{
		{Name: ovnsb.ChassisTable, Row: (*ovnsb.Chassis)(nil), Columns: []string{"name", "hostname"}},
		{Name: ovnsb.DatapathBindingTable, Row: (*ovnsb.DatapathBinding)(nil), Columns: []string{"tunnel_key"}},
		{Name: ovnsb.LogicalDPGroupTable, Row: (*ovnsb.LogicalDPGroup)(nil), Columns: []string{"datapaths"}},
		{
			Name: ovnsb.PortBindingTable, Row: (*ovnsb.PortBinding)(nil),
			Columns: []string{
				"additional_chassis", "chassis", "datapath", "external_ids", "logical_port", "options",
				"port_security", "requested_additional_chassis", "requested_chassis", "type", "up",
			},
			NeededColumns: []string{"chassis", "datapath", "external_ids", "logical_port", "options", "port_security", "type"},
		},
		{Name: ovnsb.PortGroupTable, Row: (*ovnsb.PortGroup)(nil), Columns: []string{"name", "ports"}},
		{Name: ovnsb.AddressSetTable, Row: (*ovnsb.AddressSet)(nil), Columns: []string{"name", "addresses"}},
		{
			Name: ovnsb.LogicalFlowTable, Row: (*ovnsb.LogicalFlow)(nil), Where: flowsToRead(),
			Columns:       []string{"actions", "external_ids", "logical_datapath", "logical_dp_group", "match", "priority"},
			NeededColumns: []string{"actions", "external_ids", "logical_datapath", "match", "priority"},
		},
		{Name: ovnsb.SBGlobalTable, Row: (*ovnsb.SBGlobal)(nil), Columns: []string{"nb_cfg"}},
	}
	for i := range tables {
		// Groups of datapaths came with 21.03; without the table each flow names its datapath.
		tables[i].Needed = tables[i].Name != ovnsb.LogicalDPGroupTable
		if tables[i].Needed && tables[i].NeededColumns == nil {
			tables[i].NeededColumns = tables[i].Columns
		}
	}
	return tables
}

// flowsToRead are conditions for the flows of the stages of ACLs, and those that switch off
// ports.
func flowsToRead() []client.Condition {
	where := []client.Condition{{Column: "actions", Function: "==", Value: disablingActions}}
	for _, name := range slices.Sorted(maps.Keys(stages)) {
		where = append(where, client.Condition{
			Column: "external_ids", Function: "includes", Value: client.Map{"stage-name": name},
		})
	}
	return where
}
