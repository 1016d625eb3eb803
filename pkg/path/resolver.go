package path

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/ofproto"
	"github.com/flowshunt/flowshunt/pkg/tap"
)

// Config says how a resolver works. Judge is required.
type Config struct {
	Judge    Forwarder
	Wires    []Wire // beside those of SetWires
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
	judge  Forwarder
	ports  atomic.Pointer[Ports]
	wires  atomic.Pointer[wires]
	seen   *Sightings
	syns   syns
	wanted *Wanted
}

// NewResolver returns a resolver that knows no port yet.
func NewResolver(cfg Config) *Resolver {
	r := &Resolver{cfg: cfg, seen: NewSightings(cfg.MaxSightings), syns: newSyns(), wanted: NewWanted(cfg.Found)}
	r.judge = detour{cfg.Judge, r}
	r.ports.Store(NewPorts(nil))
	r.SetWires(nil)
	return r
}

// SetWires replaces the wires. Where one has a port in common with one of Config.Wires, that
// does not count.
func (r *Resolver) SetWires(list []Wire) { r.wires.Store(newWires(list, r.cfg.Wires)) }

// SetPorts replaces the ports. What was seen at ports that are not among them
// is forgotten.
func (r *Resolver) SetPorts(ports *Ports) {
	r.ports.Store(ports)
	known := func(id flows.PortID) bool { return ports.byID[id] != nil }
	r.seen.Retain(known)
	r.syns.store.retain(known)
}

// Sighted takes a packet that a tap saw. Packets of unknown ports are ignored.
func (r *Resolver) Sighted(s tap.Sighting) {
	port := r.ports.Load().byID[s.Port]
	if port == nil {
		return
	}
	at := r.wires.Load().places[port.Name]
	if at.wire != nil && at.wire.inspected() {
		r.syns.add(&s)
	}
	if at.inspector && s.Tuple.Proto == flows.TCP && s.TCPFlags&(tap.SYN|tap.FIN|tap.RST) != 0 {
		return // an inspector lets a handshake through before it knows what to think, and ends itself what it blocks
	}
	r.seen.Add(s)
	r.wanted.Sighted(s.Tuple, s.Port)
}

// Left takes that OVS has learned stations elsewhere, or has forgotten them: what ports sent
// from them before tells nothing any more, neither where they are nor that two ports are
// rivals. What they send from now on does; and in other VLANs
// they are where they were.
func (r *Resolver) Left(ports []flows.PortID, stations map[ofproto.StationKey]bool) {
	known := r.ports.Load()
	for _, id := range ports {
		if p := known.byID[id]; p != nil {
			r.seen.Left(p, stations)
		}
	}
}

// Sampling returns the ports at which packets should be sampled now, because a
// path was refused for want of them during the last seconds.
func (r *Resolver) Sampling(now flows.Instant) []Port {
	bridges, all := r.wanted.Bridges(now)
	ports := r.ports.Load()
	joined := false // what was seen at one bridge is answered at another one, it may be
	for bridge := range bridges {
		joined = joined || ports.joined[bridge]
	}
	return slices.DeleteFunc(ports.All(), func(p Port) bool {
		return !all && !bridges[p.Bridge] && !(joined && ports.joined[p.Bridge])
	})
}

// Resolve finds the path of a connection. An error is a *Refusal, or says that OVS
// cannot be asked.
func (r *Resolver) Resolve(ctx context.Context, req Request, now flows.Instant) (Answer, error) {
	orig := req.Key.Tuple
	if !orig.IsValid() {
		return Answer{}, refuse(flows.Invalid, "the tuple has no two addresses of one family")
	}
	ports := r.ports.Load()
	if refusal := r.hopeless(req, ports); refusal != nil {
		return Answer{}, refusal
	}
	e, err := r.evidence(ctx, ports, req, now)
	if err != nil {
		return Answer{}, err
	}
	if err := r.ask(ctx, e, req, now); err != nil {
		return Answer{}, err
	}
	p, refusal := r.explain(e, ports, req.stand())
	if refusal == nil {
		refusal = r.unfit(p, ports, req.Silent, now)
	}
	if refusal != nil {
		if refusal.missing {
			lacks := cmp.Or(refusal.lacks, &lack{bridge: e.bridge(), seen: e.seen()})
			for _, name := range namesOf(req)[flows.Orig] { // its packets can be seen under any of them
				r.wanted.want(name, *lacks, now)
			}
		}
		return Answer{}, refusal
	}
	return answer(p), nil
}

func (r *Resolver) evidence(ctx context.Context, ports *Ports, req Request, now flows.Instant) (*evidence, error) {
	var e evidence
	for dir, names := range namesOf(req) {
		for _, tuple := range names {
			sides, disbelief := believe(ports, r.wires.Load(), tuple, r.seen.Seen(tuple, now))
			told, err := r.unfold(ctx, sides, flows.Dir(dir), req.States, now)
			if err != nil {
				return nil, err
			}
			if len(told) < len(sides) {
				disbelief = "; no flow of the datapath tells in which tunnel they come"
			}
			e.sides[dir] = append(e.sides[dir], told...)
			if disbelief != "" {
				e.disbelief = disbelief
			}
		}
		e.sides[dir] = oneEach(e.sides[dir])
	}
	return &e, nil
}

// unfold tells apart in which tunnels packets come that were seen at a tunnel's device,
// where that was not seen with them.
func (r *Resolver) unfold(ctx context.Context, sides []side, dir flows.Dir, states []flows.ZoneState, now flows.Instant) (all []side, err error) {
	for _, s := range sides {
		if !s.port.IsTunnel() || !s.Tunnel.IsZero() {
			all = append(all, s)
			continue
		}
		tunnels, err := r.judge.Tunnels(ctx, s.question(dir, states), now)
		if err != nil {
			return nil, err
		}
		for _, tunnel := range tunnels {
			s.Tunnel = flows.RefTo(tunnel)
			all = append(all, s)
		}
	}
	return all, nil
}

