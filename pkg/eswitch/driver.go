package eswitch

import (
	"context"

	"github.com/flowshunt/flowshunt/flows"
)

// Driver is what executes rules. All methods may be called at once from several
// goroutines. Its errors have the sentinels of this package in their chain.
type Driver interface {
	// Prepare makes a port ready for rules. It is idempotent. It fails with
	// ErrPortGone, ErrIngress, ErrForeign or ErrNotSupported.
	Prepare(ctx context.Context, link int32) error

	// Release undoes Prepare as far as nobody else makes use of it. It is
	// idempotent and succeeds for ports that are gone or were never prepared.
	Release(ctx context.Context, link int32) error

	// Apply carries out the changes in order, as few calls of the kernel as
	// possible, and sets the Err, and for Add the InHW, of each. A change does not
	// depend on the success of those before it. Deleting what is not there (any
	// more) is a success. Where the outcome of an Add cannot be known its Err has
	// ErrUnknown in its chain.
	Apply(ctx context.Context, changes []Change)

	// Links returns the ifindexes of all ports that could have rules of ours.
	Links(ctx context.Context) ([]int32, error)

	// Rules calls fn for each rule of ours in scope, whoever installed it. The
	// argument is valid during the call only.
	Rules(ctx context.Context, scope Scope, fn func(*Found)) error
}

// Ref says where a rule stands in the eswitch. Handles are chosen by this
// package, never used twice by one process, and even for the original direction:
// a late Delete can never meet the rule of another session.
type Ref struct {
	Link   int32 // ifindex where packets come in
	Class  Class
	Handle uint32
}

// Dir returns the direction that the handle tells.
func (r Ref) Dir() flows.Dir { return flows.Dir(r.Handle & 1) }

// Op is what a Change does.
type Op uint8

// The operations.
const (
	Add Op = iota
	Delete
)

// Change is one rule to add or delete.
type Change struct {
	Op      Op
	Ref     Ref
	Session flows.SessionID // 0: the rule is a guard
	Rule    flows.Rule      // of Delete only what errors name; see GuardOf for that of a guard
	// Hardware makes an Add fail with ErrFull where hardware has no room for it, although
	// software could execute it.
	Hardware bool

	Err  error // result
	InHW bool  // result of Add: hardware has it
}

// Scope says which rules to report.
type Scope struct {
	Link   int32
	Class  Class // 0: all
	Detail bool  // with Found.Rule; costs about three times as much
}

// Found is a rule of ours as the eswitch has it.
type Found struct {
	Ref        Ref
	Session    flows.SessionID // 0: it is a guard
	Generation uint8
	Preference uint16 // where tc shows it; 0 if the driver has no such thing

	Rule   flows.Rule // with Scope.Detail
	Intact bool       // with Scope.Detail: matches and does what this version would install for Rule
	// HidesBreak, with Scope.Detail, says that the kernel does not tell MayBreak of the tunnel
	// that packets leave in: Rule has it false.
	HidesBreak bool

	Count    flows.Counters // hardware and software
	Hardware flows.Counters // the part of hardware
	InHW     bool
}
