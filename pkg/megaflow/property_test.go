package megaflow

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// rule is one of a list by priority, as OpenFlow has them.
type rule struct {
	match   Match
	actions []Action
}

// pipeline is a rule list for each recirculation id.
type pipeline [4][]rule

// scene is a random pipeline, the megaflows that packets left behind, and a packet
// of a connection.
type scene struct {
	flows    []Flow
	packet   Packet
	conn     Connection
	volatile bool // some flow matches on what is not known of packets
}

func newScene(rnd *rand.Rand) *scene {
	t := flows.Tuple{Src: addr(rnd), Dst: addr(rnd), SrcPort: uint16(rnd.IntN(2)), DstPort: uint16(rnd.IntN(2)), Proto: flows.TCP}
	s := &scene{conn: Connection{Tuple: t, States: []flows.ZoneState{zone(1, t, flows.Dir(rnd.IntN(2))), zone(2, t, flows.Dir(rnd.IntN(2)))}}}
	s.conn.States[0].Mark, s.conn.States[1].Mark = rnd.Uint32N(2), rnd.Uint32N(4)
	s.packet = NewPacket(1, flows.Frame{SrcMAC: flows.MAC{2, 5: 1}, DstMAC: flows.MAC{2, 5: 2}}, t)
	wild := rnd.IntN(2) == 0
	var p pipeline
	for id := range p {
		p[id] = s.rules(rnd, wild)
	}
	// our packet in several completions, and others, leave megaflows behind
	for range 12 {
		k := complete(rnd, s.packet)
		if rnd.IntN(2) == 0 {
			other := randomRule(rnd, true, 3).match
			for i := range k {
				k[i] = k[i]&^other.Mask[i] | other.Key[i]
			}
			k.SetUint(RecircID, 0)
		}
		s.leave(rnd, &p, k)
	}
	rnd.Shuffle(len(s.flows), func(i, j int) { s.flows[i], s.flows[j] = s.flows[j], s.flows[i] })
	if len(s.flows) > 2 && rnd.IntN(4) == 0 { // idle ones go
		s.flows = s.flows[1:]
	}
	if len(s.flows) > 0 && rnd.IntN(8) == 0 {
		s.flows[0].Unknown, s.volatile = "something", true
	}
	for i := range s.flows {
		for _, f := range volatile {
			// only FIN, SYN and RST are asked for below
			s.volatile = s.volatile || f != TCPFlags && s.flows[i].Match.Mask.Uint(f) != 0
		}
		s.volatile = s.volatile || s.flows[i].Match.Mask.Uint(TCPFlags)&^finSynRst != 0
	}
	return s
}

// leave follows a packet and adds the megaflow of each pass: a match of all that was
// looked at until a rule was found. So flows overlap only where they do the same.
func (s *scene) leave(rnd *rand.Rand, p *pipeline, k Key) {
	for range 8 {
		var f Flow
		f.Match.Mask = full(RecircID)
		for _, r := range p[k.Uint(RecircID)] {
			hit := true
			for i := range k {
				f.Match.Mask[i] |= r.match.Mask[i]
				hit = hit && (k[i]^r.match.Key[i])&r.match.Mask[i] == 0
			}
			if hit {
				f.Actions = r.actions
				break
			}
		}
		if rnd.IntN(2) == 0 {
			port := full(InPort)
			for i := range port {
				f.Match.Mask[i] |= port[i]
			}
		}
		for i := range k {
			f.Match.Key[i] = k[i] & f.Match.Mask[i]
		}
		if !slices.ContainsFunc(s.flows, func(old Flow) bool { return old.Match == f.Match }) {
			s.flows = append(s.flows, f)
		}
		next := interpreter{rnd: rnd, conn: s.conn, steps: 60}
		id := -1
		for _, a := range f.Actions {
			if r, ok := a.(Recirc); ok {
				id = int(r.ID)
				continue
			}
			if ct, ok := a.(CT); ok {
				next.ct(ct, &k)
			} else if _, ok := a.(CTClear); ok {
				clearCT(&k)
			}
		}
		if id < 0 {
			return
		}
		k.SetUint(RecircID, uint64(id))
	}
}

