package cli

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/control"
)

// What fits on one screen.
const (
	maxProblems = 6
	maxPorts    = 6
)

func statusTable(w io.Writer, st *control.Status, allPorts bool) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s: flowshunt %s, %s, up %s\n", readiness(st), clean(st.Version), modeText(st), span(st.Uptime))
	writeProblems(&b, problems(st))
	for _, t := range []*table{componentTable(st), budgetTable(st), eswitchTable(st), wireTable(st)} {
		if len(t.rows) > 0 {
			fmt.Fprintln(&b)
			t.write(&b, "")
		}
	}
	fmt.Fprintf(&b, "\n%s\n", dumpText(st))
	writePorts(&b, st, allPorts)
	_, err := w.Write(b.Bytes())
	return err
}

func readiness(st *control.Status) string {
	if st.Ready {
		return "READY"
	}
	return "NOT READY"
}

func modeText(st *control.Status) string {
	if st.ObserveReason != "" {
		return "mode " + st.Mode.String() + " (but only observes)"
	}
	return "mode " + st.Mode.String()
}

func writeProblems(w io.Writer, list []string) {
	if len(list) == 0 {
		fmt.Fprintln(w, "no problems")
		return
	}
	for i, p := range list {
		if i == maxProblems && len(list) > maxProblems+1 {
			fmt.Fprintf(w, "  ! %d more: flowshuntctl show --ports, or --format=json\n", len(list)-i)
			return
		}
		fmt.Fprintf(w, "  ! %s\n", clean(p))
	}
}

func componentTable(st *control.Status) *table {
	t := &table{heads: []string{"COMPONENT", "HEALTH", "FOR", "LAST ERROR"}, right: []bool{false, false, true, false}}
	for _, c := range st.Components {
		last := c.LastError
		if last != "" && !c.LastErrorAt.IsZero() {
			last = since(st.Now, c.LastErrorAt) + " ago: " + last
		}
		t.rows = append(t.rows, []string{c.Name, c.Health.String(), since(st.Now, c.Since), last})
	}
	return t
}

func budgetTable(st *control.Status) *table {
	t := &table{heads: []string{"BUDGET", "UNIT", "USED", "LIMIT"}, right: []bool{false, false, true, true}}
	for _, b := range st.Budgets {
		limit := "none"
		if b.Limit > 0 {
			limit = fmt.Sprint(b.Limit)
		}
		t.rows = append(t.rows, []string{b.Name, b.Unit, fmt.Sprint(b.Used), limit})
	}
	return t
}

func eswitchTable(st *control.Status) *table {
	t := &table{
		heads: []string{"ESWITCH", "RULES", "BELIEVED", "LEARNED", "WAITING", "REFUSED", "INSTALLING", "PER SECOND"},
		right: []bool{false, true, true, true, true, true, true, true},
	}
	for _, e := range st.Tables {
		name, believed, learned := eswitchName(e.Eswitch), "-", "-"
		if e.Believed > 0 {
			believed = fmt.Sprint(e.Believed)
		}
		if !e.LearnedAt.IsZero() {
			learned = since(st.Now, e.LearnedAt) + " ago"
		}
		t.rows = append(t.rows, []string{name, fmt.Sprint(e.Rules), believed, learned, fmt.Sprint(e.Waiting),
			fmt.Sprint(e.Refused), fmt.Sprintf("%d of %d", e.Installing, e.Window), fmt.Sprintf("%.0f", e.PerSecond)})
	}
	return t
}

func wireTable(st *control.Status) *table {
	t := &table{heads: []string{"WIRE", "STATE", "FOR", "PORTS", "INSPECTOR", "FAIL MODE", "ZONES", "DETAIL"}, right: []bool{false, false, true, false, false, false, false, false}}
	for _, w := range st.Wires {
		inspector, mode, zones := "-", "-", "-"
		if w.Inspectors[0] != "" {
			inspector, mode = w.Inspectors[0]+","+w.Inspectors[1], failMode(&w)
		}
		if w.Zones[0] != 0 {
			zones = fmt.Sprintf("%d,%d", w.Zones[0], w.Zones[1])
		}
		t.rows = append(t.rows, []string{w.Name, w.State, since(st.Now, w.Since), w.Ports[0] + "," + w.Ports[1], inspector, mode, zones, wireDetail(&w)})
	}
	return t
}

func failMode(w *control.Wire) string {
	if w.FailOpen {
		return "open"
	}
	return "closed"
}

func wireDetail(w *control.Wire) string {
	if w.Detail != "" && w.Problem != "" {
		return w.Detail + "; " + w.Problem
	}
	return w.Detail + w.Problem
}

func eswitchName(id flows.EswitchID) string { return cmp.Or(string(id), "software") }

func dumpText(st *control.Status) string {
	d := st.LastDump
	if d == (control.Dump{}) {
		return "conntrack was not read yet"
	}
	return fmt.Sprintf("last full read of conntrack: %s in %s, %s ago",
		plural(int(d.Entries), "entry", "entries"), span(d.Took), since(st.Now, d.At))
}

func writePorts(w io.Writer, st *control.Status, all bool) {
	fmt.Fprintf(w, "ports: %s\n", portCounts(st.Ports))
	t := &table{
		heads: []string{"PORT", "BRIDGE", "USABLE", "REASON", "SESSIONS", "CANDIDATES"},
		right: []bool{false, false, false, false, true, true},
	}
	nic := slices.ContainsFunc(st.Ports, onNIC)
	if nic {
		t.heads, t.right = append(t.heads, "ESWITCH", "FUNCTION"), append(t.right, false, false)
	}
	t.heads, t.right = append(t.heads, "DETAIL"), append(t.right, false)
	shown := len(st.Ports)
	if !all {
		shown = min(shown, maxPorts)
	}
	for _, p := range st.Ports[:shown] {
		row := []string{p.Name, p.Bridge, yesNo(p.Usable), string(p.Reason), fmt.Sprint(p.Sessions), fmt.Sprint(p.Candidates)}
		if nic {
			row = append(row, shortEswitch(p.Eswitch), functionText(&p))
		}
		t.rows = append(t.rows, append(row, p.Detail))
	}
	if shown > 0 {
		t.write(w, "")
	}
	if rest := len(st.Ports) - shown; rest > 0 {
		fmt.Fprintf(w, "%s: flowshuntctl show --ports\n", plural(rest, "more port", "more ports"))
	}
}

// onNIC reports whether a port is one of an eswitch, whether that executes its rules
// or not.
func onNIC(p control.Port) bool { return p.Eswitch != "" || p.Function != "" }

// shortEswitch leaves out the middle of a long id.
func shortEswitch(id flows.EswitchID) string {
	if len(id) <= 12 {
		return string(id)
	}
	return string(id[:4] + ".." + id[len(id)-4:])
}

// functionText marks a representor whose driver may not take rules.
func functionText(p *control.Port) string {
	if !onNIC(*p) || p.HWTCOffload == "" || strings.HasPrefix(p.HWTCOffload, "on") {
		return p.Function
	}
	return strings.TrimPrefix(p.Function+", hw-tc-offload "+p.HWTCOffload, ", ")
}

func portCounts(ports []control.Port) string {
	counts := [3]int{}
	for i := range ports {
		counts[portRank(&ports[i])]++
	}
	parts := []string{fmt.Sprintf("%d in use", counts[1])}
	if counts[0] > 0 {
		parts = append(parts, fmt.Sprintf("%d refused", counts[0]))
	}
	if counts[2] > 0 {
		parts = append(parts, fmt.Sprintf("%d left out", counts[2]))
	}
	return strings.Join(parts, ", ")
}
