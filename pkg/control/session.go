package control

import (
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// State is how far a connection is on its way to the eswitch and back. Zero
// means "not known".
type State uint8

// The states in the order in which an elephant passes them, and the one in which it
// is found after a restart.
const (
	StateFollowing  State = iota + 1 // known and measured, not chosen
	StateCandidate                   // chosen, waits (budget, mode)
	StateResolving                   // its path is being found out
	StateInstalling                  // rules are on their way to the eswitch
	StateOffloaded                   // all its rules are in the eswitch
	StateRemoving                    // rules are on their way out
	StateAdopting                    // rules of an earlier agent are in the eswitch and being judged
)

var stateNames = []string{"following", "candidate", "resolving", "installing", "offloaded", "removing", "adopting"}

// String returns the lower-case name, or the number of an unknown state.
func (s State) String() string { return nameOf(s, stateNames...) }

// StateNames returns the names that ParseState reads, in order.
func StateNames() []string { return append([]string(nil), stateNames...) }

// ParseState reads a name as String writes it.
func ParseState(s string) (State, error) { return parseName[State]("state", s, stateNames) }

// Session is one connection as the agent sees it, offloaded or not.
type Session struct {
	ID         flows.SessionID // 0: it is not a session yet
	Generation uint32          // of the cookies of its rules; 0: not told
	Tuple      flows.Tuple     // original direction
	Zones      []flows.Zone
	State      State
	Verdict    flows.Verdict
	Reason     flows.Reason
	Detail     string // what Reason leaves open: figures, the kernel's own words

	Rate      uint64            // bytes per second, both directions
	SlowBytes uint64            // bytes that took the slow path, both directions
	Offloaded [2]flows.Counters // by flows.Dir, as the eswitch counted
	Since     time.Time         // when State became what it is
	In, Out   string            // ports of the original direction; empty: not known
	InHW      bool              // the driver reports all its rules in hardware
}

// Bytes returns the bytes of both directions, wherever they went.
func (s *Session) Bytes() uint64 {
	return s.SlowBytes + s.Offloaded[flows.Orig].Bytes + s.Offloaded[flows.Reply].Bytes
}

// Summary ends a list of sessions.
type Summary struct {
	Matched uint64    // how many matched; the list may be shorter
	Now     time.Time // the agent's clock
}
