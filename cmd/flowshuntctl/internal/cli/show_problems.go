package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/control"
)

// leftOut reports whether a port is out of use because somebody wanted that, or
// because no port of its kind is ever used: every bridge has one of those.
func leftOut(p *control.Port) bool {
	switch p.Reason {
	case flows.PortOff, flows.PortUnchosen, flows.UnsupportedInternal, flows.UnsupportedPatch, flows.UnsupportedTunnel:
		return true
	}
	return false
}

// portRank orders ports: those that are wrong, those in use, those left out.
func portRank(p *control.Port) int {
	switch {
	case p.Usable:
		return 1
	case leftOut(p):
		return 2
	default:
		return 0
	}
}

func sortPorts(ports []control.Port) {
	slices.SortFunc(ports, func(a, b control.Port) int {
		return cmp.Or(portRank(&a)-portRank(&b), cmp.Compare(b.Sessions, a.Sessions),
			cmp.Compare(a.Bridge, b.Bridge), cmp.Compare(a.Name, b.Name))
	})
}

// problems are what an operator should look at, the worst first. Ports are to be
// sorted.
func problems(st *control.Status) []string {
	var out []string
	for i := range st.Components {
		if c := &st.Components[i]; c.Health != control.HealthOK {
			out = append(out, componentProblem(st, c))
		}
	}
	if !st.Ready && len(out) == 0 {
		out = append(out, "the agent is not ready, although no component says why: see its log")
	}
	if st.ObserveReason != "" {
		out = append(out, "enforce is configured, but the agent only observes: "+because(st.ObserveReason, st.ObserveDetail))
	}
	for _, b := range st.Budgets {
		if b.Limit > 0 && b.Used >= b.Limit {
			out = append(out, fmt.Sprintf("budget %s is used up: %d of %d %s", b.Name, b.Used, b.Limit, b.Unit))
		}
	}
	for _, e := range st.Tables {
		for _, s := range e.Shut {
			out = append(out, fmt.Sprintf("%s refuses %s", eswitchName(e.Eswitch), s))
		}
	}
	for i := range st.Wires {
		if w := &st.Wires[i]; wireDetail(w) != "" {
			out = append(out, fmt.Sprintf("wire %s: %s: %s", w.Name, w.State, wireDetail(w)))
		}
	}
	return append(out, portProblems(st.Ports)...)
}

// portProblems has one line for all ports with the same complaint.
func portProblems(ports []control.Port) []string {
	var order []string
	names := map[string][]string{}
	for i := range ports {
		p := &ports[i]
		if portRank(p) != 0 {
			continue
		}
		why := because(p.Reason, p.Detail)
		if names[why] == nil {
			order = append(order, why)
		}
		names[why] = append(names[why], p.Name)
	}
	for i, why := range order {
		order[i] = fmt.Sprintf("%s: %s", portList(names[why]), why)
	}
	return order
}

func portList(names []string) string {
	const most = 4
	list := strings.Join(names[:min(len(names), most)], ", ")
	switch {
	case len(names) == 1:
		return "port " + list
	case len(names) > most:
		list += ", ..."
	}
	return fmt.Sprintf("%d ports (%s)", len(names), list)
}

func componentProblem(st *control.Status, c *control.Component) string {
	s := fmt.Sprintf("%s: %s", c.Name, c.Health)
	if !c.Since.IsZero() {
		s += fmt.Sprintf(" for %s (since %s)", since(st.Now, c.Since), moment(c.Since))
	}
	if c.LastError != "" {
		s += ": " + c.LastError
	}
	return s
}

// because joins a reason and its detail.
func because(r flows.Reason, detail string) string {
	if r == "" {
		r = "no reason given"
	}
	if detail == "" {
		return string(r)
	}
	return fmt.Sprintf("%s (%s)", r, detail)
}
