// Package ovsdb reads the database of the local Open vSwitch and keeps an
// Inventory of its switch settings, bridges and ports. It never writes, never
// decides, and knows nothing of the kernel: what it reports is what the
// database says, at one moment, as an immutable Snapshot.
//
// Package client is the connection, to this database as to any other; the packages
// vswitchd, ovnsb and ovnnb have the row types, from libovsdb's modelgen.
//
// One thing outlives a connection: what ovs-vswitchd had reported of an interface in
// columns that a restarted server has lost, for Config.Hold.
package ovsdb
