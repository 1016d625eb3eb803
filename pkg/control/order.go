package control

import (
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// OrderKind is what an operator wants of connections. Zero means "not known".
type OrderKind uint8

const (
	// OrderOffload wishes them offloaded, if nothing speaks against it.
	OrderOffload OrderKind = iota + 1
	// OrderInspect brings them back to the slow path and keeps them there.
	OrderInspect
	// OrderRevoke denies them for good.
	OrderRevoke
)

// String returns a lower-case word.
func (k OrderKind) String() string { return nameOf(k, "offload", "inspect", "revoke") }

// Order is one about some connections. Those of Tuples and those of Filter are meant.
type Order struct {
	Kind   OrderKind
	Tuples []flows.Tuple // in either orientation
	Zone   *flows.Zone   // of Tuples; nil: any
	Filter *Filter       // of followed connections; nil: none, the zero value with All: every one
	For    time.Duration // how long OrderInspect stands; 0: until the connection ends
	Unmark bool          // OrderOffload takes off the conntrack mark that forbids it, whoever has set it
	DryRun bool          // nothing is done: what would become of it is told

	// By is who gives it. It does not go over the wire: the server tells it.
	By Peer
}

// Outcome is what has become of an order. Zero means "not known".
type Outcome uint8

const (
	// OutcomeDone means that it is so.
	OutcomeDone Outcome = iota + 1
	// OutcomeWaits means that the order stands, and something is in its way.
	OutcomeWaits
	// OutcomeRefused means that the order does not stand.
	OutcomeRefused
)

// String returns a lower-case word.
func (o Outcome) String() string { return nameOf(o, "done", "waits", "refused") }

// Ordered is what has become of an order about one conntrack entry.
type Ordered struct {
	Key        flows.EntryKey // its tuple is the one that was asked for, where there is no entry
	Session    flows.SessionID
	Outcome    Outcome
	Reason     flows.Reason
	Detail     string
	Remembered bool // the conntrack mark tells the next agent
}
