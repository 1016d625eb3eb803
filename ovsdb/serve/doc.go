// Package serve has a database served by the ovsdb-server that Open vSwitch runs on this node: it makes its
// file, adds it to the running server, and converts it when it has another schema than it should.
//
//	state, err := serve.Ensure(ctx, serve.Config{Schema: schema, File: "/etc/openvswitch/flowshunt.db"})
//
// What is done already is not done again, so it can be called after each start of the server, which forgets
// the databases that were added to it. A server that does not run is no error: then the file alone is
// made, and File reads and writes it. ovsdb-tool and ovsdb-client of the installed Open vSwitch do
// the work on files. Nothing here knows what is in a database.
package serve
