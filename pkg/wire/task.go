package wire

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
)

// Bridge is what must be known of a bridge, beside what it says itself.
type Bridge struct {
	Name   string
	Ports  []string // interfaces
	Owner  string   // who removes flows from it that he did not make, in words; empty: nobody
	Secure bool     // fail_mode is secure: without flows it forwards nothing
}

// task is a wire, or the part of one, that a bridge shall have.
type task struct {
	Spec
	broken string // why it cannot work; empty: it can
	owner  string
	risk   string // see Status.Problem
	home   bool   // the state of the wire is told from here
	// absent are those of its ports that the bridge does not have, and OpenFlow could take for others.
	absent []string
}

// assign distributes wires over bridges. Away are those that none can have.
func assign(specs []Spec, bridges []Bridge) (tasks map[string][]task, away []Status) {
	tasks = make(map[string][]task)
	home := make(map[string]*Bridge)
	for i := range bridges {
		for _, port := range bridges[i].Ports {
			home[port] = &bridges[i]
		}
	}
	wired := make(map[string]bool)
	for i := range specs {
		for _, port := range specs[i].all() {
			wired[port] = true
		}
	}
	for _, s := range specs {
		var on []*Bridge
		var told []string
		for _, port := range s.all() {
			if b := home[port]; b != nil {
				told = append(told, port+" in "+b.Name)
				if !slices.Contains(on, b) {
					on = append(on, b)
				}
			}
		}
		if len(on) == 0 {
			if !s.Anywhere {
				away = append(away, Status{Spec: s, Detail: fmt.Sprintf("no bridge has a port %s", strings.Join(s.all(), ", "))})
			}
			continue
		}
		for i, b := range on {
			t := task{Spec: s, owner: b.Owner, home: i == 0, risk: riskOf(&s, b, wired)}
			for _, port := range s.all() {
				if len(port) > nameLen && home[port] != b {
					t.absent = append(t.absent, port)
				}
			}
			if len(on) > 1 {
				t.broken = "its ports are in several bridges: " + strings.Join(told, ", ")
			}
			tasks[b.Name] = append(tasks[b.Name], t)
		}
	}
	return tasks, away
}

// riskOf says what a bridge may do to a wire beside its flows.
func riskOf(s *Spec, b *Bridge, wired map[string]bool) string {
	var risks []string
	if !b.Secure && s.Inspected() && !s.FailOpen {
		risks = append(risks, b.Name+" has no fail_mode=secure: after a restart of ovs-vswitchd packets pass the inspector by until the wire's flows are back")
	}
	// its own device, of its name, is a port too
	if i := slices.IndexFunc(b.Ports, func(port string) bool { return !wired[port] && port != b.Name }); i >= 0 {
		risks = append(risks, fmt.Sprintf("%s has ports that are of no wire (%s): what they flood reaches the wire, unless its ports are set to no-flood", b.Name, b.Ports[i]))
	}
	return strings.Join(risks, "; ")
}

// plan returns what a bridge shall do about the task, and why where that is not what a wire is
// for.
func (t *task) plan(bridge string, n numbers, h *health, zones [2]flows.Zone) (p plan, detail string) {
	p = plan{name: t.Name, zones: zones, probed: t.Inspected()}
	for e := range 2 {
		p.ports[e] = n.of(t.Ports[e]).Number
		if t.Inspected() {
			p.inspectors[e] = n.of(t.Inspectors[e]).Number
		}
	}
	if detail = t.broken; detail == "" {
		detail = n.missing(bridge, t.Ports)
	}
	switch {
	case detail != "":
		return p, detail
	case !t.Inspected():
		p.state = Through
	case !h.away:
		p.state = Inspected
	case t.FailOpen:
		p.state, detail = Open, h.why
	default:
		p.state, detail = Closed, h.why
	}
	return p, detail
}
