package engine

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// world is everything outside the engine: connections with traffic, conntrack,
// an eswitch, ports, and executors that take their time and sometimes fail.
type world struct {
	rng    *rand.Rand
	now    flows.Instant
	cfg    Config
	engine *Engine

	conns   []*conn
	entries map[flows.EntryKey]*kernelEntry
	connOf  map[flows.EntryKey]*conn // also of those that are gone
	rules   map[flows.SessionID]*hardware
	ports   map[flows.PortID]flows.Reason
	nextCT  uint32
	chips   []*chip

	jobs   []*job // what executors have been asked to do, in order
	events []Event
	faults bool // executors fail at times, events are lost
	seen   *ledger

	pipeline []flowRule    // what OVS does other than forwarding
	planned  []flowRule    // and will
	up       bool          // an agent runs
	agents   int           // started after the first
	quiet    bool          // nothing happens but traffic
	restless bool          // OVS is reprogrammed, and agents are killed
	ending   bool          // it was told to stop
	total    totals        // of agents that are no more
	startAt  flows.Instant // when the next one starts
	findAt   flows.Instant // when it finds the rules; 0: it has found them
	upAt     flows.Instant // when it had

	dumpAt    flows.Instant
	dumping   *flows.Instant
	countAt   flows.Instant
	nextTuple uint16
	sources   []*groupSource

	inspector inspector

	policies     simPolicies
	policiesAt   flows.Instant // when an agent is told them
	policiesTold bool
	lastPolicy   flows.PolicyRef
	tellAt       flows.Instant // when the agent was started
	portion      int           // of the engine's sieve; 0: as usual
}

// conn is a connection between two ports, in one zone or several.
type conn struct {
	tuple     flows.Tuple     // of the original direction, as it leaves the sender
	far       flows.Tuple     // ... and reaches the receiver
	ports     [2]flows.PortID // sender, receiver of the original direction
	stands    []flows.Stand
	zoned     bool // the ports tell their zones
	pps       [2]int
	paceAt    flows.Instant // when pps was last changed
	keys      []flows.EntryKey
	ended     bool
	inspected bool          // on the wire with an inspector
	adjusted  bool          // ... which changes its sequence numbers
	unproven  bool          // nobody saw its handshake pass that
	blockedAt flows.Instant // since when that blocks it; 0: it does not
	pretended bool          // its ends send to both sides what it blocks, as if it let that through
	shown     [2]int        // by Dir, dumps from which that is to be seen
	shownAt   [2]uint64     // by Dir, packets that came in at the last one
	wrongPath bool          // the resolver is wrong about it: rules would see nothing
	plain     bool          // the pipeline matches its packets as they came
	routes    []routed
}

type kernelEntry struct {
	flows.Entry
	conn     *conn
	expires  flows.Instant
	finished bool // FIN or RST was seen, whatever the state says now
	liberal  bool
	maxAck   flows.Instant // since when MAXACK_SET is set; 0: it is not
	hwHitAt  flows.Instant // when the eswitch last forwarded a packet of it
	markedAt flows.Instant // when others last wrote its mark
	badSince flows.Instant // since when it must not be offloaded; 0: it may
}

type hardware struct {
	id     flows.SessionID
	conn   *conn
	tuples [2]flows.Tuple
	paths  flows.Paths
	keys   []flows.EntryKey
	count  [2]flows.Counters
	told   [2]flows.Counters // of count
	since  flows.Instant

	lostSince flows.Instant // since when they see nothing; 0: they do
	swSince   flows.Instant // since when hardware does not have them; 0: it does
}

type job struct {
	at     flows.Instant
	effect Effect
	answer Event // to effect, found out earlier
	cancel bool
}

// The longest time an executor takes, and how often the world turns.
const (
	slowest  = 200 * time.Millisecond
	turn     = 20 * time.Millisecond
	portsNum = 12
)

func newWorld(seed uint64, cfg Config, faults, restless bool) *world {
	w := &world{
		rng: rand.New(rand.NewPCG(seed, 1)), cfg: cfg, engine: New(cfg), faults: faults,
		entries: make(map[flows.EntryKey]*kernelEntry), connOf: make(map[flows.EntryKey]*conn), rules: make(map[flows.SessionID]*hardware),
		ports: make(map[flows.PortID]flows.Reason), seen: newLedger(), now: 1, up: true, restless: restless,
	}
	if seed%2 == 1 {
		w.portion = 1 + int(seed/2%4)
	}
	w.slowSieve()
	for i := range portsNum {
		w.ports[flows.PortID(i+1)] = ""
	}
	w.newChips()
	w.newGroups()
	w.policies = w.elephantsOnly()
	w.tellPolicies()
	w.reportPorts()
	return w
}

func (w *world) chance(p float64) bool { return w.rng.Float64() < p }

