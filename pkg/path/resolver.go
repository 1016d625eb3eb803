package path

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/tap"
)

// Tables gives the forwarding database of a bridge; *FDB is one.
type Tables interface {
	Table(ctx context.Context, bridge string, now flows.Instant) (*Table, error)
}

// Config says how a resolver works. FDB is required.
type Config struct {
	FDB      Tables
	Wires    []Wire
	Selected Selection
	// MaxSightings bounds the memory for packets; 0 means DefaultMaxSightings.
	MaxSightings int
	// Found is called when a packet of a connection was seen that Resolve had
	// refused for want of it; see NewWanted. It may be nil and must not block.
	Found func(orig flows.Tuple)
}

// Resolver finds paths. Its methods may be called concurrently.
type Resolver struct {
	cfg    Config
	ports  atomic.Pointer[Ports]
	seen   *Sightings
	wanted *Wanted
}

// NewResolver returns a resolver that knows no port yet.
func NewResolver(cfg Config) *Resolver {
	r := &Resolver{cfg: cfg, seen: NewSightings(cfg.MaxSightings), wanted: NewWanted(cfg.Found)}
	r.ports.Store(NewPorts(nil))
	return r
}

// SetPorts replaces the ports. What was seen at ports that are not among them
// is forgotten.
func (r *Resolver) SetPorts(ports *Ports) {
	r.ports.Store(ports)
	r.seen.Retain(func(id flows.PortID) bool { return ports.byID[id] != nil })
}

// Sighted takes a packet that a tap saw. Packets of unknown ports are ignored.
func (r *Resolver) Sighted(s tap.Sighting) {
	if r.ports.Load().byID[s.Port] == nil {
		return
	}
	r.seen.Add(s)
	r.wanted.Sighted(s.Tuple)
}

// Sampling returns the ports at which packets should be sampled now, because a
// path was refused for want of them during the last seconds.
func (r *Resolver) Sampling(now flows.Instant) []Port {
	bridges, all := r.wanted.Bridges(now)
	return slices.DeleteFunc(r.ports.Load().All(), func(p Port) bool { return !all && !bridges[p.Bridge] })
}

// Resolve finds the path of a connection. An error is a *Refusal, or the
// context's error.
func (r *Resolver) Resolve(ctx context.Context, req Request, now flows.Instant) (Answer, error) {
	orig := req.Key.Tuple
	if !orig.IsValid() {
		return Answer{}, refuse(flows.Invalid, "the tuple has no two addresses of one family")
	}
	if req.Reply != orig.Reverse() {
		return Answer{}, refuse(flows.UnsupportedNAT, "replies are addressed %s", req.Reply)
	}
	ports := r.ports.Load()
	e := r.evidence(ports, orig, now)
	p, refusal := r.explain(ctx, e, ports, req.Key.Zone, now)
	if refusal == nil {
		refusal = r.judge(ctx, p, ports, now)
	}
	if ctx.Err() != nil {
		return Answer{}, ctx.Err()
	}
	if refusal != nil {
		if refusal.missing {
			r.wanted.Want(orig, e.bridge(), e.seen(), now)
		}
		return Answer{}, refusal
	}
	return answer(p), nil
}

func (r *Resolver) evidence(ports *Ports, orig flows.Tuple, now flows.Instant) *evidence {
	var e evidence
	for dir, tuple := range [2]flows.Tuple{orig, orig.Reverse()} {
		sides, disbelief := believe(ports, r.cfg.Wires, r.seen.Seen(tuple, now))
		e.sides[dir] = sides
		if disbelief != "" {
			e.disbelief = disbelief
		}
	}
	return &e
}

// explain returns the one pair that explains the entry in a zone.
func (r *Resolver) explain(ctx context.Context, e *evidence, ports *Ports, zone flows.Zone, now flows.Instant) (pair, *Refusal) {
	if !e.complete() {
		return pair{}, r.incomplete(ctx, e, ports, now)
	}
	if n := max(len(e.sides[0]), len(e.sides[1])); n > maxSides {
		return pair{}, refuse(flows.PathAmbiguous, "seen in %d ways", n)
	}
	pairs, refusal := e.explanations(r.cfg.Wires)
	if refusal != nil {
		return pair{}, refusal
	}
	inZone := slices.DeleteFunc(slices.Clone(pairs), func(p pair) bool { return outOfZone(p, zone) })
	switch len(inZone) {
	case 0:
		return pair{}, missing(flows.ZoneUnknown, "the entry stands in zone %d, its tuple was seen elsewhere: %s", zone, pairs[0])
	case 1:
		return inZone[0], nil
	default:
		return pair{}, refuse(flows.PathAmbiguous, "seen between %s, but also between %s", inZone[0], inZone[1])
	}
}

// incomplete says why there is no evidence for one direction. If OVS sends the
// packets of the other one to a port that is not tapped, that is the reason.
func (r *Resolver) incomplete(ctx context.Context, e *evidence, ports *Ports, now flows.Instant) *Refusal {
	for dir, sides := range e.sides {
		for _, s := range sides {
			if anyWire(r.cfg.Wires, s.port, s.port) {
				continue
			}
			table, err := r.cfg.FDB.Table(ctx, s.port.Bridge, now)
			if err != nil {
				continue
			}
			station, ok := table.Lookup(vlanOf(s.port, s.VLAN), s.DstMAC)
			if !ok {
				continue
			}
			to := ports.byNum[numKey{s.port.Bridge, station.Ofport}]
			if to == nil {
				continue
			}
			if reason := Usable(*to, r.cfg.Selected); reason != "" {
				return refuse(reason, "%s packets enter %s; OVS sends them to %s", flows.Dir(dir), s, to.Name)
			}
		}
	}
	for dir, sides := range e.sides {
		if len(sides) == 0 {
			return missing(flows.PathUnknown, "no packet of the %s direction was seen%s", flows.Dir(dir), e.disbelief)
		}
	}
	return missing(flows.PathUnknown, "no packet was seen%s", e.disbelief)
}

// outOfZone reports whether the ports of p show that it is not the connection
// whose entry stands in zone.
func outOfZone(p pair, zone flows.Zone) bool {
	a, b := p.ports()
	return a.HasZone && b.HasZone && a.Zone != zone && b.Zone != zone
}

func answer(p pair) Answer {
	a, b := p.ports()
	var zones []flows.Zone
	if a.HasZone && b.HasZone {
		zones = []flows.Zone{a.Zone, b.Zone}
		slices.Sort(zones)
		zones = slices.Compact(zones)
	}
	var paths flows.Paths
	for dir, s := range p.sides {
		paths[dir] = flows.Path{In: s.port.ID, Out: p.sides[flows.Dir(dir).Opposite()].port.ID,
			SrcMAC: s.SrcMAC, DstMAC: s.DstMAC}
	}
	return Answer{Paths: paths, Zones: zones}
}
