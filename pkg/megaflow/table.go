package megaflow

import (
	"math/bits"
	"math/rand/v2"
	"slices"
)

// Table is a Source made of flows: a search among tuples, as the kernel's own
// (net/openvswitch/flow_table.c). All flows with one mask are in one hash table,
// and there are few masks; those of one port are fewer still, and OVS has each flow
// match its port exactly. A Table does not change and is safe for concurrent use.
type Table struct {
	tiers map[tier][]*group
	rest  []*group // of flows that match several tiers
}

// tier is what the flows of a group have in common beside the mask.
type tier struct{ recirc, port uint32 }

// group has the flows of one mask.
type group struct {
	index Key     // the part of the mask by which flows are found
	words []uint8 // of index that are not 0
	mask  []uint8 // the words of the mask that are not 0
	flows map[uint64][]*Flow
}

// volatile are the fields that are not known of all packets: no flow is found by
// them.
var volatile = [...]Field{SkbPriority, SkbMark, DPHash, IPTOS, IPTTL, IPv6Label, TCPFlags}

// indexed are the bits of all other fields.
var indexed = func() (k Key) {
	for f := range numFields {
		if all := full(f); !slices.Contains(volatile[:], f) {
			for i := range k {
				k[i] |= all[i]
			}
		}
	}
	return k
}()

// NewTable returns a Table of flows. It keeps pointers to them.
func NewTable(all []Flow) *Table {
	t := &Table{tiers: make(map[tier][]*group)}
	type place struct {
		tier
		exact bool
		mask  Key
	}
	groups := make(map[place]*group)
	for i := range all {
		m := &all[i].Match
		at := place{mask: m.Mask}
		at.tier, at.exact = tierOf(&m.Key, &m.Mask)
		g := groups[at]
		if g == nil {
			g = newGroup(&m.Mask)
			groups[at] = g
			if at.exact {
				t.tiers[at.tier] = append(t.tiers[at.tier], g)
			} else {
				t.rest = append(t.rest, g)
			}
		}
		h := g.hash(&m.Key)
		g.flows[h] = append(g.flows[h], &all[i])
	}
	return t
}

// tierOf returns the tier that a key is in, if the bits that count tell it.
func tierOf(k, mask *Key) (t tier, exact bool) {
	if mask.Uint(RecircID) != 1<<32-1 || mask.Uint(InPort) != 1<<32-1 {
		return tier{}, false
	}
	return tier{uint32(k.Uint(RecircID)), uint32(k.Uint(InPort))}, true
}

func newGroup(mask *Key) *group {
	g := &group{flows: make(map[uint64][]*Flow)}
	for i := range mask {
		if g.index[i] = mask[i] & indexed[i]; g.index[i] != 0 {
			g.words = append(g.words, uint8(i))
		}
		if mask[i] != 0 {
			g.mask = append(g.mask, uint8(i))
		}
	}
	return g
}

// seed keeps those who choose the addresses of packets from choosing hashes too.
var seed = rand.Uint64()

// hash returns the hash of a key under g.index.
func (g *group) hash(k *Key) uint64 {
	h := seed
	for _, i := range g.words {
		high, low := bits.Mul64(h^k[i]&g.index[i], 0x9e3779b97f4a7c15)
		h = high ^ low
	}
	return h
}

// Lookup returns the flow that matches a packet whatever its unknown bits are. It
// looks at all flows that can match: where those do not agree, the flows do not
// tell. OVS does not make flows that overlap and differ (OVS_FLOW_CMD_NEW leaves it
// to its caller), but a list of them is read while they change.
func (t *Table) Lookup(p *Packet) (*Flow, error) {
	s := search{p: p, complete: p.complete()}
	at, exact := tierOf(&p.Key, &p.Known)
	if !exact {
		return nil, unknown("depends on " + InPort.String())
	}
	s.groups(t.tiers[at])
	s.groups(t.rest)
	return s.answer()
}

// complete reports whether all is known by which flows are found.
func (p *Packet) complete() bool {
	for i, all := range indexed {
		if all&^p.Known[i] != 0 {
			return false
		}
	}
	return true
}