// step lets one turn of time pass, and returns the effects that were ordered.
func (w *world) step() []Effect {
	w.now = w.now.Add(turn)
	if !w.quiet {
		w.happen()
		w.changeChip()
		w.enforceGroups()
	}
	w.traffic()
	w.expire()
	w.execute()
	if !w.running() {
		w.events = nil
		return nil
	}
	w.watch()
	w.speakPolicies()
	events := w.events
	w.events = nil
	w.seen.deliver(w, events)
	w.noteRoutes()
	effects := w.engine.Step(w.now, events)
	w.seen.order(w, effects)
	for _, e := range effects {
		w.enqueue(e)
	}
	return effects
}

// enqueue keeps the contract of Effect: everything takes its time, but a Remove
// cancels an Install that was not begun.
func (w *world) enqueue(e Effect) {
	due := w.now.Add(time.Duration(w.rng.Int64N(int64(slowest))))
	if _, ok := e.(Validate); ok && w.chance(0.02) {
		if due = due.Add(time.Duration(w.rng.Int64N(int64(2 * time.Second)))); w.chance(0.2) {
			return // never answered
		}
	}
	if i, ok := e.(Install); ok {
		due = w.now.Add(time.Duration(w.rng.Int64N(int64(w.chip(i.Paths[0].In).slow))))
	}
	remove, removing := e.(Remove)
	for _, j := range w.jobs {
		if i, installing := j.effect.(Install); installing && removing && i.Session == remove.Session {
			j.cancel = true
		}
	}
	if r, ok := e.(Resolve); ok && w.restless && w.chance(0.2) && w.entries[r.Entry] != nil {
		at := w.now.Add(time.Duration(w.rng.Int64N(int64(slowest))))
		w.planned = append(w.planned, flowRule{match: w.randomMatch(w.entries[r.Entry].conn), at: at})
	}
	w.jobs = append(w.jobs, &job{at: due, effect: e})
	switch e.(type) {
	case Resolve, Validate: // is answered by what was so at some time before
		look := w.now.Add(time.Duration(w.rng.Int64N(int64(due.Sub(w.now)) + 1)))
		w.jobs = append(w.jobs, &job{at: look, effect: e, answer: pending{w.jobs[len(w.jobs)-1]}})
	}
}

func (w *world) execute() {
	if w.findAt > 0 {
		return // the agent begins with what is there
	}
	slices.SortStableFunc(w.jobs, func(a, b *job) int { return int(a.at - b.at) })
	for len(w.jobs) > 0 && w.jobs[0].at <= w.now {
		j := w.jobs[0]
		w.jobs = w.jobs[1:]
		w.run(j)
	}
}

func (w *world) run(j *job) {
	fails := w.faults && w.chance(0.02)
	switch e := j.effect.(type) {
	case Resolve:
		w.look(j, func() Event { return w.resolve(e, fails) })
	case Validate:
		w.look(j, func() Event { return w.validate(e, fails) })
	case Relax:
		w.events = append(w.events, Relaxed{e.Session, e.Op, w.relax(e, fails)})
	case Install:
		took := time.Duration(1 + w.rng.Int64N(int64(w.chip(e.Paths[0].In).slow)/4))
		ev := Installed{Session: e.Session, Op: e.Op, InHW: true, Took: took}
		if j.cancel {
			return
		}
		switch {
		case fails:
			ev.Reason = flows.InstallFailed
			if w.chance(0.5) {
				ev.Reason = flows.Refused
			}
		case w.full(e.Paths):
			ev.Reason = flows.TableFull
		default:
			w.install(e)
		}
		w.events = append(w.events, ev)
	case Remove:
		ev := Removed{Session: e.Session, Op: e.Op}
		if fails {
			ev.Err = errors.New("EBUSY")
		} else {
			delete(w.rules, e.Session)
		}
		w.events = append(w.events, ev)
	case Read:
		w.events = append(w.events, w.read(e.Session, e.Op, e.Entries, 0))
	case Deny:
		w.denyEntries(e)
	case Remember:
		if !fails {
			w.rememberOrders(e)
		}
	case KeepAlive:
		w.events = append(w.events, w.read(e.Session, e.Op, e.Entries, e.Timeout))
	}
}

func (w *world) resolve(e Resolve, fails bool) PathResolved {
	ev := PathResolved{Session: e.Session, Op: e.Op}
	k := w.entries[e.Entry]
	if k == nil || fails {
		ev.Reason = flows.PathUnknown
		return ev
	}
	switch c := k.conn; {
	case c.inspected && w.inspector.away:
		ev.Reason = flows.InspectorDown
		return ev
	case c.inspected && c.unproven:
		ev.Reason = flows.InspectorUnseen
		return ev
	case c.pretended && w.now.Sub(c.blockedAt) > sightedFor:
		ev.Reason = []flows.Reason{flows.InspectorUnseen, flows.PathAmbiguous}[w.rng.IntN(2)]
		return ev
	case c.inspected && c.adjusted:
		ev.Reason = flows.SeqAdjusted
		return ev
	}
	ev.Inspected = k.conn.inspected
	r := w.route(k.conn, e.States)
	ev.Paths, ev.Tuples, ev.Stands, ev.Reason, ev.Plain = r.paths, k.conn.tuples(), r.stands, r.reason, k.conn.plain
	ev.DSCP = k.conn.sees(w)
	return ev
}

