// Package ovnnb holds one Go type per table of OVN's Northbound database that is read, as
// libovsdb's modelgen writes them from the schema that OVN installs. It must not be edited by
// hand; model.go repeats that schema, which is part of OVN (Apache-2.0).
//
// The committed files are of schema 7.0.0 (OVN 23.03, Debian 12). Package client reads
// servers with an older or a newer schema as far as both sides know a column.
package ovnnb

//go:generate go run ../../hack/ovsdbmodel ovnnb /usr/share/ovn/ovn-nb.ovsschema NB_Global Logical_Switch Logical_Switch_Port Port_Group ACL Address_Set
