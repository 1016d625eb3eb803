package engine

import (
	"fmt"
	"maps"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// ledger remembers what the engine was told and what it ordered, to check the
// promises of docs/architecture.md against.
type ledger struct {
	closed      map[flows.EntryKey]bool // the engine was told that it is closing
	denied      map[flows.EntryKey]bool // ... that it is denied
	picked      map[flows.EntryKey]bool // ... that it was picked up in mid-stream
	buried      map[flows.Tuple]bool
	present     map[flows.EntryKey]flows.Stand
	liberal     map[flows.SessionID]bool
	marks       map[flows.EntryKey]flows.ZoneState // as last told
	ageing      int                                // stations that OVS was about to forget
	installs    []flows.Instant
	sentTo      map[flows.EswitchID]bool // in this step
	reset       map[flows.EswitchID]bool // the engine was told so in this step
	displaced   []flows.Instant
	groups      []toldGroups
	policies    simPolicies      // nil: none were told
	policiesAt  flows.Instant    // when they last were
	toSift      int              // sessions there were then
	sifting     int              // steps since then
	dropped     []flows.EntryKey // by them, as soon as they were held against all sessions
	inspectFrom map[flows.EntryKey][2]uint64
	left        map[flows.SessionID]bool   // in this step, before what follows
	held        map[flows.EntryKey]holding // by an operator
	orders      map[*conn]bool             // there was one about it
	wished      map[*conn]bool             // ... one to offload
	subjects    map[flows.SessionID]flows.Subject
	packets     map[flows.EntryKey][2]uint64 // as last told
	broken      []string
}

func newLedger() *ledger {
	return &ledger{
		inspectFrom: make(map[flows.EntryKey][2]uint64),
		closed:      make(map[flows.EntryKey]bool), denied: make(map[flows.EntryKey]bool),
		picked: make(map[flows.EntryKey]bool),
		buried: make(map[flows.Tuple]bool), present: make(map[flows.EntryKey]flows.Stand), liberal: make(map[flows.SessionID]bool),
		held: make(map[flows.EntryKey]holding), orders: make(map[*conn]bool),
		wished: make(map[*conn]bool), subjects: make(map[flows.SessionID]flows.Subject), packets: make(map[flows.EntryKey][2]uint64),
		marks:  make(map[flows.EntryKey]flows.ZoneState),
		sentTo: make(map[flows.EswitchID]bool), reset: make(map[flows.EswitchID]bool),
	}
}

func (l *ledger) fail(promise int, format string, args ...any) {
	l.broken = append(l.broken, fmt.Sprintf("promise %d: ", promise)+fmt.Sprintf(format, args...))
}

// deliver notes what the engine is about to be told.
func (l *ledger) deliver(w *world, events []Event) {
	l.ageing = 0
	l.left = make(map[flows.SessionID]bool)
	for _, ev := range events {
		switch ev := ev.(type) {
		case PermissionsChanged, PermissionsStale, PermissionsEnforced:
			l.deliverGroups(w, ev)
		case PoliciesChanged:
			l.policiesAt = w.now
			l.deliverPolicies(w, ev)
		case Ordered:
			l.deliverOrder(w, ev)
		case PathResolved:
			l.deliverPath(w, ev)
		case RulesFound:
			l.deliverFound(ev)
		case Removed:
			l.left[ev.Session] = ev.Err == nil
		case MACAgeing:
			l.ageing++
		case EswitchReset:
			l.reset[ev.Eswitch] = true
		case EntriesRead:
			l.told(ev.Entries)
		case EntriesAppeared:
			l.told(ev.Entries)
		case SessionRead:
			l.told(ev.Found)
			l.toldGone(w, ev.Missing)
		case EntriesGone:
			l.toldGone(w, ev.Keys)
		}
	}
}

func (l *ledger) told(entries []flows.Entry) {
	for i := range entries {
		e := &entries[i]
		_, before := l.marks[e.Key]
		at := flows.ZoneState{Zone: e.Key.Zone, Tuple: e.Key.Tuple, Reply: e.Reply, Mark: e.Mark, Labels: e.Labels}
		l.marks[e.Key], l.present[e.Key] = at, at.Stand()
		l.closed[e.Key] = l.closed[e.Key] || e.TCP.State.Closing()
		l.denied[e.Key] = l.denied[e.Key] || e.Mark&1 != 0
		l.packets[e.Key] = [2]uint64{e.Count[0].Packets, e.Count[1].Packets}
		if !before { // later that may be the flag of a relaxed window
			l.picked[e.Key] = e.TCP.Flags[0] == 0x2a && e.TCP.Flags[1] == 0x2a
		}
	}
}

func (l *ledger) toldGone(w *world, keys []flows.EntryKey) {
	for _, key := range keys {
		l.bury(w, key)
		delete(l.present, key)
	}
}

// order checks what the engine has just ordered.
func (l *ledger) order(w *world, effects []Effect) {
	defer func() {
		if l.ageing < 0 {
			l.fail(7, "more sessions were led through OVS than stations were about to be forgotten")
		}
	}()
	for _, e := range effects {
		switch e := e.(type) {
		case Relax:
			l.liberal[e.Session] = l.liberal[e.Session] || e.Step == SetLiberal
		case Install:
			l.ordered(w, e)
			l.subjects[e.Session] = subjectOf(e.Tuples, e.Paths, l.subjects[e.Session].DSCP)
		case KeepAlive:
			l.kept(w, e)
		case Deny:
			l.orderedDeny(w, e)
		case Remember:
			l.orderedRemember(w, e)
		case Remove:
			l.removing(w, e)
			l.removingForInspection(w, e)
			l.removingFromWire(w, e)
			if e.Cause == flows.MACAgeing && w.engine.sessions[e.Session].retries == 0 {
				l.ageing--
			}
		}
	}
}

func (l *ledger) ordered(w *world, e Install) {
	l.orderedGroups(w, e)
	l.orderedPolicies(w, e)
	l.orderedInspector(w, e)
	l.installs = append(l.installs, w.now)
	s := w.engine.sessions[e.Session]
	l.orderedOrders(w, s)
	for _, entry := range s.entries {
		if l.closed[entry.key] {
			l.fail(2, "%v is installed after its end was seen", entry.key)
		}
		if l.denied[entry.key] {
			l.fail(3, "%v is installed after it was denied", entry.key)
		}
	}
	for _, entry := range s.entries {
		for _, t := range [...]flows.Tuple{entry.key.Tuple, w.entryReply(entry.key).Reverse()} {
			turned := l.buried[t.Reverse()]
			if l.picked[entry.key] && (turned || l.buried[t]) || turned && !s.isTCP() {
				l.fail(3, "%v comes back after it was denied, without a handshake", t)
			}
		}
	}
	if s.isTCP() && !l.liberal[e.Session] {
		l.fail(6, "%v is installed before its window checks were relaxed", s.tuple)
	}
	for _, p := range e.Paths {
		l.sentTo[eswitchOf(p.In)] = true
		if w.cfg.RequireHW && eswitchOf(p.In) != eswitchOf(p.Out) {
			l.fail(4, "%v is installed across eswitches", s.tuple)
		}
		if w.engine.ports[p.In].Reason != "" || w.engine.ports[p.Out].Reason != "" {
			l.fail(1, "%v is installed on a refused port", s.tuple)
		}
	}
}

func (l *ledger) kept(w *world, e KeepAlive) {
	for _, key := range e.Entries {
		if l.closed[key] {
			l.fail(6, "%v is kept alive after its end was seen", key)
		}
		if e.Timeout < w.cfg.Timeouts.Of(key.Tuple.Proto) {
			l.fail(6, "%v would be shortened to %d s", key, e.Timeout)
		}
	}
}

// expired checks that an entry did not die while the eswitch forwarded it.
func (l *ledger) expired(w *world, k *kernelEntry) {
	if !w.up || w.now.Sub(w.upAt) < adoptWithin+3*time.Second {
		return // nobody could keep it alive
	}
	if w.now.Sub(k.conn.paceAt) < 2*time.Second {
		return // what was idle for almost as long may have begun again too late for anybody to know
	}
	for _, h := range w.rules {
		if h.conn == k.conn && w.now.Sub(k.hwHitAt) < time.Second && w.now.Sub(h.since) > 3*time.Second &&
			!k.TCP.State.Closing() {
			l.fail(6, "%v expired while the eswitch forwarded it", k.Key)
		}
	}
}

// check checks the promises about the state that is reached.
func (l *ledger) check(w *world) {
	if !w.up || w.findAt > 0 {
		return
	}
	l.checkAllowed(w)
	l.checkGroups(w)
	l.checkPolicies(w)
	l.checkOrders(w)
	l.checkInspector(w)
	l.checkPaths(w)
	l.checkLifetime(w)
	l.checkUseful(w)
	l.checkRelaxed(w)
	l.checkOwned(w)
	l.checkBudgets(w)
	l.checkTables(w)
	l.checkReset(w)
	l.checkInHW(w)
	l.checkReasons(w)
	l.checkOnce(w)
	l.checkAttributed(w)
}

// reaction is the longest time from a change that no event told, to the removal:
// a read may just have begun and may take its time, a new one is due after the
// interval, and its answer, the removal and a repetition of that take theirs.
func (w *world) reaction() time.Duration {
	d := w.cfg.ReadInterval + 5*slowest + 20*turn
	if w.faults {
		d += 8 * slowest // failed removals are repeated
	}
	return d
}

// checkAllowed is promise 1: rules exist only for connections that may be
// offloaded, give or take the time to see that they may not.
func (l *ledger) checkAllowed(w *world) {
	for id, h := range w.rules {
		age := w.now.Sub(w.since(h, h.since))
		if h.conn == nil {
			if age > w.reaction() {
				l.fail(1, "session %v is for no connection", id)
			}
			continue
		}
		// What was wrong already when the rules went in is seen by the read that
		// follows, not only by the next poll. Failed removals are repeated.
		if age > 3*slowest+10*turn && !w.faults && !w.adopted(h) && h.stillBad(w) {
			l.fail(1, "session %v was not verified after its installation", id)
		}
		for _, key := range h.keys {
			k := w.entries[key]
			since := w.since(h, h.since)
			if k != nil {
				if k.badSince == 0 {
					continue
				}
				since = max(since, k.badSince)
			} else if age < w.reaction() {
				continue
			}
			if k != nil && w.now.Sub(since) > w.reaction() {
				l.fail(1, "session %v: %v must not be offloaded since %v", id, key, w.now.Sub(since))
			}
		}
		if !h.conn.zoned {
			l.checkAlone(w, id, h)
		}
	}
}

// stillBad reports whether an entry must not be offloaded ever since before the
// installation.
func (h *hardware) stillBad(w *world) bool {
	for _, key := range h.keys {
		if k := w.entries[key]; k != nil && k.badSince > 0 && k.badSince <= h.since {
			return true
		}
	}
	return false
}

// checkAlone is the part of promise 1 about tenants with the same addresses.
func (l *ledger) checkAlone(w *world, id flows.SessionID, h *hardware) {
	for _, c := range w.conns {
		if c == h.conn || !c.mayBe(h.conn) || w.now.Sub(w.since(h, h.since)) < 2*time.Second {
			continue
		}
		for _, key := range c.keys {
			e := w.engine.entries.get(key)
			if e != nil && w.now.Sub(e.first) > w.reaction() && !e.closed {
				l.fail(1, "session %v (%v for %v, at %v): %v stands in a zone that no port explains (first %v, session %v)", id, w.engine.sessions[id].state, w.now.Sub(h.since), w.now, key, e.first, e.session)
			}
		}
	}
}

// checkUseful is promise 4: rules that see nothing while conntrack does, leave.
func (l *ledger) checkUseful(w *world) {
	for id, h := range w.rules {
		if h.conn == nil || h.works() || h.conn.ended || h.conn.pps[0] < 100 {
			continue
		}
		if age := w.now.Sub(w.since(h, max(h.since, h.lostSince, h.conn.paceAt))); age > w.cfg.NoHitsAfter+w.reaction()+2*time.Second {
			l.fail(4, "session %v has no hits for %v", id, age)
		}
	}
}

// checkRelaxed is the part of promise 6 about TCP's window checks.
func (l *ledger) checkRelaxed(w *world) {
	for id, h := range w.rules {
		if h.conn == nil || h.conn.wrongPath || h.conn.tuple.Proto != flows.TCP {
			continue
		}
		age := w.now.Sub(w.since(h, h.since))
		for _, key := range h.keys {
			k := w.entries[key]
			switch {
			case k == nil:
			case !k.liberal && age > w.reaction()-w.cfg.ReadInterval:
				l.fail(6, "session %v: %v would refuse what is in no window", id, key)
			case k.maxAck > 0 && age > w.reaction() && w.now.Sub(w.since(h, k.maxAck)) > w.reaction():
				l.fail(6, "session %v: %v would refuse a RST: MAXACK_SET for %v", id, key, w.now.Sub(k.maxAck))
			}
		}
	}
}

// checkOwned is promise 5: every rule belongs to a session that knows of it.
func (l *ledger) checkOwned(w *world) {
	for id := range w.rules {
		if s := w.engine.sessions[id]; s == nil || !s.state.hasRules() {
			l.fail(5, "rules of session %v, which the engine does not have", id)
		}
	}
}

// checkBudgets is promise 7.
func (l *ledger) checkBudgets(w *world) {
	if n := len(w.engine.sessions); n > w.cfg.Capacity {
		l.fail(7, "%d sessions, capacity %d", n, w.cfg.Capacity)
	}
	used := make(map[State]int)
	for _, s := range w.engine.sessions {
		used[s.state]++
	}
	if counted := w.engine.Used(); !maps.Equal(counted, used) {
		l.fail(7, "sessions by state: %v, counted %v", used, counted)
	}
	for len(l.installs) > 0 && w.now.Sub(l.installs[0]) > time.Second {
		l.installs = l.installs[1:]
	}
	// A second can begin with a full bucket, and resolving takes differently long.
	if n := float64(len(l.installs)); n > 2*w.cfg.InsertRate+slowest.Seconds()*2*w.cfg.InsertRate+1 {
		l.fail(7, "%v installations in a second, budget %v", n, w.cfg.InsertRate)
	}
}

// checkReasons is promise 8, and that the counts by reason add up.
func (l *ledger) checkReasons(w *world) {
	counted := make(map[flows.Reason]int)
	for e := range w.engine.entries.all() {
		counted[e.reason]++
		switch {
		case e.reason == "":
			l.fail(8, "%v has no reason", e.key)
		case w.engine.sessionOf(e) == nil && e.verdict == flows.Offload && e.queue == nil && (e.reason == flows.Elephant || isAsked(e.reason) || e.reason == flows.Mouse):
			l.fail(8, "%v should be offloaded, is not, and says only %q", e.key, e.reason)
		case e.session == nil && e.verdict == flows.Inspect && (e.reason == flows.Elephant || isAsked(e.reason)):
			l.fail(8, "%v is in the slow path and gives a reason to offload: %q", e.key, e.reason)
		}
	}
	for reason, n := range w.engine.Counts().Followed {
		if counted[reason] != n {
			l.fail(8, "%d entries with reason %q, counted %d", counted[reason], reason, n)
		}
	}
}
