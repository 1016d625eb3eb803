package secgroup

import "context"

// Source tells what security groups permit.
type Source interface {
	// Run calls tell with news, one after the other, until ctx ends, and returns its error.
	// It connects again, or reads again, for as long as it takes. Anything that cannot be
	// understood is a Port with SGUnknown or a Rule with Unknown, never left out.
	Run(ctx context.Context, tell func(News)) error
}

// News is what a source has to tell.
type News struct {
	// Update is what has changed; nil: nothing, or nothing is known. The first one of a
	// source is a Reset.
	Update *Update
	// Err says that the source cannot tell at present what is so: what it told may be
	// behind. Nil: what it told is what its database, or file, says.
	Err error
	// Revision is the first of the states that the network service counts (OVN: nb_cfg) of
	// which Update is known to be a part: when the slow path enforces that state, or a later
	// one, it enforces Update. 0: the source counts none.
	Revision uint64
	// Label means that the network service denies a connection by bit 0 of its conntrack
	// label, not of its mark: OVN while one of its hosts cannot mask marks.
	Label bool
}