func (s *scene) rules(rnd *rand.Rand, wild bool) []rule {
	var all []rule
	for range rnd.IntN(5) {
		all = append(all, randomRule(rnd, wild, 1+rnd.IntN(2)))
	}
	last := randomRule(rnd, wild, 0)
	return append(all, last)
}

func randomRule(rnd *rand.Rand, wild bool, fields int) (r rule) {
	kinds := 10
	if wild {
		kinds = 14
	}
	for range fields {
		switch v := rnd.Uint64(); rnd.IntN(kinds) {
		case 0:
			r.match.SetUint(InPort, 1+v%2, ^uint64(0))
		case 1:
			r.match.SetUint(EthDst, 0x020000000000+v%3, 0xff)
		case 2:
			r.match.SetUint(TPDst, v%2, 0xffff)
		case 3:
			r.match.SetUint(TPSrc, v%2, 0xfffe|v&1)
		case 4:
			r.match.SetUint(CTState, v&0x2a, 0x2a)
		case 5:
			r.match.SetUint(CTMark, v%4, 0x3)
		case 6:
			r.match.SetUint(CTZone, v%3, 0xffff)
		case 7:
			r.match.SetWide(IPSrc, [16]byte{12: 10, 15: byte(v % 4)}, [16]byte{12: 255, 15: byte(v>>8) & 3})
		case 8:
			r.match.SetWide(CTIPDst, [16]byte{12: 10, 15: byte(v % 4)}, [16]byte{15: 3})
		case 9:
			r.match.SetUint(TCPFlags, v&(v>>8)&7, 7)
		case 10:
			r.match.SetUint(IPTTL, v%3, 0xff)
		case 11:
			r.match.SetUint(IPTOS, v%3, 0x3)
		case 12:
			r.match.SetUint(SkbMark, v%3, 0x1)
		case 13:
			r.match.SetUint(TCPFlags, v&0x10, 0x10)
		}
	}
	r.actions = randomActions(rnd)
	return r
}

func randomActions(rnd *rand.Rand) (all []Action) {
	for range rnd.IntN(3) {
		switch rnd.IntN(12) {
		case 0:
			all = append(all, CTClear{})
		case 1:
			all = append(all, CT{Zone: 1, Commit: true, Mark: rnd.Uint32N(2), MarkMask: 1})
		case 2:
			all = append(all, CT{Zone: 2, Commit: true, Force: true})
		case 3:
			all = append(all, CT{Zone: flows.Zone(1 + rnd.IntN(3)), NAT: true, NATSrc: rnd.IntN(3) == 0})
		default:
			all = append(all, CT{Zone: flows.Zone(1 + rnd.IntN(2))})
		}
	}
	switch rnd.IntN(20) {
	case 0:
		all = append(all, Unsupported{flows.UnsupportedVLAN, "pop_vlan"}, Output{2})
	case 1:
		all = append(all, Output{2}, Output{3})
	case 2:
		all = append(all, Output{2}, Recirc{1})
	case 3: // dropped
	case 4, 5, 6, 7, 8, 9:
		all = append(all, Recirc{uint32(1 + rnd.IntN(3))})
	default:
		all = append(all, Output{uint32(1 + rnd.IntN(4))})
	}
	return all
}

// tally is what a run of scenes came to.
type tally struct {
	paths, refused, unknown int
	wrong                   string // the first disagreement
}

// run composes the packets of n scenes and compares with their execution. build
// makes the source under test, and conn what it is told of the connection.
func run(seed uint64, n int, build func([]Flow) Source, conn func(Connection) Connection) (c tally) {
	for i := range n {
		rnd := rand.New(rand.NewPCG(seed, uint64(i)))
		s := newScene(rnd)
		path, err := Compose(build(s.flows), s.packet, conn(s.conn))
		switch {
		case err == nil:
			c.paths++
		case errors.Is(err, ErrUnknown):
			c.unknown++
		default:
			c.refused++
		}
		for range 8 {
			in := interpreter{rnd: rnd, flows: s.flows, conn: s.conn}
			k := complete(rnd, s.packet)
			in.packet(k)
			clean := in.odd == "" && len(in.out) == 1
			switch {
			case err == nil && !in.is(path):
				c.wrong = fmt.Sprintf("scene %d: composed %+v, executed %+v", i, path, in.outcome)
			case err != nil && clean && !s.volatile:
				c.wrong = fmt.Sprintf("scene %d: %v, executed %+v, and nothing is unknown", i, err, in.outcome)
			default:
				continue
			}
			return c
		}
	}
	return c
}

