// Package ovsdb follows the policy database (ovsdb/flowshunt.ovsschema) and reports to it.
//
// A Source tells compiled policies, first all there are and then whenever they change. A
// database that is lost takes nothing back: the last policies stay. Two things are
// written: what is wrong with a row into its column status, and the agent's own row of table
// Node. Writing waits for its turn and never holds up reading.
package ovsdb
