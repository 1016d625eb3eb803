// Package ovnsb holds one Go type per table of OVN's Southbound database that is read, as
// libovsdb's modelgen writes them from the schema that OVN installs. It must not be edited by
// hand; model.go repeats that schema, which is part of OVN (Apache-2.0).
//
// The committed files are of schema 20.27.0 (OVN 23.03, Debian 12). Package client reads
// servers with an older or a newer schema as far as both sides know a column.
package ovnsb

//go:generate go run ../../hack/ovsdbmodel ovnsb /usr/share/ovn/ovn-sb.ovsschema SB_Global Chassis Chassis_Private Datapath_Binding Logical_DP_Group Port_Binding Port_Group Address_Set Logical_Flow
