package cli

import (
	"bytes"
	"fmt"
	"io"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/control"
)

// whyText explains in the order in which a person asks: is it offloaded, what
// does the reason mean, which check decided.
func whyText(w io.Writer, t flows.Tuple, e *control.Explanation) error {
	var b bytes.Buffer
	switch n := len(e.Entries); n {
	case 0:
		fmt.Fprintf(&b, "%s is NOT OFFLOADED: %s\n", arrow(t), because(e.Reason, ""))
		writeMeaning(&b, e.Reason, e.Detail)
	case 1:
	default:
		fmt.Fprintf(&b, "%s has %d conntrack entries, %d offloaded.\n", arrow(t), n, countOffloaded(e))
	}
	for i := range e.Entries {
		if len(e.Entries) > 1 {
			fmt.Fprintln(&b)
		}
		entryText(&b, &e.Entries[i])
	}
	if len(e.Checks) > 0 {
		fmt.Fprintln(&b, "\nThe agent as a whole:")
		checkTable(e.Checks).write(&b, "  ")
	}
	_, err := w.Write(b.Bytes())
	return err
}

func entryText(b *bytes.Buffer, e *control.Entry) {
	fmt.Fprintf(b, "%s (zone %d) %s: %s\n", arrow(e.Key.Tuple), e.Key.Zone, headline(e), clean(because(e.Reason, "")))
	writeMeaning(b, e.Reason, e.Detail)
	fmt.Fprintf(b, "  Conntrack entry %d, %s; %s; verdict %s.\n", e.Key.ID, orientation(e.Dir), followed(e), verdict(e.Verdict))
	if len(e.Checks) > 0 {
		fmt.Fprintln(b, "  Checks, in order:")
		checkTable(e.Checks).write(b, "    ")
	}
}

func headline(e *control.Entry) string {
	switch e.State {
	case control.StateOffloaded:
		return "is OFFLOADED"
	case control.StateResolving, control.StateInstalling:
		return "is NOT YET OFFLOADED"
	case control.StateAdopting:
		return "is BEING ADOPTED: its rules are in the eswitch, and judged again"
	case control.StateRemoving:
		return "is LEAVING THE ESWITCH"
	default:
		return "is NOT OFFLOADED"
	}
}

func writeMeaning(b *bytes.Buffer, r flows.Reason, detail string) {
	if m := meaning(r); m != "" {
		fmt.Fprintf(b, "  %s\n", m)
	}
	if detail != "" {
		fmt.Fprintf(b, "  Found: %s\n", clean(detail))
	}
}

func orientation(d flows.Dir) string {
	if d == flows.Reply {
		return "opened from the other end than asked"
	}
	return "opened in the direction asked"
}

func followed(e *control.Entry) string {
	switch {
	case !e.Followed:
		return "not followed, read just now"
	case e.Session != 0:
		return fmt.Sprintf("state %s, session %s", e.State, e.Session)
	default:
		return "state " + e.State.String()
	}
}

// checkTable makes the check that decided stand out without colour.
func checkTable(checks []control.Check) *table {
	t := &table{right: []bool{false, false, false}}
	for _, c := range checks {
		t.rows = append(t.rows, []string{resultText(c.Result), c.Name, c.Detail})
	}
	return t
}

func resultText(r control.Result) string {
	switch r {
	case control.ResultFailed:
		return "FAILED"
	case control.ResultUnknown:
		return "UNKNOWN"
	case control.ResultNotReached:
		return "not reached"
	default:
		return r.String()
	}
}