func (w *world) relax(e Relax, fails bool) error {
	for _, key := range e.Entries {
		k := w.entries[key]
		if k == nil || fails {
			return errors.New("ENOENT")
		}
		k.liberal = k.liberal || e.Step == SetLiberal
		if e.Step == ClearMaxAck {
			k.maxAck = 0
		}
	}
	return nil
}

func (w *world) install(e Install) {
	h := &hardware{id: e.Session, since: w.now, tuples: e.Tuples, paths: e.Paths}
	w.attribute(h)
	if e.Tuples[0] != e.Tuples[1].Reverse() {
		w.total.translated++
	}
	w.rules[e.Session] = h
}

// attribute finds the connection whose packets rules match.
func (w *world) attribute(h *hardware) {
	for _, c := range w.conns {
		if c.tuples() == h.tuples && c.ports[0] == h.paths[0].In && !c.gone(w) {
			h.conn, h.keys = c, c.keys
		}
	}
}

func (w *world) read(id flows.SessionID, op uint64, keys []flows.EntryKey, timeout uint32) SessionRead {
	ev := SessionRead{Session: id, Op: op, At: w.now}
	for _, key := range keys {
		k := w.entries[key]
		if k == nil {
			ev.Missing = append(ev.Missing, key)
			continue
		}
		if timeout > 0 && !k.TCP.State.Closing() {
			k.expires = max(k.expires, w.now.Add(time.Duration(timeout)*time.Second))
		}
		ev.Found = append(ev.Found, k.report(w.now))
	}
	return ev
}

func (k *kernelEntry) report(now flows.Instant) flows.Entry {
	rec := k.Entry
	if k.liberal && k.Key.Tuple.Proto == flows.TCP {
		for d := range rec.TCP.Flags {
			rec.TCP.Flags[d] |= flows.TCPFlagBeLiberal
		}
	}
	rec.Timeout = uint32(max(0, k.expires.Sub(now)/time.Second))
	return rec
}

func (w *world) reportPorts() {
	ev := PortsChanged{}
	for i := range portsNum {
		id := flows.PortID(i + 1)
		zone, told := zoneOf(id)
		reason := w.ports[id]
		if reason == "" && w.inspector.closed() && (id == wireEnd0 || id == wireEnd1) {
			reason = flows.InspectorDown
		}
		ev.Ports = append(ev.Ports, PortState{
			ID: id, Eswitch: eswitchOf(id), Reason: reason, Logical: logicalOf(id), Zone: zone, HasZone: told,
		})
	}
	w.events = append(w.events, ev)
}

// watch delivers what the watchers would: dumps that take time, and counters.
func (w *world) watch() {
	w.find()
	if w.dumping != nil && w.now.Sub(*w.dumping) > 100*time.Millisecond {
		began := *w.dumping
		w.dumping = nil
		w.events = append(w.events, DumpDone{Began: began, Complete: !w.faults || !w.chance(0.1)})
	}
	if w.now >= w.dumpAt {
		w.dumpAt = w.now.Add(2500 * time.Millisecond)
		began := w.now
		w.dumping = &began
		w.showBlocked()
		ev := EntriesRead{At: w.now}
		for _, k := range w.entriesInOrder() {
			if k.Status.Has(flows.StatusSeenReply) {
				ev.Entries = append(ev.Entries, k.report(w.now))
			}
		}
		w.events = append(w.events, ev)
	}
	if w.now >= w.countAt {
		w.countAt = w.now.Add(200 * time.Millisecond)
		w.tell()
		ev := Counted{}
		for id, h := range w.rules {
			ev.Sessions = append(ev.Sessions, flows.SessionCounters{ID: id, Count: h.told, InHW: h.swSince == 0})
		}
		slices.SortFunc(ev.Sessions, func(a, b flows.SessionCounters) int { return int(a.ID) - int(b.ID) })
		w.events = append(w.events, ev)
	}
}

func (w *world) entriesInOrder() []*kernelEntry {
	list := make([]*kernelEntry, 0, len(w.entries))
	for _, k := range w.entries {
		list = append(list, k)
	}
	slices.SortFunc(list, func(a, b *kernelEntry) int { return int(a.Key.ID) - int(b.Key.ID) })
	return list
}

func (w *world) newTuple() flows.Tuple {
	w.nextTuple++
	proto := flows.TCP
	if w.chance(0.3) {
		proto = flows.UDP
	}
	v6 := w.chance(0.3)
	return flows.Tuple{
		Src: address(v6, 1, int(w.nextTuple%7)), Dst: address(v6, 0, 2),
		SrcPort: w.nextTuple, DstPort: 5201, Proto: proto,
	}
}
