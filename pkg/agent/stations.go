package agent

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/ofproto"
)

// How often OVS is asked whether its bridges have learned or forgotten a MAC; and the
// share of mac-aging-time after which one that sessions come from is refreshed.
const (
	stationsEvery = 250 * time.Millisecond
	refreshShare  = 2
)

// stations watches the forwarding databases (FDB) of bridges: a MAC that moved is a
// change of the path to it, and one that OVS does not hear of because its packets go
// past it would be forgotten, and packets to it flooded.
type stations struct {
	fdb     *ofproto.FDB
	bridges func() []bridgeFacts
	doubts  *doubts
	seen    evidence
	loop    *loop
	health  *component

	known map[string]*bridgeStations
}

// evidence is what forgets where stations were; *path.Resolver is one.
type evidence interface {
	Left(ports []flows.PortID, stations map[ofproto.StationKey]bool)
}

// bridgeStations is what was seen of one bridge.
type bridgeStations struct {
	stats  ofproto.FDBStats
	unread ofproto.FDBStats // when the table was not to be had
	table  *ofproto.Table
	aged   time.Time               // when ages were last looked at
	told   map[flows.MAC]time.Time // when each was last told to be ageing
}

func (s *stations) run(ctx context.Context) error {
	s.known = make(map[string]*bridgeStations)
	for ctx.Err() == nil {
		began := time.Now()
		s.look(ctx)
		took := time.Since(began)
		// A fifth of OVS's time at most, but an OVS that hung is not left alone for long.
		pause(ctx, max(stationsEvery-took, min(4*took, time.Second)))
	}
	return nil
}

func (s *stations) look(ctx context.Context) {
	facts := s.bridges()
	current := make(map[string]*bridgeStations, len(facts))
	var errs []error
	for _, b := range facts {
		known := s.known[b.name]
		if known == nil {
			known = &bridgeStations{told: make(map[flows.MAC]time.Time), aged: time.Now()}
		}
		current[b.name] = known
		errs = append(errs, s.lookAt(ctx, b, known))
	}
	s.known = current
	if err := errors.Join(errs...); err == nil {
		s.health.ok()
	} else if ctx.Err() == nil {
		s.health.failed(err)
	}
}

func (s *stations) lookAt(ctx context.Context, b bridgeFacts, known *bridgeStations) error {
	stats, err := s.fdb.Stats(ctx, b.name)
	if err != nil {
		// A new ovs-vswitchd has forgotten what the old one knew, and may have learned as
		// much again since: the counters would not tell.
		known.table, known.stats = nil, ofproto.FDBStats{}
	}
	if errors.Is(err, ofproto.ErrBridge) {
		return nil // the database is ahead of ovs-vswitchd, or behind it
	}
	if err != nil {
		return err
	}
	due := time.Since(known.aged) > max(b.ageing/10, time.Second)
	if known.table != nil && stats == known.stats && !due {
		return nil
	}
	table, err := s.fdb.Table(ctx, b.name)
	if err != nil {
		if stats != known.stats && stats != known.unread && ctx.Err() == nil {
			known.unread = stats // some station is elsewhere, nobody knows which
			s.raise(b, nil)
		}
		return err
	}
	if known.table == nil {
		s.raise(b, nil) // what happened before is not known
	} else {
		s.compare(b, known.table, table)
	}
	known.stats, known.table = stats, table
	if due {
		known.aged = time.Now()
		s.refresh(ctx, b, known)
	}
	return nil
}

// compare raises a doubt about packets to stations that are not where they were, after what
// taps saw of them there was forgotten. Where nobody knows which those are, nothing is: until it
// is too old, it makes paths ambiguous.
func (s *stations) compare(b bridgeFacts, before, after *ofproto.Table) {
	if left := setOf(ofproto.Left(before, after)); len(left) > 0 {
		s.seen.Left(b.ports, left)
	}
	if moved := setOf(ofproto.Moved(before, after)); len(moved) > 0 {
		s.raise(b, moved)
	}
}

func setOf[T comparable](list []T) map[T]bool {
	set := make(map[T]bool, len(list))
	for _, one := range list {
		set[one] = true
	}
	return set
}

// raise doubts packets to some stations, or with nil to all.
func (s *stations) raise(b bridgeFacts, to map[flows.MAC]bool) {
	if len(b.ports) > 0 {
		s.doubts.raise("fdb", engine.PathsDoubted{Ports: b.ports, Stations: to})
	}
}

// refresh tells which stations of sessions OVS has not heard of for too long.
func (s *stations) refresh(ctx context.Context, b bridgeFacts, known *bridgeStations) {
	old := known.table.OlderThan(b.ageing / refreshShare)
	if len(old) == 0 {
		return
	}
	var at sources
	err := s.loop.ask(ctx, func(e *engine.Engine) { at = sourcesOf(e) })
	if err != nil {
		return
	}
	for mac, told := range known.told {
		if time.Since(told) > b.ageing {
			delete(known.told, mac)
		}
	}
	for _, mac := range old {
		if time.Since(known.told[mac]) < b.ageing/10 {
			continue
		}
		for _, port := range at[mac] {
			known.told[mac] = time.Now()
			s.loop.post(engine.MACAgeing{Port: port, MAC: mac})
		}
	}
}

// sources are the ports where packets come in from a station; and where they go out as if
// they came from it, since behind a router OVS has learned that one's MAC from them.
type sources map[flows.MAC][]flows.PortID

func sourcesOf(e *engine.Engine) sources {
	at := make(sources)
	e.EachPath(func(_ flows.SessionID, paths flows.Paths) {
		for _, p := range paths {
			at.add(p.SrcMAC, p.In)
			if router := p.Leaves().SrcMAC; router != p.SrcMAC {
				at.add(router, p.Out)
			}
		}
	})
	return at
}

func (s sources) add(mac flows.MAC, port flows.PortID) {
	if !slices.Contains(s[mac], port) {
		s[mac] = append(s[mac], port)
	}
}
