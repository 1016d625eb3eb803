package wire

import (
	"cmp"
	"time"
)

// Spec is one wire as an operator configured it, with names of OVS interfaces. It is
// comparable.
type Spec struct {
	Name  string
	Ports [2]string // its two ends
	// Inspectors are the ports of the inspector, by the end whose packets it takes there and
	// puts there: what comes in at Ports[0] goes out at Inspectors[0], and what the inspector
	// lets through comes in at Inspectors[1] and goes out at Ports[1]. Both empty: there is none.
	Inspectors [2]string
	// FailOpen lets everything pass while the inspector is away; otherwise nothing passes.
	FailOpen bool
	// ProbeInterval is the time between two probes of one direction; 0 means
	// DefaultProbeInterval. At the third in a row without an answer the inspector is away.
	ProbeInterval time.Duration
	// Anywhere says that the wire is on each node that has its ports: one that has none of
	// them does not miss it.
	Anywhere bool
}

// DefaultProbeInterval is that of a wire that does not name one.
const DefaultProbeInterval = time.Second

// Inspected reports whether there is an inspector between the ends.
func (s *Spec) Inspected() bool { return s.Inspectors != [2]string{} }

// all returns the names of the wire's ports.
func (s *Spec) all() []string {
	if !s.Inspected() {
		return s.Ports[:]
	}
	return []string{s.Ports[0], s.Ports[1], s.Inspectors[0], s.Inspectors[1]}
}

func (s *Spec) interval() time.Duration { return cmp.Or(s.ProbeInterval, DefaultProbeInterval) }
