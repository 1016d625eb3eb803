package path

import (
	"context"

	"github.com/flowshunt/flowshunt/flows"
)

// Validation asks whether a path that Resolve gave is still what OVS does.
type Validation struct {
	Tuple  flows.Tuple // of the original direction
	Paths  flows.Paths
	States []flows.ZoneState // of all entries with the tuple
}

// Validate confirms a path, without any packet. An error is a *Refusal that says why
// it must not be used any longer, or says that OVS cannot be asked.
func (r *Resolver) Validate(ctx context.Context, v Validation, now flows.Instant) (Answer, error) {
	var p pair
	ports := r.ports.Load()
	for dir, path := range v.Paths {
		s, refusal := r.standing(ports, path)
		if refusal != nil {
			return Answer{}, refusal
		}
		p.sides[dir] = s
	}
	a, b := p.ports()
	if anyWire(r.cfg.Wires, a, b) && !onWires(r.cfg.Wires, a, b) {
		return Answer{}, refuse(flows.PathChanged, "%s and %s are not the ends of one wire", a.Name, b.Name)
	}
	req := Request{Key: flows.EntryKey{Tuple: v.Tuple}, Reply: v.Tuple.Reverse(), States: v.States}
	for dir := range p.sides {
		s := &p.sides[dir]
		if err := r.askSide(ctx, s, flows.Dir(dir), req, now); err != nil {
			return Answer{}, err
		}
		if s.refusal != nil {
			return Answer{}, s.refusal
		}
		if other := p.sides[flows.Dir(dir).Opposite()].port; s.goes.Out != other.ID {
			return Answer{}, refuse(flows.PathChanged, "OVS sends what enters %s to %s now, no longer to %s",
				s, ports.name(s.goes.Out), other.Name)
		}
	}
	return answer(p), nil
}

// standing returns the side of a path whose port can still be used for it.
func (r *Resolver) standing(ports *Ports, path flows.Path) (side, *Refusal) {
	port := ports.byID[path.In]
	if port == nil {
		return side{}, refuse(flows.PortGone, "port id %d", path.In)
	}
	if reason := Usable(*port, r.cfg.Selected); reason != "" {
		return side{}, refuse(reason, "port %s", port.Name)
	}
	o := Observation{Port: path.In, SrcMAC: path.SrcMAC, DstMAC: path.DstMAC}
	believed, why := believe(ports, r.cfg.Wires, []Observation{o})
	if len(believed) == 0 {
		return side{}, refuse(flows.PathChanged, "%s%s", port.Name, why)
	}
	return believed[0], nil
}
