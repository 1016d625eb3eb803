package megaflow

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// rule is one of a list by priority, as OpenFlow has them.
type rule struct {
	match   Match
	option  byte // the last one of the packet's, if it has any; 0: whatever it is
	actions []Action
}

// pipeline is a rule list for each recirculation id.
type pipeline [4][]rule

// scene is a random pipeline, the megaflows that packets left behind, and a packet
// of a connection.
type scene struct {
	rules    pipeline
	flows    []Flow
	packet   Packet
	conn     Connection
	volatile bool // some flow matches on what is not known of packets
	idle     bool // a flow is missing
}

func newScene(rnd *rand.Rand) *scene {
	t := randomTuple(rnd)
	s := &scene{conn: Connection{Tuple: t, States: randomStates(rnd, t)}}
	if rnd.IntN(3) > 0 {
		s.conn.MaxFrame = 1514
	}
	s.packet = NewPacket(1, randomFrame(rnd), t)
	wild := rnd.IntN(2) == 0
	for id := range s.rules {
		s.rules[id] = randomRules(rnd, wild)
	}
	// our packet in several completions, and others, leave megaflows behind
	for range 12 {
		k, options := complete(rnd, s.packet), s.packet.Options
		if rnd.IntN(2) == 0 {
			if options != "" {
				options = options[:7] + string(byte(1+rnd.IntN(3)))
			}
			other := randomRule(rnd, true, 3).match
			for i := range k {
				k[i] = k[i]&^other.Mask[i] | other.Key[i]
			}
			k.SetUint(RecircID, 0)
			k.SetUint(IPTTL, max(k.Uint(IPTTL), flows.MaxHops+1))
		}
		s.leave(rnd, k, options)
	}
	rnd.Shuffle(len(s.flows), func(i, j int) { s.flows[i], s.flows[j] = s.flows[j], s.flows[i] })
	if len(s.flows) > 2 && rnd.IntN(4) == 0 { // idle ones go
		s.flows, s.idle = s.flows[1:], true
	}
	if len(s.flows) > 0 && rnd.IntN(8) == 0 {
		s.flows[0].Unknown, s.volatile = "something", true
	}
	for i := range s.flows {
		for _, f := range volatile {
			// only FIN, SYN and RST are asked for below
			s.volatile = s.volatile || f != TCPFlags && s.flows[i].Match.Mask.Uint(f) != 0
		}
		s.volatile = s.volatile || s.flows[i].Match.Mask.Uint(TCPFlags)&^finSynRst != 0 || s.flows[i].Match.Mask.Uint(CTState)&csNAT != 0
	}
	return s
}

func randomTuple(rnd *rand.Rand) flows.Tuple {
	return flows.Tuple{Src: addr(rnd), Dst: addr(rnd), SrcPort: uint16(rnd.IntN(2)), DstPort: uint16(rnd.IntN(2)), Proto: flows.TCP}
}

// randomStates are entries of a connection whose packets are addressed by t first: in
// two zones, of which each may translate, in either direction.
func randomStates(rnd *rand.Rand, t flows.Tuple) (all []flows.ZoneState) {
	for zone := range flows.Zone(2) {
		to := t
		switch other := randomTuple(rnd); rnd.IntN(6) {
		case 0:
			to.Src, to.SrcPort = other.Src, other.SrcPort
		case 1:
			to.Dst, to.DstPort = other.Dst, other.DstPort
		case 2:
			to = other
		}
		s := flows.ZoneState{Zone: zone + 1, Tuple: t, Reply: to.Reverse(), Mark: rnd.Uint32N(4)}
		if rnd.IntN(2) == 0 { // ours is the reply direction
			s.Tuple, s.Reply = s.Reply, s.Tuple
		}
		all = append(all, s)
		if rnd.IntN(2) == 0 {
			t = to
		}
	}
	return all
}

func randomTag(rnd *rand.Rand) flows.Tag {
	types := [...]uint16{flows.TagCustomer, flows.TagProvider}
	return flows.Tag{Type: types[rnd.IntN(2)], ID: uint16(rnd.IntN(3)), Priority: uint8(rnd.IntN(2))}
}

