// Package ovsdb reads the database of the local Open vSwitch and keeps an
// Inventory of its switch settings, bridges and ports. It never writes, never
// decides, and knows nothing of the kernel: what it reports is what the
// database says, at one moment, as an immutable Snapshot.
//
// # Why libovsdb's client is not used
//
// The row types come from libovsdb's modelgen (package vswitchd). Its client
// does not, because of what v0.8.1 does when the outside misbehaves:
//
//   - WithReconnect and WithInactivityCheck call panic when their back-off ends
//     (client.go, handleDisconnectNotification), in a goroutine of the library,
//     where no caller can recover: backoff/v4's usual policy ends after 15
//     minutes without a server. A back-off that never ends avoids that one.
//   - Nothing avoids the others. A message with neither method nor id, as short
//     as "{}", is a nil dereference in the JSON codec below it (cenkalti/rpc2);
//     an "update" without parameters is an index out of range; "[]" where a
//     column's value belongs is one too (ovsdb.ovsSliceToGoNotation). All of
//     them run in the reading goroutine, so each ends the process.
//   - Deadlines are not honoured while writing, connecting holds the lock that
//     every other call needs, messages have no size limit, and after
//     monitor_cond_since a failed update (update3) is only logged: the cache
//     is stale from then on. Cache events past a buffer are dropped.
//   - A server whose schema lacks one table or column of the model is refused,
//     so models of Open vSwitch 3.1 could not be used with 2.17.
//
// Instead a connection here speaks the four methods of RFC 7047 that a reader
// needs (list_dbs, get_schema, monitor, echo). The plain monitor method sends
// changed rows whole, so a replica cannot drift from what was sent; every error
// ends the connection, and every connection starts with a complete reading.
//
// One thing outlives a connection: what ovs-vswitchd had reported of an interface in
// columns that a restarted server has lost, for Config.Hold.
package ovsdb
