package path

import (
	"context"

	"github.com/flowshunt/flowshunt/flows"
)

// Validation asks whether a path that Resolve gave is still what OVS does.
type Validation struct {
	Tuples [2]flows.Tuple // by Dir, as packets come in
	Paths  flows.Paths
	States []flows.ZoneState // as in Request
}

// Validate confirms a path, without any packet. An error is a *Refusal that says why
// it must not be used any longer, or says that OVS cannot be asked.
func (r *Resolver) Validate(ctx context.Context, v Validation, now flows.Instant) (Answer, error) {
	var p pair
	ports := r.ports.Load()
	for dir, path := range v.Paths {
		s, refusal := r.standing(ports, path, v.Tuples[dir])
		if refusal != nil {
			return Answer{}, refusal
		}
		p.sides[dir] = s
	}
	a, b := p.ports()
	wires := r.wires.Load()
	wire := wires.between(a, b)
	if wire == nil && (wires.isEnd(a) || wires.isEnd(b)) {
		return Answer{}, refuse(flows.PathChanged, "%s and %s are not the ends of one wire", a.Name, b.Name)
	}
	for dir := range p.sides {
		s := &p.sides[dir]
		if err := r.askSide(ctx, s, flows.Dir(dir), v.States, now); err != nil {
			return Answer{}, err
		}
		if s.refusal != nil {
			return Answer{}, s.refusal
		}
		if refusal := changed(ports, s, v.Paths[dir]); refusal != nil {
			return Answer{}, refusal
		}
	}
	is := answer(p)
	is.Stands = beside(wire, p, is.Stands, v.States)
	return is, nil
}

// changed refuses a path if OVS does something else with its packets now.
func changed(ports *Ports, s *side, was flows.Path) *Refusal {
	is := s.path()
	switch {
	case is.Out != was.Out:
		return refuse(flows.PathChanged, "OVS sends what enters %s to %s now, no longer to %s", s, ports.name(is.Out), ports.name(was.Out))
	case is.Change != was.Change:
		return refuse(flows.PathChanged, "OVS changes what enters %s in another way now: %v, no longer %v", s, is.Change.Value(), was.Change.Value())
	}
	return misfit(s.port, s.Frame, ports.byID[is.Out], &s.goes)
}

// standing returns the side of a path whose port can still be used for it.
func (r *Resolver) standing(ports *Ports, path flows.Path, tuple flows.Tuple) (side, *Refusal) {
	port := ports.byID[path.In]
	if port == nil {
		return side{}, refuse(flows.PortGone, "port id %d", path.In)
	}
	if reason := Usable(*port, r.cfg.Selected); reason != "" {
		return side{}, refuse(reason, "port %s", port.Name)
	}
	o := Observation{Port: path.In, Frame: path.Frame}
	believed, why := believe(ports, r.wires.Load(), tuple, []Observation{o})
	if len(believed) == 0 {
		return side{}, refuse(flows.PathChanged, "%s%s", port.Name, why)
	}
	return believed[0], nil
}
