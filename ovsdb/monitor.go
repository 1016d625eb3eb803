package ovsdb

import (
	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/ovsdb/vswitchd"
)

const database = "Open_vSwitch"

// monitored are the columns that the inventory is made of. Statistics and the
// like are left out, because Open vSwitch writes them every few seconds. Without
// the tables that are needed nothing can be said.
var monitored = []client.Table{
	{Name: vswitchd.OpenvSwitchTable, Row: (*vswitchd.OpenvSwitch)(nil), Needed: true, Columns: []string{
		"bridges", "cur_cfg", "datapath_types", "db_version", "external_ids",
		"iface_types", "other_config", "ovs_version", "ssl"}},
	{Name: vswitchd.BridgeTable, Row: (*vswitchd.Bridge)(nil), Needed: true, Columns: []string{
		"controller", "datapath_id", "datapath_type", "external_ids", "fail_mode", "flood_vlans",
		"ipfix", "mcast_snooping_enable", "mirrors", "name", "netflow", "other_config", "ports", "rstp_enable", "sflow", "stp_enable"}},
	{Name: vswitchd.PortTable, Row: (*vswitchd.Port)(nil), Needed: true, Columns: []string{
		"bond_mode", "external_ids", "interfaces", "name", "other_config", "protected", "qos",
		"tag", "trunks", "vlan_mode"}},
	{Name: vswitchd.InterfaceTable, Row: (*vswitchd.Interface)(nil), Needed: true, Columns: []string{
		"admin_state", "error", "external_ids", "ifindex",
		"ingress_policing_burst", "ingress_policing_kpkts_burst", "ingress_policing_kpkts_rate",
		"ingress_policing_rate", "link_state", "mac_in_use", "name", "ofport", "options", "status", "type"}},
	{Name: vswitchd.MirrorTable, Row: (*vswitchd.Mirror)(nil), Columns: []string{
		"name", "output_port", "select_all", "select_dst_port", "select_src_port"}},
	{Name: vswitchd.QoSTable, Row: (*vswitchd.QoS)(nil), Columns: []string{"type"}},
	{Name: vswitchd.FlowSampleCollectorSetTable, Row: (*vswitchd.FlowSampleCollectorSet)(nil), Columns: []string{"bridge"}},
	{Name: vswitchd.SSLTable, Row: (*vswitchd.SSL)(nil), Columns: []string{"private_key", "certificate", "ca_cert"}},
}
