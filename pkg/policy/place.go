package policy

import "github.com/flowshunt/flowshunt/flows"

// place is a port, and the rules with a condition on ports that it meets.
type place struct {
	port Port
	outcome
}

// WithPorts returns t with other ports: all there are. What has not changed since t costs
// nothing but its copy.
func (t *Table) WithPorts(ports []Port) *Table {
	n := *t
	n.places = t.resolve(ports, t.places)
	return &n
}

// resolve judges ports; those in known were judged by the same rules.
func (r *ruleset) resolve(ports []Port, known map[flows.PortID]place) map[flows.PortID]place {
	places := make(map[flows.PortID]place, len(ports))
	b := newBuilder(len(r.rules))
	for _, p := range ports {
		if old, ok := known[p.ID]; ok && old.port.equal(&p) {
			places[p.ID] = old
			continue
		}
		places[p.ID] = place{p, r.judge(b, &p)}
	}
	return places
}

func (r *ruleset) judge(b *builder, p *Port) outcome {
	if len(r.ports) == 0 {
		return surely(r.none)
	}
	may, sure := b.none(), b.none()
	for i := range r.ports {
		of := &r.ports[i]
		result := of.match.matches(p)
		for _, rule := range of.rules {
			if result != no {
				may.add(rule)
			}
			if result == yes {
				sure.add(rule)
			}
		}
	}
	return outcome{b.keep(may), b.keep(sure)}
}

// portsOf returns the ports that t was made with.
func (t *Table) portsOf() []Port {
	ports := make([]Port, 0, len(t.places))
	for _, p := range t.places {
		ports = append(ports, p.port)
	}
	return ports
}
