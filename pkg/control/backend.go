package control

import (
	"context"
	"iter"
)

// Backend answers the questions of the control API. The agent implements it.
// All methods are called concurrently and must return soon after ctx is done.
// An error reaches the client as its text.
type Backend interface {
	// Show returns how the agent is at this moment.
	Show(ctx context.Context) (Status, error)

	// Sessions returns the connections of one snapshot: every followed one if
	// all is set, else those beyond StateFollowing. Order does not matter; the
	// server filters, sorts and limits. The sequence is consumed once.
	Sessions(ctx context.Context, all bool) (iter.Seq[Session], error)

	// Why explains one tuple; it reads conntrack live for one that is not
	// followed. The order of checks is kept.
	Why(ctx context.Context, q Question) (Explanation, error)

	// Order carries an order out and returns what has become of it, entry by entry, when
	// that is settled: of rules that have to go, when they are gone. ctx ends before the
	// caller's patience does. With ErrGiven it returns what it knows as well.
	Order(ctx context.Context, o Order) ([]Ordered, error)

	// Stats returns all counters and gauges. Order does not matter.
	Stats(ctx context.Context) ([]Stat, error)
}
