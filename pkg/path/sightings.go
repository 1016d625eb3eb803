package path

import (
	"cmp"
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/ofproto"
	"github.com/flowshunt/flowshunt/pkg/tap"
)

// How much is remembered by default, and for how long it counts. Full, with the
// indices, this takes 35 MB (measured).
const (
	DefaultMaxSightings = 1 << 17
	maxClaims           = 1 << 15
	maxEach             = 4 // sets of MACs of one tuple at one port

	sightingAge = time.Minute
	claimAge    = 15 * time.Second // so long two ports are rivals for a MAC
)

// Sightings remembers with which MACs packets of each tuple entered which
// ports, and which ports sent from which MAC. Two different answers for one
// tuple are both kept: that is the ambiguity. It is bounded, and a port that
// floods it loses what it saw first. Methods may be called concurrently.
type Sightings struct {
	tuples *store[flows.Tuple, flows.Frame]
	macs   *store[flows.MAC, flows.Tags]
}

// Observation is one way in which packets of a tuple entered.
type Observation struct {
	Port flows.PortID
	flows.Frame
	DSCP flows.DSCP // of the last of them
	Last flows.Instant
}

// NewSightings returns an empty memory for max sightings; 0 means
// DefaultMaxSightings.
func NewSightings(max int) *Sightings {
	return &Sightings{
		tuples: newStore[flows.Tuple, flows.Frame](cmp.Or(max, DefaultMaxSightings), maxEach),
		macs:   newStore[flows.MAC, flows.Tags](maxClaims, maxEach),
	}
}

// Add remembers a packet.
func (s *Sightings) Add(t tap.Sighting) {
	from := origin{t.Port, cmp.Or(t.Seen, t.Port)}
	s.tuples.addCoded(t.Tuple, from, t.Frame, t.DSCP, t.At)
	s.macs.add(t.SrcMAC, from, t.Tags, t.At)
}

// Seen returns how packets of a tuple entered during the last minute, in the
// order of ports and MACs.
func (s *Sightings) Seen(tuple flows.Tuple, now flows.Instant) []Observation {
	var buffer [8]found[flows.Frame]
	items := s.tuples.lookup(buffer[:0], tuple, now.Add(-sightingAge))
	seen := make([]Observation, 0, len(items))
	for _, i := range items {
		seen = append(seen, Observation{i.port, i.value, i.code, i.last})
	}
	slices.SortFunc(seen, func(a, b Observation) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), slices.Compare(a.SrcMAC[:], b.SrcMAC[:]),
			slices.Compare(a.DstMAC[:], b.DstMAC[:]), compareTags(a.Tags, b.Tags))
	})
	return seen
}

func compareTags(a, b flows.Tags) int {
	return slices.CompareFunc(a[:], b[:], func(a, b flows.Tag) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Priority, b.Priority))
	})
}

// claims calls yield for each port that sent from mac during the last minutes.
func (s *Sightings) claims(mac flows.MAC, now flows.Instant, yield func(flows.PortID, flows.Tags)) {
	var buffer [8]found[flows.Tags]
	for _, c := range s.macs.lookup(buffer[:0], mac, now.Add(-claimAge)) {
		yield(c.port, c.value)
	}
}

// Retain forgets the sightings of all ports but those that keep names.
func (s *Sightings) Retain(keep func(flows.PortID) bool) {
	s.tuples.retain(keep)
	s.macs.retain(keep)
}

// Left forgets what a port sent from stations, each in its VLAN.
func (s *Sightings) Left(p *Port, stations map[ofproto.StationKey]bool) {
	left := func(mac flows.MAC, tags flows.Tags) bool {
		return stations[ofproto.StationKey{VLAN: vlanOf(p, tags), MAC: mac}]
	}
	s.tuples.forget(p.ID, func(_ flows.Tuple, f flows.Frame) bool { return left(f.SrcMAC, f.Tags) })
	s.macs.forget(p.ID, left)
}

// Len returns the number of sightings that are remembered, old ones included.
func (s *Sightings) Len() int { return s.tuples.len() }
