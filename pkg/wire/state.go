package wire

import (
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// State is what becomes of a packet that comes in at an end of a wire.
type State uint8

// The states. The zero value is that of a wire whose flows are not in force yet.
const (
	Unready   State = iota // a port is missing, or the bridge cannot be told
	Through                // to the other end: there is no inspector
	Inspected              // to the inspector
	Open                   // to the other end, past an inspector that is away
	Closed                 // nowhere: the inspector is away
)

// String returns the name of the state, as it stands in column wires of table Node.
func (s State) String() string {
	switch s {
	case Through:
		return "through"
	case Inspected:
		return "inspected"
	case Open:
		return "open"
	case Closed:
		return "closed"
	}
	return "unready"
}

// String says how the wire is, and why: "closed since 2026-11-02T07:05:01Z: fw0 has no link".
func (s Status) String() string {
	text := s.State.String() + " since " + s.Since.UTC().Format(time.RFC3339)
	if s.Detail != "" {
		text += ": " + s.Detail
	}
	if s.Problem != "" {
		text += " (" + s.Problem + ")"
	}
	return text
}

// Status is a wire and how it is. It is comparable.
type Status struct {
	Spec
	State  State
	Bridge string        // empty while Unready
	Zones  [2]flows.Zone // in which what passes each end is tracked; both the same without an inspector
	Since  time.Time     // since when it is in this state
	Detail string        // why it is Unready, Open or Closed
	// Problem is what is not as it should be although the wire is in this state; empty: nothing.
	Problem string
}