// ask completes the evidence by what OVS does with such packets.
func (r *Resolver) ask(ctx context.Context, e *evidence, req Request, now flows.Instant) error {
	if n := max(len(e.sides[0]), len(e.sides[1])); n > maxSides {
		return refuse(flows.PathAmbiguous, "seen in %d ways", n)
	}
	for dir := range e.sides {
		for i := range e.sides[dir] {
			if err := r.askSide(ctx, &e.sides[dir][i], flows.Dir(dir), req.States, now); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Resolver) askSide(ctx context.Context, s *side, dir flows.Dir, states []flows.ZoneState, now flows.Instant) error {
	var err error
	s.goes, err = r.judge.Forward(ctx, s.question(dir, states), now)
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		s.refusal = refusal
		return nil
	}
	return err
}

// explain returns the one pair that explains an entry.
func (r *Resolver) explain(e *evidence, ports *Ports, entry flows.Stand) (pair, *Refusal) {
	if !e.complete() {
		return pair{}, r.incomplete(e, ports)
	}
	pairs := e.possible(r.wires.Load(), ports)
	inZone := slices.DeleteFunc(slices.Clone(pairs), func(p pair) bool {
		return p.refusal() == nil && !slices.Contains(p.stands(), entry)
	})
	switch {
	case len(pairs) == 0:
		return pair{}, r.unrelated(e)
	case len(inZone) == 0:
		return pair{}, missing(flows.ZoneUnknown, "the entry stands in zone %d, OVS tracks %s in %v", entry.Zone, pairs[0], pairs[0].zones())
	case len(inZone) > 1:
		return pair{}, refuse(flows.PathAmbiguous, "seen between %s, but also between %s", inZone[0], inZone[1])
	}
	return inZone[0], inZone[0].refusal()
}

// incomplete says why there is no evidence for one direction. If OVS sends the
// packets of the other one to a port that cannot be used, that is the reason.
func (r *Resolver) incomplete(e *evidence, ports *Ports) *Refusal {
	for dir, sides := range e.sides {
		for _, s := range sides {
			if s.refusal != nil {
				return s.refusal
			}
			to := ports.byID[s.goes.Out]
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

// unrelated says why no pair explains a connection that was seen both ways.
func (r *Resolver) unrelated(e *evidence) *Refusal {
	for dir, sides := range e.sides {
		dropped := 0
		for _, s := range sides {
			if s.refusal != nil && s.refusal.Reason == flows.PathDropped {
				dropped++
			}
		}
		if dropped == len(sides) {
			r := refuse(flows.PathDropped, "%s packets at %s: %s", flows.Dir(dir), sides[0], sides[0].refusal.Detail)
			r.missing = sides[0].port.Bond != "" // they may come in at another member by now
			return r
		}
	}
	return missing(flows.PathUnknown, "the packets seen so far do not belong together%s", e.disbelief)
}

// unfit returns why the one explanation of a connection cannot become its path,
// nil if it can.
func (r *Resolver) unfit(p pair, ports *Ports, silent [2]bool, now flows.Instant) *Refusal {
	a, b := p.ports()
	for _, port := range []*Port{a, b} {
		if reason := Usable(*port, r.cfg.Selected); reason != "" {
			return refuse(reason, "port %s", port.Name)
		}
	}
	if a.joined(b) {
		return refuse(flows.UnsupportedHairpin, "both directions enter %s", a.Name)
	}
	for _, s := range p.sides {
		if misfits := misfit(s.port, s.Frame, ports.byID[s.goes.Out], &s.goes); misfits != nil {
			return misfits
		}
	}
	if w := r.wires.Load().between(a, b); w != nil {
		return r.passed(w, p, ports, silent, now)
	}
	for _, s := range p.sides {
		if rival := r.rival(s, ports, now); rival != nil {
			return refuse(flows.PathAmbiguous, "both %s and %s sent from %s", s.port.Name, rival.Name, s.SrcMAC)
		}
	}
	return nil
}

// rival returns another port of the same network that lately sent from the MAC of s
// and may be believed. Where the CMS says whose the MAC is, there is none.
func (r *Resolver) rival(s side, ports *Ports, now flows.Instant) *Port {
	if s.port.AttachedMAC == s.SrcMAC { // else it has none: believe
		return nil
	}
	var rival *Port
	wires := r.wires.Load()
	r.seen.claims(s.SrcMAC, now, func(id flows.PortID, tags flows.Tags) {
		p := ports.byID[id]
		switch {
		case p == nil || p.joined(s.port) || p.Bridge != s.port.Bridge || wires.isInspector(p):
		case vlanOf(p, tags) != vlanOf(s.port, s.Tags):
		case !p.AttachedMAC.IsZero() && p.AttachedMAC != s.SrcMAC:
		case rival == nil || p.ID < rival.ID:
			rival = p
		}
	})
	return rival
}

func answer(p pair) Answer {
	a := Answer{Stands: p.stands(), DSCP: p.sides[flows.Orig].DSCP}
	for dir, s := range p.sides {
		a.Tuples[dir] = s.tuple
		a.Paths[dir] = s.path()
	}
	a.Inspected = p.sides[0].goes.Inspected && p.sides[1].goes.Inspected
	a.Plain = p.sides[0].goes.Plain && p.sides[1].goes.Plain && a.Paths.IsPlain()
	return a
}
