package ovsdb

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/flowshunt/flowshunt/ovsdb/vswitchd"
)

const database = "Open_vSwitch"

// monitored are the columns that the inventory is made of. Statistics and the
// like are left out, because Open vSwitch writes them every few seconds.
var monitored = map[string][]string{
	vswitchd.OpenvSwitchTable: {"bridges", "cur_cfg", "datapath_types", "db_version", "external_ids",
		"iface_types", "other_config", "ovs_version"},
	vswitchd.BridgeTable: {"datapath_id", "datapath_type", "external_ids", "fail_mode", "flood_vlans",
		"ipfix", "mcast_snooping_enable", "mirrors", "name", "netflow", "other_config", "ports", "rstp_enable", "sflow", "stp_enable"},
	vswitchd.PortTable: {"bond_mode", "external_ids", "interfaces", "name", "other_config", "protected", "qos",
		"tag", "trunks", "vlan_mode"},
	vswitchd.InterfaceTable: {"admin_state", "error", "external_ids", "ifindex",
		"ingress_policing_burst", "ingress_policing_kpkts_burst", "ingress_policing_kpkts_rate",
		"ingress_policing_rate", "link_state", "mac_in_use", "name", "ofport", "options", "type"},
	vswitchd.MirrorTable:                 {"name", "output_port", "select_all", "select_dst_port", "select_src_port"},
	vswitchd.QoSTable:                    {"type"},
	vswitchd.FlowSampleCollectorSetTable: {"bridge"},
}

// needed are the tables without which nothing can be said.
var needed = []string{vswitchd.OpenvSwitchTable, vswitchd.BridgeTable, vswitchd.PortTable, vswitchd.InterfaceTable}

// schema is as much of a database schema (RFC 7047, section 3.2) as is used.
type schema struct {
	Tables map[string]struct {
		Columns map[string]json.RawMessage `json:"columns"`
	} `json:"tables"`
}

// monitorRequest asks for columns of one table.
type monitorRequest struct {
	Columns []string `json:"columns"`
}

// requests returns what to monitor on a server with that schema: older versions
// of Open vSwitch lack some columns, and what they stand for.
func (s schema) requests() (map[string]monitorRequest, error) {
	for _, name := range needed {
		if _, ok := s.Tables[name]; !ok {
			return nil, fmt.Errorf("%w: the schema has no table %s", ErrProtocol, name)
		}
	}
	requests := make(map[string]monitorRequest, len(monitored))
	for name, wanted := range monitored {
		served, ok := s.Tables[name]
		if !ok {
			continue
		}
		has := func(column string) bool { _, ok := served.Columns[column]; return !ok }
		requests[name] = monitorRequest{Columns: slices.DeleteFunc(slices.Clone(wanted), has)}
	}
	return requests, nil
}

// monitor checks that the server serves the database, reads all that is
// monitored, and has changes sent from then on.
func (r *replica) monitor(ctx context.Context, w *wire) (op string, err error) {
	var served []string
	if err := w.call(ctx, "list_dbs", []any{}, &served); err != nil {
		return "list_dbs", err
	}
	if !slices.Contains(served, database) {
		return "list_dbs", fmt.Errorf("%w (it serves %.200q)", ErrNoDatabase, served)
	}
	var s schema
	if err := w.call(ctx, "get_schema", []any{database}, &s); err != nil {
		return "get_schema", err
	}
	requests, err := s.requests()
	if err != nil {
		return "get_schema", err
	}
	var rows tableUpdates
	if err := w.call(ctx, "monitor", []any{database, nil, requests}, &rows); err != nil {
		return "monitor", err
	}
	return "monitor", r.apply(rows)
}

// update carries out what a notification says.
func (r *replica) update(m message) error {
	switch m.Method {
	case "update":
		var params []json.RawMessage
		if err := json.Unmarshal(m.Params, &params); err != nil {
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		if len(params) != 2 {
			return fmt.Errorf("%w: update with %d parameters", ErrProtocol, len(params))
		}
		var rows tableUpdates
		if err := json.Unmarshal(params[1], &rows); err != nil {
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		return r.apply(rows)
	case "monitor_canceled":
		return fmt.Errorf("%w any more: it ended the monitor", ErrNoDatabase)
	}
	return fmt.Errorf("%w: unexpected message (method %.64q, id %.64s)", ErrProtocol, m.Method, m.ID)
}
