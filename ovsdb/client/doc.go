// Package client follows one database of an ovsdb-server (RFC 7047): it holds a connection
// to one of several servers, reads the asked-for columns of the asked-for tables, and tells
// a Handler every change as typed rows. It decides nothing, and writes only what it is
// given (Client.Transact). Who wants to look or to write once, without following, uses a Conn.
//
//	c, err := client.New(client.Config{
//		Remotes:  "ssl:10.0.0.1:6642,ssl:10.0.0.2:6642",
//		Database: "OVN_Southbound",
//		TLS:      client.TLS{PrivateKey: ..., Certificate: ..., CACert: ...},
//		Tables: []client.Table{{
//			Name: ovnsb.PortBindingTable, Row: (*ovnsb.PortBinding)(nil), Needed: true,
//			Columns: []string{"logical_port", "chassis"},
//			Where:   []client.Condition{{"type", "==", ""}},
//		}},
//	})
//	err = c.Run(ctx, handler) // until ctx ends
//
// Each connection tells Synced once, with all rows there are; then Changed for whatever
// happens; then Lost once, with the reason. An attempt that fails tells Lost only. All of
// them are called by Run's goroutine, one after the other; while a handler works, nothing
// is read.
//
// # Which server
//
// A failed or lost server is left for the next one of Config.Remotes; a pause that doubles
// follows each round of them. A server is lost as well when it answers nothing (ErrStalled),
// does not serve the database (ErrNoDatabase), or serves one that is stale: the database
// _Server says of each database whether its server is connected to the other members of its
// cluster (ErrDetached) and up to which entry of the log it has it, which must not go
// back from one server to the next (ErrStale). It is asked for after what was told, and not monitored: with each
// change of the database, whoever it concerns, all clients would be told. The leader is never asked for: a follower's
// copy is as good for reading.
//
// # What is read
//
// With monitor_cond and update2 (ovsdb-server(7), since Open vSwitch 2.6) only rows that
// meet Table.Where are sent, and of changed rows the differences. A server without it is
// asked with RFC 7047's monitor: then all rows are told, so a handler must cope with rows
// that do not meet Where. Tables and columns that the server's schema lacks are left out,
// unless they are needed (ErrSchema); their fields have the zero value.
//
// # What a server can do to its clients
//
// Nothing but be left: messages, rows, values and waiting are bounded, and what is not
// understood is an error of the connection. Every connection starts with a complete reading,
// so a replica cannot drift from what was sent. docs/decisions/0001-own-ovsdb-reader.md says
// why libovsdb's client is not used for this.
package client