func randomTunnel(rnd *rand.Rand) flows.Ref[flows.Tunnel] {
	return flows.RefTo(flows.Tunnel{Src: addr(rnd), Dst: addr(rnd), ID: rnd.Uint32N(3), Options: []string{"", "\x01\x02\x80\x01\x00\x01\x00" + string(byte(1+rnd.IntN(3)))}[rnd.IntN(2)]})
}

func randomFrame(rnd *rand.Rand) flows.Frame {
	f := flows.Frame{SrcMAC: flows.MAC{2, 5: 1}, DstMAC: flows.MAC{2, 5: 2}}
	for i := range rnd.IntN(3) {
		f.Tags[i] = randomTag(rnd)
	}
	if rnd.IntN(3) == 0 {
		f.Tunnel = randomTunnel(rnd)
	}
	return f
}

// find returns what is done with a packet.
func (p *pipeline) find(l *live) []Action {
	for _, r := range p[l.k.Uint(RecircID)] {
		if r.has(l) {
			return r.actions
		}
	}
	return nil
}

func (r *rule) has(l *live) bool {
	for i := range l.k {
		if (l.k[i]^r.match.Key[i])&r.match.Mask[i] != 0 {
			return false
		}
	}
	return r.option == 0 || l.options == "" || l.options[len(l.options)-1] == r.option
}

// leave follows a packet and adds the megaflow of each pass: a match of all that was
// looked at until a rule was found. So flows overlap only where they do the same. As OVS
// does, a flow that lowers a TTL matches it, and one that leads into a tunnel matches ECN.
func (s *scene) leave(rnd *rand.Rand, k Key, options string) {
	in := interpreter{rnd: rnd, conn: s.conn, quiet: rnd.IntN(2) == 0}
	l := in.start(k)
	l.options = options
	for range 8 {
		looked := false // at the options
		var f Flow
		f.Match.Mask = full(RecircID)
		for _, r := range s.rules[l.k.Uint(RecircID)] {
			for i := range k {
				f.Match.Mask[i] |= r.match.Mask[i]
			}
			looked = looked || r.option != 0
			if r.has(&l) {
				f.Actions = concrete(r.actions, &f.Match, l.k.Uint(IPTTL))
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
			f.Match.Key[i] = l.k[i] & f.Match.Mask[i]
		}
		if l.options != "" && looked {
			f.Match.SetOptions(l.options, strings.Repeat("\x00", len(l.options)-1)+"\xff")
		}
		f.Relax()
		if !slices.ContainsFunc(s.flows, func(old Flow) bool { return old.Match == f.Match }) {
			s.flows = append(s.flows, f)
		}
		var next *live
		in.again = func(l live) { next = &l }
		in.execute(f.Actions, l)
		if next == nil {
			return
		}
		l = *next
	}
}

// concrete says what a rule does as a datapath is told.
func concrete(actions []Action, m *Match, ttl uint64) (all []Action) {
	for _, a := range actions {
		switch d := a.(type) {
		case DecTTL:
			m.Mask.SetUint(IPTTL, 255)
			ttl -= uint64(d.N)
			a = SetUint(IPTTL, ttl, 255)
		case Encap, TunnelOutput:
			m.Mask.SetUint(IPTOS, m.Mask.Uint(IPTOS)|3)
		}
		all = append(all, a)
	}
	return all
}

func randomRules(rnd *rand.Rand, wild bool) []rule {
	var all []rule
	for range rnd.IntN(5) {
		all = append(all, randomRule(rnd, wild, 1+rnd.IntN(2)))
	}
	last := randomRule(rnd, wild, 0)
	return append(all, last)
}

func randomRule(rnd *rand.Rand, wild bool, fields int) (r rule) {
	kinds := 14
	if wild {
		kinds = 18
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
			r.match.SetUint(VLANTCI, 0x1000|v%3, 0x1fff)
		case 11:
			r.match.SetUint(InnerTCI, (v&1)<<12, 0x1000)
		case 12:
			r.match.SetUint(TunID, v%3, 0xff)
		case 13:
			r.match.SetUint(IPTTL, 0, 0xff) // as OVN does
		case 14:
			r.match.SetUint(CTState, v&0xc0, 0xc0)
		case 15:
			r.match.SetUint(IPTOS, v&4, 0x4)
		case 16:
			r.match.SetUint(SkbMark, v%3, 0x1)
		case 17:
			r.match.SetUint(TCPFlags, v&0x10, 0x10)
		}
	}
	if fields > 0 && rnd.IntN(6) == 0 {
		r.option = byte(1 + rnd.IntN(3))
	}
	r.actions = randomActions(rnd)
	return r
}

