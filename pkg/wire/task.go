package wire

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/openflow"
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

// numbers are the OpenFlow ports of a bridge, by name as far as the bridge tells it.
type numbers map[string]openflow.Port

// nameLen is how much of a name OpenFlow has room for.
const nameLen = 15

func numbersOf(list []openflow.Port) numbers {
	ports := make(numbers, len(list))
	for _, p := range list {
		if _, twice := ports[p.Name]; twice {
			p.Number = 0 // two long names that begin alike: it could be either
		}
		ports[p.Name] = p
	}
	return ports
}

func (n numbers) of(name string) openflow.Port { return n[name[:min(len(name), nameLen)]] }

// missing says which of some ports are not there; empty: all are.
func (n numbers) missing(bridge string, names [2]string) string {
	for _, name := range names {
		if n.of(name).Number == 0 {
			return fmt.Sprintf("%s has no port %s", bridge, name)
		}
	}
	return ""
}

// unlinked says which of some ports has no link; empty: all have.
func (n numbers) unlinked(bridge string, names [2]string) string {
	if text := n.missing(bridge, names); text != "" {
		return text
	}
	for _, name := range names {
		switch p := n.of(name); {
		case p.Config&openflow.PortDown != 0:
			return name + " is down"
		case p.State&openflow.PortLinkDown != 0:
			return name + " has no link"
		}
	}
	return ""
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
