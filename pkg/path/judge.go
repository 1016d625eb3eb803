package path

import (
	"context"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/tap"
)

// judge returns why the one explanation of a connection cannot become its path,
// nil if it can.
func (r *Resolver) judge(ctx context.Context, p pair, ports *Ports, now flows.Instant) *Refusal {
	a, b := p.ports()
	for _, port := range []*Port{a, b} {
		if reason := Usable(*port, r.cfg.Selected); reason != "" {
			return refuse(reason, "port %s", port.Name)
		}
	}
	for _, s := range p.sides {
		if s.VLAN.Tagged() {
			return refuse(flows.UnsupportedVLAN, "packets enter %s with VLAN tag %d", s.port.Name, s.VLAN.ID())
		}
	}
	if a.HasZone != b.HasZone {
		return refuse(flows.ZoneUnknown, "only one of %s and %s has a known zone", a.Name, b.Name)
	}
	if p.wire {
		return nil
	}
	if refusal := sameNetwork(p); refusal != nil {
		return refusal
	}
	table, err := r.cfg.FDB.Table(ctx, a.Bridge, now)
	if err != nil {
		return refuse(flows.PathUnknown, "forwarding database: %v", err)
	}
	for _, s := range p.sides {
		if refusal := r.located(s, table, ports, now); refusal != nil {
			return refusal
		}
	}
	return nil
}

// sameNetwork refuses pairs that are not two ports of one layer 2 network.
func sameNetwork(p pair) *Refusal {
	a, b := p.ports()
	switch {
	case a == b:
		return refuse(flows.UnsupportedHairpin, "both directions enter %s", a.Name)
	case !p.mirrored():
		return refuse(flows.UnsupportedRouted, "MACs change between %s", p)
	case a.Bridge != b.Bridge:
		return refuse(flows.UnsupportedBridges, "%s is on %s, %s on %s", a.Name, a.Bridge, b.Name, b.Bridge)
	case a.Trunk || b.Trunk:
		return refuse(flows.UnsupportedVLAN, "%s or %s is a trunk", a.Name, b.Name)
	case a.Tag != b.Tag:
		return refuse(flows.UnsupportedVLAN, "%s has tag %d, %s has tag %d", a.Name, a.Tag, b.Name, b.Tag)
	default:
		return nil
	}
}

// located refuses a side unless OVS, too, has its source MAC at its port, and
// nothing else lately did as if it were that station.
func (r *Resolver) located(s side, table *Table, ports *Ports, now flows.Instant) *Refusal {
	attached := s.port.AttachedMAC == s.SrcMAC // else it has none: believe
	if rival := r.rival(s, ports, now); !attached && rival != nil {
		return refuse(flows.PathAmbiguous, "both %s and %s sent from %s", s.port.Name, rival.Name, s.SrcMAC)
	}
	station, ok := table.Lookup(s.port.Tag, s.SrcMAC)
	switch {
	case !ok && !attached:
		return missing(flows.PathUnknown, "OVS does not know where %s is, which %s sent from", s.SrcMAC, s.port.Name)
	case ok && station.Ofport != s.port.Ofport:
		return refuse(flows.PathAmbiguous, "%s sent from %s, which OVS has at OpenFlow port %d",
			s.port.Name, s.SrcMAC, station.Ofport)
	default:
		return nil
	}
}

// rival returns another port of the same network that sent from the MAC of s
// and may be believed.
func (r *Resolver) rival(s side, ports *Ports, now flows.Instant) *Port {
	var rival *Port
	r.seen.claims(s.SrcMAC, now, func(id flows.PortID, tag tap.VLAN) {
		p := ports.byID[id]
		switch {
		case p == nil || p == s.port || p.Bridge != s.port.Bridge:
		case vlanOf(p, tag) != s.port.Tag:
		case !p.AttachedMAC.IsZero() && p.AttachedMAC != s.SrcMAC:
		case rival == nil || p.ID < rival.ID:
			rival = p
		}
	})
	return rival
}

// Recheck returns why a path that Resolve gave must not be used any longer, nil
// if it may. It needs no packets, which is why it cannot replace Resolve: a MAC
// that aged out of the FDB while the eswitch forwards its packets is no
// contradiction, one that is at another port now is.
func (r *Resolver) Recheck(ctx context.Context, paths flows.Paths, now flows.Instant) *Refusal {
	ports := r.ports.Load()
	var p pair
	for dir, path := range paths {
		port := ports.byID[path.In]
		if port == nil {
			return refuse(flows.PortGone, "port id %d", path.In)
		}
		if reason := Usable(*port, r.cfg.Selected); reason != "" {
			return refuse(reason, "port %s", port.Name)
		}
		p.sides[dir] = side{port, Observation{Port: path.In, SrcMAC: path.SrcMAC, DstMAC: path.DstMAC}}
	}
	a, b := p.ports()
	if onWires(r.cfg.Wires, a, b) {
		return nil
	}
	if refusal := sameNetwork(p); refusal != nil {
		return refuse(flows.PathChanged, "%s", refusal.Detail)
	}
	for _, s := range p.sides {
		if believed, why := believe(ports, r.cfg.Wires, []Observation{s.Observation}); len(believed) == 0 {
			return refuse(flows.PathChanged, "%s%s", s.port.Name, why)
		}
	}
	table, err := r.cfg.FDB.Table(ctx, a.Bridge, now)
	if err != nil {
		return refuse(flows.PathUnknown, "forwarding database: %v", err)
	}
	for _, s := range p.sides {
		station, ok := table.Lookup(s.port.Tag, s.SrcMAC)
		if ok && station.Ofport != s.port.Ofport {
			return refuse(flows.PathChanged, "OVS has %s at OpenFlow port %d now, no longer at %s",
				s.SrcMAC, station.Ofport, s.port.Name)
		}
	}
	return nil
}