func randomActions(rnd *rand.Rand) (all []Action) {
	for range rnd.IntN(4) {
		all = append(all, randomAction(rnd))
	}
	switch rnd.IntN(24) {
	case 0:
		all = append(all, Unsupported{flows.UnsupportedAction, "meter(1)"}, Output{2})
	case 1:
		all = append(all, Output{2}, Output{3})
	case 2:
		all = append(all, Output{2}, Recirc{1})
	case 3: // dropped
	case 4:
		all = append(all, TunnelOutput{uint32(1 + rnd.IntN(4)), randomTunnel(rnd)})
	case 5, 6:
		c := CheckLength{uint16(1400 + rnd.IntN(200)), &Branches{Fits: []Action{PopVLAN{}, Output{uint32(1 + rnd.IntN(4))}}}}
		if rnd.IntN(4) == 0 {
			c.Longer = c.Fits
		}
		all = append(all, c)
	case 7, 8, 9, 10, 11, 12:
		all = append(all, Recirc{uint32(1 + rnd.IntN(3))})
	default:
		all = append(all, Output{uint32(1 + rnd.IntN(4))})
	}
	return all
}

func randomAction(rnd *rand.Rand) Action {
	switch rnd.IntN(24) {
	case 0:
		return CTClear{}
	case 1:
		return CT{Zone: 1, Commit: true, Mark: rnd.Uint32N(2), MarkMask: 1}
	case 2:
		return CT{Zone: 2, Commit: true, Force: true}
	case 3, 4:
		return CT{Zone: flows.Zone(1 + rnd.IntN(3)), NAT: true, NATSrc: rnd.IntN(3) == 0}
	case 5, 6, 7:
		return CT{Zone: flows.Zone(1 + rnd.IntN(2)), NAT: true, NATDst: rnd.IntN(4) == 0}
	case 8, 9:
		return PushVLAN{randomTag(rnd)}
	case 10, 11:
		return PopVLAN{}
	case 12:
		return SetUint([...]Field{EthSrc, EthDst}[rnd.IntN(2)], rnd.Uint64N(3), 0xffff00000003)
	case 13:
		return SetUint([...]Field{TPSrc, TPDst}[rnd.IntN(2)], rnd.Uint64N(2), 0xffff)
	case 14:
		return SetWide([...]Field{IPSrc, IPDst}[rnd.IntN(2)], [16]byte{12: 10, 15: byte(rnd.IntN(4))}, [16]byte{12: 255, 15: 3})
	case 15:
		return SetUint(IPTOS, 4, 4)
	case 16, 17, 18:
		return DecTTL{uint8(1 + rnd.IntN(2))}
	case 19:
		return Encap{randomTunnel(rnd)}
	default:
		return CT{Zone: flows.Zone(1 + rnd.IntN(2))}
	}
}

