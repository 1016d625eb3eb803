package engine

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// lab is a world in which nothing goes wrong, made for measuring: elephants, and NICs
// that take their time and have an end. Conntrack is dumped each second, the NICs'
// counters are read twice a second.
type lab struct {
	t     testing.TB
	rng   *rand.Rand
	g     *Engine
	now   flows.Instant
	nics  []*nic
	herd  []*elephant
	of    map[flows.Tuple]*elephant
	event []Event
	turns int
	asked int           // paths that were looked for
	lag   time.Duration // from the end of a batch until what the answers lead to is there
}

// nic executes one batch after the other, removals first.
type nic struct {
	id       flows.EswitchID
	capacity int // rules; 0: unlimited
	foreign  int // rules of others
	perRule  time.Duration
	rules    map[flows.SessionID]*elephant
	queue    []Effect
	batch    []Effect // being executed, until
	until    flows.Instant
	answers  []answers
	adds     int // sessions that got in
	refused  []flows.Instant
	unable   bool          // it refuses every rule
	unableV6 bool          // or those for IPv6
	rigid    bool          // or those that change packets
	attempts int           // sessions that it was then asked for
	refresh  time.Duration // how late its counters are at most; 0: never
	told     flows.Instant // when they were last refreshed
}

// answers are those to a batch, on their way to the engine.
type answers struct {
	at     flows.Instant
	events []Event
}

type elephant struct {
	entry flows.Entry
	rate  float64 // bytes per second, on average
	noise float64
	hw    flows.Counters
	told  flows.Counters // of hw, as the NIC tells
	on    *nic
	blind bool   // its rules see nothing
	lost  bool   // nobody knows its path
	hops  uint8  // routers on its way
	given uint64 // bytes past the host
	all   uint64 // bytes
}

// labTurn is how often the engine turns when nothing happens.
const labTurn = 20 * time.Millisecond

func newLab(t testing.TB, cfg Config, nics ...*nic) *lab {
	t.Helper()
	cfg.Enforce = true
	l := &lab{t: t, lag: time.Millisecond, rng: rand.New(rand.NewPCG(1, 2)), g: New(cfg), now: 1, nics: nics, of: make(map[flows.Tuple]*elephant)}
	var ports PortsChanged
	for i, n := range nics {
		n.rules = make(map[flows.SessionID]*elephant)
		for j := range 2 {
			ports.Ports = append(ports.Ports, PortState{ID: flows.PortID(2*i + j + 1), Eswitch: n.id})
		}
	}
	l.event = []Event{ports}
	return l
}

// add lets elephants begin, between the ports of the NICs in turn.
func (l *lab) add(rates ...float64) {
	for _, rate := range rates {
		i := len(l.herd)
		e := &elephant{rate: rate, noise: 1, entry: established(uint32(i+1), 1000)}
		e.entry.Key.Tuple.Src = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		e.entry.Key.Tuple.Proto, e.entry.TCP = flows.UDP, flows.TCPInfo{}
		e.entry.Reply = e.entry.Key.Tuple.Reverse()
		e.entry.Count[0].Bytes = 2 << 20
		l.herd = append(l.herd, e)
		l.of[e.entry.Key.Tuple] = e
	}
}

func (l *lab) nicOf(e *elephant) (*nic, flows.Paths) {
	i := int(e.entry.Key.ID-1) % len(l.nics)
	a, b := flows.PortID(2*i+1), flows.PortID(2*i+2)
	paths := flows.Paths{{In: a, Out: b}, {In: b, Out: a}}
	for d := range paths {
		paths[d].Change = flows.ChangeTo(flows.Frame{}, flows.Frame{}, e.hops, flows.Tuple{})
	}
	return l.nics[i], paths
}

// run lets time pass.
func (l *lab) run(d time.Duration) {
	for end := l.now.Add(d); l.now < end; {
		next := l.now.Add(labTurn - time.Duration(l.now)%labTurn)
		for _, n := range l.nics {
			if n.until > 0 {
				next = min(next, n.until)
			}
			if len(n.answers) > 0 {
				next = min(next, n.answers[0].at)
			}
		}
		l.now = next
		if time.Duration(l.now)%labTurn == 0 {
			l.turn()
		}
		l.settle()
	}
}

// settle lets the NICs work and the engine answer until neither has anything to do now.
func (l *lab) settle() {
	for {
		for _, n := range l.nics {
			n.work(l)
			for len(n.answers) > 0 && n.answers[0].at <= l.now {
				l.event = append(l.event, n.answers[0].events...)
				n.answers = n.answers[1:]
			}
		}
		events := l.event
		l.event = nil
		effects := l.g.Step(l.now, events)
		for _, e := range effects {
			l.take(e)
		}
		if len(l.event) == 0 {
			for _, n := range l.nics {
				n.begin(l.now)
			}
			return
		}
	}
}