func unchanged(c Connection) Connection { return c }

func honest(all []Flow) Source { return NewTable(all) }

// TestExecution: where a path is composed, every packet takes it; and where flows
// ask for nothing that is unknown, what is executed cleanly is composed.
// FLOWSHUNT_SEED repeats a run.
func TestExecution(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("FLOWSHUNT_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("FLOWSHUNT_SEED=%d", seed)
	n := 10_000
	c := run(seed, n, honest, unchanged)
	if c.wrong != "" {
		t.Fatal(c.wrong)
	}
	t.Logf("%d paths, %d refused, %d unknown", c.paths, c.refused, c.unknown)
	if c.paths < n/10 || c.refused < n/20 || c.unknown < n/20 {
		t.Error("too few of a kind to mean much")
	}
}

// lookup makes a Source of a function.
type lookup func(p *Packet) (*Flow, error)

func (l lookup) Lookup(p *Packet) (*Flow, error) { return l(p) }

// TestExecutionSeesMistakes: the comparison above fails for sources and
// compositions with a flaw.
func TestExecutionSeesMistakes(t *testing.T) {
	everything := Key{}
	for i := range everything {
		everything[i] = ^uint64(0)
	}
	for name, m := range map[string]struct {
		build func([]Flow) Source
		conn  func(Connection) Connection
	}{
		"unknown bits taken for 0": {func(all []Flow) Source {
			t := NewTable(all)
			return lookup(func(p *Packet) (*Flow, error) { return t.Lookup(&Packet{Key: p.Key, Known: everything}) })
		}, unchanged},
		"a condition that is unknown ignored": {func(all []Flow) Source {
			var less []Flow
			for _, f := range all {
				f.Match.Mask.SetUint(IPTTL, 0)
				f.Match.Key.SetUint(IPTTL, 0)
				less = append(less, f)
			}
			return firstOf(less)
		}, unchanged},
		"what is not understood ignored": {func(all []Flow) Source {
			var less []Flow
			for _, f := range all {
				f.Unknown = ""
				less = append(less, f)
			}
			return NewTable(less)
		}, unchanged},
		"direction": {honest, func(c Connection) Connection { return turned(c, 0, 1) }},
		"reversed entry": {honest, func(c Connection) Connection {
			return turned(c, 1)
		}},
		"mark": {honest, func(c Connection) Connection {
			states := slices.Clone(c.States)
			states[0].Mark = 0
			c.States = states
			return c
		}},
		"too cautious": {func(all []Flow) Source {
			t := NewTable(all)
			return lookup(func(p *Packet) (*Flow, error) {
				q := *p
				q.Known.SetUint(TPDst, 0)
				q.Key.SetUint(TPDst, 0)
				return t.Lookup(&q)
			})
		}, unchanged},
	} {
		if c := run(1, 20_000, m.build, m.conn); c.wrong == "" {
			t.Errorf("%s: not noticed", name)
		} else {
			t.Logf("%s: %s", name, c.wrong)
		}
	}
}

// turned has the states of some zones the other way round.
func turned(c Connection, which ...int) Connection {
	states := slices.Clone(c.States)
	for _, i := range which {
		states[i].Tuple, states[i].Reply = states[i].Reply, states[i].Tuple
	}
	c.States = states
	return c
}

// firstOf is a Source that takes the first flow of which nothing known says no.
func firstOf(all []Flow) Source {
	return lookup(func(p *Packet) (*Flow, error) {
	next:
		for i := range all {
			for j := range p.Key {
				if (p.Key[j]^all[i].Match.Key[j])&all[i].Match.Mask[j]&p.Known[j] != 0 {
					continue next
				}
			}
			return &all[i], nil
		}
		return nil, ErrUnknown
	})
}

func addr(rnd *rand.Rand) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(rnd.IntN(4))}) }
