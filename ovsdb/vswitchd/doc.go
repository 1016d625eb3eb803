// Package vswitchd holds one Go type per table of the Open_vSwitch database, as
// libovsdb's modelgen writes them from the schema that Open vSwitch installs.
// It must not be edited by hand; model.go repeats that schema, which is part of
// Open vSwitch (Apache-2.0).
//
// The committed files are of schema 8.3.1 (Open vSwitch 3.1, Debian 12). A
// server with an older or a newer schema can still be read: package ovsdb asks
// only for the columns that both sides know.
package vswitchd

//go:generate go run ../../hack/ovsdbmodel vswitchd /usr/share/openvswitch/vswitch.ovsschema Open_vSwitch Bridge Port Interface Mirror QoS Flow_Sample_Collector_Set SSL