func (l *lab) take(e Effect) {
	switch e := e.(type) {
	case Resolve:
		l.asked++
		ev := PathResolved{Session: e.Session, Op: e.Op, Tuples: untranslated(e), Plain: true}
		if _, ev.Paths = l.nicOf(l.of[e.Entry.Tuple]); l.of[e.Entry.Tuple].lost {
			ev.Reason = flows.PathUnknown
		}
		l.event = append(l.event, ev)
	case Install:
		n, _ := l.nicOf(l.of[e.Tuples[0]])
		n.queue = append(n.queue, e)
	case Remove:
		for _, n := range l.nics {
			if n.id == e.Eswitch {
				n.queue = slices.DeleteFunc(n.queue, func(queued Effect) bool {
					install, ok := queued.(Install)
					return ok && install.Session == e.Session
				})
				n.queue = append(n.queue, e)
			}
		}
	case Read:
		read := SessionRead{Session: e.Session, Op: e.Op, At: l.now}
		for _, key := range e.Entries {
			read.Found = append(read.Found, l.of[key.Tuple].entry)
		}
		l.event = append(l.event, read)
	}
}

// begin takes the next batch, as pkg/agent does.
func (n *nic) begin(now flows.Instant) {
	if n.until > 0 || len(n.queue) == 0 {
		return
	}
	removes := func(e Effect) bool { _, ok := e.(Remove); return ok }
	if slices.ContainsFunc(n.queue, removes) {
		for _, e := range n.queue {
			if removes(e) {
				n.batch = append(n.batch, e)
			}
		}
		n.queue = slices.DeleteFunc(n.queue, removes)
	} else {
		most := 64
		if n.perRule > 0 {
			most = max(1, min(most, int(25*time.Millisecond/(2*n.perRule))))
		}
		k := min(most, len(n.queue))
		n.batch = append(n.batch, n.queue[:k]...)
		n.queue = slices.Delete(n.queue, 0, k)
	}
	took := 2 * n.perRule * time.Duration(len(n.batch))
	n.until = now.Add(max(took, time.Microsecond))
}

// work ends a batch when it is time.
func (n *nic) work(l *lab) {
	if n.until == 0 || n.until > l.now {
		return
	}
	var events []Event
	for _, e := range n.batch {
		switch e := e.(type) {
		case Install:
			ev := Installed{Session: e.Session, Op: e.Op, InHW: true, Took: 2 * n.perRule}
			if n.unable || n.unableV6 && e.Tuples[0].IsIPv6() || n.rigid && !e.Paths.IsPlain() {
				ev.Reason, ev.Detail, ev.InHW = flows.Refused, "cannot match that", false
				n.attempts++
			} else if n.capacity > 0 && n.foreign+2*len(n.rules)+2 > n.capacity {
				ev.Reason, ev.InHW = flows.TableFull, false
				n.refused = append(n.refused, l.now)
			} else {
				c := l.of[e.Tuples[0]]
				n.rules[e.Session], c.on, c.hw, c.told, c.blind = c, n, flows.Counters{}, flows.Counters{}, false
				n.adds++
			}
			events = append(events, ev)
		case Remove:
			if c := n.rules[e.Session]; c != nil {
				c.on = nil
				delete(n.rules, e.Session)
			}
			events = append(events, Removed{Session: e.Session, Op: e.Op})
		}
	}
	n.batch, n.until = n.batch[:0], 0
	n.answers = append(n.answers, answers{l.now.Add(l.lag), events})
}

// turn moves the packets of a turn, and reads what is due.
func (l *lab) turn() {
	l.turns++
	if l.turns%5 == 0 {
		l.traffic(5 * labTurn)
	}
	for _, n := range l.nics {
		if l.now.Sub(n.told) >= n.refresh {
			n.told = l.now
			for _, e := range n.rules {
				e.told = e.hw
			}
		}
	}
	if l.turns%25 == 0 {
		for _, n := range l.nics {
			var ev Counted
			for id, e := range n.rules {
				ev.Sessions = append(ev.Sessions, flows.SessionCounters{ID: id, InHW: true, Count: [2]flows.Counters{e.told}})
			}
			slices.SortFunc(ev.Sessions, func(a, b flows.SessionCounters) int { return int(a.ID) - int(b.ID) })
			l.event = append(l.event, ev)
		}
	}
	if l.turns%50 == 0 {
		ev := EntriesRead{At: l.now}
		for _, e := range l.herd {
			ev.Entries = append(ev.Entries, e.entry)
		}
		l.event = append(l.event, ev, DumpDone{Began: l.now, Complete: true})
	}
}

func (l *lab) traffic(d time.Duration) {
	for _, e := range l.herd {
		if l.turns%50 == 0 {
			e.noise = 0.8 + 0.4*l.rng.Float64()
		}
		packets := uint64(e.rate * e.noise * d.Seconds() / 1448)
		count := &e.entry.Count[0]
		e.all += packets * 1448
		if e.on != nil && !e.blind {
			count = &e.hw
			e.given += packets * 1448
		}
		count.Packets += packets
		count.Bytes += packets * 1448
	}
}

// zipf returns n rates, the largest of which is top, in random order.
func (l *lab) zipf(n int, top, exponent float64) []float64 {
	rates := make([]float64, n)
	for i := range rates {
		rates[i] = top * math.Pow(float64(i+1), -exponent)
	}
	l.rng.Shuffle(n, func(i, j int) { rates[i], rates[j] = rates[j], rates[i] })
	return rates
}
