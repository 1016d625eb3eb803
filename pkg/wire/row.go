package wire

import (
	"fmt"
	"time"
)

// Row is a wire as it stands in the database, where more can be said than makes sense.
type Row struct {
	ID         string // tells rows apart, and orders those that are equal otherwise
	Name       string
	Node       string // that it is on; empty: any that has its ports
	Disabled   bool
	Ports      [2]string
	Inspectors [2]string // empty: not said
	FailMode   string    // "open" or "closed"
	// ProbeInterval is in milliseconds; 0: not said.
	ProbeInterval int
}

// Bounds of a row (ovsdb/flowshunt.ovsschema).
const (
	maxName     = 255
	minInterval = 100   // ms
	maxInterval = 60000 // ms
)

// Spec returns what a row says, or what is wrong with it: the texts depend on the row alone, and name the column.
func (r *Row) Spec() (Spec, error) {
	s := Spec{
		Name: r.Name, Ports: r.Ports, Inspectors: r.Inspectors, FailOpen: r.FailMode == "open",
		ProbeInterval: time.Duration(r.ProbeInterval) * time.Millisecond, Anywhere: r.Node == "",
	}
	if n := len(r.Name); n == 0 || n > maxName {
		return s, fmt.Errorf("name: %d bytes: want 1 to %d", n, maxName)
	}
	if (r.Inspectors[0] == "") != (r.Inspectors[1] == "") {
		return s, fmt.Errorf("inspector0, inspector1: an inspector has two ports, one on each side: want both or none")
	}
	if err := distinct(&s); err != nil {
		return s, err
	}
	switch {
	case r.FailMode != "open" && r.FailMode != "closed":
		return s, fmt.Errorf("fail_mode: %.64q: want open or closed", r.FailMode)
	case s.FailOpen && !s.Inspected():
		return s, fmt.Errorf("fail_mode: open without an inspector: there is none that could fail")
	case r.ProbeInterval != 0 && !s.Inspected():
		return s, fmt.Errorf("probe_interval: there is no inspector to probe")
	case r.ProbeInterval != 0 && (r.ProbeInterval < minInterval || r.ProbeInterval > maxInterval):
		return s, fmt.Errorf("probe_interval: %d: want %d to %d milliseconds", r.ProbeInterval, minInterval, maxInterval)
	}
	return s, nil
}

func distinct(s *Spec) error {
	columns := [...]string{"port0", "port1", "inspector0", "inspector1"}
	seen := make(map[string]string)
	for i, port := range s.all() {
		if n := len(port); n == 0 || n > maxName {
			return fmt.Errorf("%s: %d bytes: want 1 to %d", columns[i], n, maxName)
		}
		if first := seen[port]; first != "" {
			return fmt.Errorf("%s: %.64q is %s already", columns[i], port, first)
		}
		seen[port] = columns[i]
	}
	return nil
}