// tally is what a run of scenes came to.
type tally struct {
	paths, refused, unknown               int
	tagged, routed, tunnelled, translated int    // of the paths
	wrong                                 string // the first disagreement
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
			c.tagged += count(path.Leaves.Tags != s.packet.tags())
			c.routed += count(path.Hops > 0)
			c.tunnelled += count(!path.Leaves.Tunnel.IsZero())
			c.translated += count(path.Tuple != s.conn.Tuple)
		case errors.Is(err, ErrUnknown):
			c.unknown++
		default:
			c.refused++
		}
		for range 8 {
			in := interpreter{rnd: rnd, flows: s.flows, conn: s.conn, quiet: rnd.IntN(2) == 0}
			if rnd.IntN(2) == 0 {
				in.rules = &s.rules
			}
			k := complete(rnd, s.packet)
			if err == nil && path.Hops == 0 && rnd.IntN(2) == 0 { // no guard keeps these from a rule
				k.SetUint(IPTTL, rnd.Uint64N(flows.MaxHops+1))
			}
			l := in.start(k)
			l.options = s.packet.Options
			in.packet(l)
			clean := in.odd == "" && len(in.out) == 1
			switch {
			case err == nil && !in.is(path, in.first):
				c.wrong = fmt.Sprintf("scene %d: composed %+v, executed %+v", i, path, in.outcome)
			case err != nil && in.rules != nil: // the flows need not tell
				continue
			case err != nil && clean && !s.volatile && !errors.Is(err, ErrAnyTTL):
				c.wrong = fmt.Sprintf("scene %d: %v, executed %+v, and nothing is unknown", i, err, in.outcome)
			default:
				continue
			}
			return c
		}
	}
	return c
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
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
	t.Logf("%d paths (%d with other tags, %d routed, %d into tunnels, %d translated), %d refused, %d unknown",
		c.paths, c.tagged, c.routed, c.tunnelled, c.translated, c.refused, c.unknown)
	if c.paths < n/10 || c.refused < n/20 || c.unknown < n/20 || min(c.tagged, c.routed, c.tunnelled, c.translated) < n/100 {
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
			return lookup(func(p *Packet) (*Flow, error) {
				return t.Lookup(&Packet{Key: p.Key, Known: everything, Options: p.Options})
			})
		}, unchanged},
		"a condition that is unknown ignored": {func(all []Flow) Source {
			return firstOf(changed(all, func(f *Flow) {
				f.Match.Mask.SetUint(IPTOS, 0)
				f.Match.Key.SetUint(IPTOS, 0)
			}))
		}, unchanged},
		"tags ignored":       {doing(func(a Action) Action { return only[PushVLAN](a, CTClear{}) }), unchanged},
		"TTL lowered by one": {doing(func(a Action) Action { return only[DecTTL](a, DecTTL{1}) }), unchanged},
		"tunnel ignored":     {doing(func(a Action) Action { return only[Encap](a, PopVLAN{}) }), unchanged},
		"set ignored":        {doing(func(a Action) Action { return only[Set](a, DecTTL{}) }), unchanged},
		"length ignored":     {honest, func(c Connection) Connection { c.MaxFrame = 60; return c }},
		"options ignored": {func(all []Flow) Source {
			return NewTable(changed(all, func(f *Flow) { f.Match.Options = flows.Ref[Options]{} }))
		}, unchanged},
		"packets with few hops left taken for others": {func(all []Flow) Source {
			return NewTable(changed(all, func(f *Flow) { f.AnyTTL = false }))
		}, unchanged},
		"NAT where none is asked for": {doing(func(a Action) Action {
			if ct, ok := a.(CT); ok {
				ct.NAT = true
				return ct
			}
			return a
		}), unchanged},
		"translation ignored": {honest, func(c Connection) Connection {
			c.States = slices.Clone(c.States)
			for i, s := range c.States {
				if dir, _, ok := s.Translate(c.Tuple); ok && dir == flows.Orig {
					c.States[i].Reply = s.Tuple.Reverse()
				}
			}
			return c
		}},
		"what is not understood ignored": {func(all []Flow) Source {
			return NewTable(changed(all, func(f *Flow) { f.Unknown = "" }))
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

// changed returns flows of which each is another.
func changed(all []Flow, how func(*Flow)) (others []Flow) {
	for _, f := range all {
		how(&f)
		others = append(others, f)
	}
	return others
}

// doing makes sources of flows of which each action is another.
func doing(how func(Action) Action) func([]Flow) Source {
	return func(all []Flow) Source {
		return NewTable(changed(all, func(f *Flow) {
			f.Actions = slices.Clone(f.Actions)
			for i := range f.Actions {
				f.Actions[i] = how(f.Actions[i])
			}
		}))
	}
}

// only returns another action instead of those of a type.
func only[T Action](a, other Action) Action {
	if _, ok := a.(T); ok {
		return other
	}
	return a
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
