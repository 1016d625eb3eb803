package path

import (
	"fmt"

	"github.com/flowshunt/flowshunt/flows"
)

// Request asks for the path of one conntrack entry.
type Request struct {
	Key    flows.EntryKey
	Reply  flows.Tuple       // as the entry has it
	States []flows.ZoneState // of all entries that may be of the same connection
	Silent [2]bool           // by Dir: no packet of it was counted for some seconds
}

func (r *Request) stand() flows.Stand {
	return flows.Stand{Zone: r.Key.Zone, Tuple: r.Key.Tuple, Reply: r.Reply}
}

// Answer is a path as OVS confirms it.
type Answer struct {
	Paths  flows.Paths
	Tuples [2]flows.Tuple // by Dir, as packets come in
	Stands []flows.Stand  // where OVS tracks the connection
	Plain  bool           // see engine.PathResolved
	// Inspected means that it leads by way of the inspector of a wire.
	Inspected bool
	DSCP      flows.DSCP // of packets of the original direction, as one came in last
}

// Refusal is the error of a resolver that has no path to answer.
type Refusal struct {
	Reason flows.Reason
	Detail string // for a person

	missing bool  // a packet that was not seen yet could change it
	lacks   *lack // which; nil: any
}

// Error returns the text.
func (r *Refusal) Error() string { return fmt.Sprintf("%s: %s", r.Reason, r.Detail) }

func refuse(reason flows.Reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// missing refuses for want of packets.
func missing(reason flows.Reason, format string, args ...any) *Refusal {
	r := refuse(reason, format, args...)
	r.missing = true
	return r
}
