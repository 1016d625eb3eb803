package control

import "github.com/flowshunt/flowshunt/flows"

// Question asks about one tuple, in either orientation.
type Question struct {
	Tuple flows.Tuple
	Zone  *flows.Zone // nil: any
}

// Result is the outcome of a check. Zero means "not known" and counts as no.
type Result uint8

// Unknown means that the answer could not be found out, which counts as no;
// NotReached that an earlier check had decided already.
const (
	ResultOK Result = iota + 1
	ResultFailed
	ResultUnknown
	ResultNotReached
)

// String returns a lower-case word.
func (r Result) String() string { return nameOf(r, "ok", "failed", "unknown", "not-reached") }

// Check is one condition of an offload.
type Check struct {
	Name   string // stable, as "established"
	Result Result
	Detail string // what was found and what was wanted
}

// Explanation answers a Question.
type Explanation struct {
	Checks  []Check // of the agent as a whole: mode, readiness
	Entries []Entry // one per conntrack entry that matches

	// Reason and Detail answer where there is no entry (flows.Gone).
	Reason flows.Reason
	Detail string
}

// Entry explains one conntrack entry.
type Entry struct {
	Key      flows.EntryKey
	Dir      flows.Dir // the direction of the entry that was asked for
	Followed bool      // the agent knew it before it was asked
	Session  flows.SessionID
	State    State   // 0 unless Followed
	Checks   []Check // in the order in which they are made
	Verdict  flows.Verdict
	Reason   flows.Reason
	Detail   string
}
