package engine

import (
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// OrderKind is what an operator wants of a connection.
type OrderKind uint8

const (
	// OrderOffload wishes it offloaded: like Mark.Offload, it need not be an elephant and goes
	// before others, but nothing that speaks against it is passed over: policies, security
	// groups, its path, and the packets that are to be inspected first. It stands until the
	// connection ends or OrderInspect is given.
	OrderOffload OrderKind = iota + 1
	// OrderInspect brings it back to the slow path and keeps it there.
	OrderInspect
	// OrderRevoke denies it, for good.
	OrderRevoke
)

// Ordered carries an order about connections: all entries that they have, as far as they are
// known to be of one session with those that are named.
type Ordered struct {
	Kind OrderKind
	For  time.Duration // how long OrderInspect stands; 0: until the connection ends
	// Unmark has OrderOffload take Mark.Never off that no order of this engine has set.
	Unmark bool

	At      flows.Instant    // before Entries were read
	Entries []flows.Entry    // they are followed from now on
	Keys    []flows.EntryKey // others, that are followed
}

// Remember asks that Mark.Never is set in entries, or taken off, and no other bit: so that
// the next agent knows of an order. It is not answered: what became of it shows when they are
// read.
type Remember struct {
	Entries []flows.EntryKey
	Never   bool
}

func (Ordered) event()   {}
func (Remember) effect() {}

// order is one that stands.
type order struct {
	kind         OrderKind     // 0: its time is over, and its mark is to be taken off
	since, until flows.Instant // until 0: the connection ends
	marked       bool          // Mark.Never was set for it, or is to be taken off
	tries        uint8         // attempts to write that
	tried        flows.Instant
}

const (
	// rememberTries is how often Mark.Never is written until it stays.
	rememberTries = 5
	// rememberAfter is the time between two attempts.
	rememberAfter = time.Second
)

// Remembers reports whether orders can be written into conntrack: Never says something by
// bits that are set, and they are nobody else's.
func (m *Mark) Remembers() bool {
	return m.Never.Value != 0 && m.Never.Mask&(m.Blocked.Mask|m.Offload.Mask) == 0
}

func (g *Engine) ordered(ev *Ordered) {
	for i := range ev.Entries {
		rec := &ev.Entries[i]
		g.entryRead(ev.At, rec)
		g.obey(ev, rec.Key)
	}
	for _, key := range ev.Keys {
		g.obey(ev, key)
	}
}

// obey does what is ordered about an entry, and those that are of a connection with it.
func (g *Engine) obey(ev *Ordered, key flows.EntryKey) {
	e := g.entries.get(key)
	if e == nil {
		return
	}
	list := []*entry{e}
	if s := e.session; s != nil && !s.nominal {
		list = s.entries
	}
	switch ev.Kind {
	case OrderOffload:
		g.obeyOffload(e, list, ev.Unmark)
	case OrderInspect, OrderRevoke:
		g.obeyBack(e, list, ev)
	}
}

// obeyBack takes a connection out of the eswitch, and keeps it out.
func (g *Engine) obeyBack(e *entry, list []*entry, ev *Ordered) {
	o := order{kind: ev.Kind, since: g.now}
	if ev.For > 0 && ev.Kind == OrderInspect {
		o.until = g.now.Add(ev.For)
	}
	for _, e := range list {
		g.setOrder(e, o)
		e.denied = e.denied || ev.Kind == OrderRevoke
	}
	cause := ev.Kind.reason()
	if e.session != nil {
		g.remove(e.session, cause)
	}
	for _, s := range g.claimants(e) { // whose of them it is nobody knows yet
		g.remove(s, cause)
	}
	for _, e := range list {
		if e.session == nil {
			g.refuse(e, cause, "")
		}
	}
}

func (g *Engine) obeyOffload(e *entry, list []*entry, unmark bool) {
	if e.denied || e.closed {
		return
	}
	for _, e := range list {
		g.setOrder(e, order{kind: OrderOffload, since: g.now, marked: unmark})
		e.asked, e.notBefore, e.fails = true, 0, 0
	}
	switch s := e.session; {
	case s == nil && (permits(e.reason) || e.reason == flows.OrderInspect) && !g.cfg.Mark.Never.Matches(e.mark):
		g.judge(e, "")
	case s != nil && s.state != Removing:
		s.reason = flows.OrderOffload
		for _, e := range list {
			g.setReason(e, s.reason, e.detail)
		}
	}
}

func (k OrderKind) reason() flows.Reason {
	switch k {
	case OrderInspect:
		return flows.OrderInspect
	case OrderRevoke:
		return flows.OrderRevoke
	}
	return flows.OrderOffload
}

// setOrder lets an order stand instead of what stood before. One to revoke stands for good.
func (g *Engine) setOrder(e *entry, o order) {
	if g.entries.get(e.key) != e || g.orders[e].kind == OrderRevoke {
		return
	}
	before := g.orders[e]
	o.marked, o.tried = o.marked || before.marked, before.tried
	e.ordered = true
	g.orders[e] = o
	if never := o.kind != OrderOffload; never || o.marked {
		g.writeNever(e, never)
	}
}

// dropOrder forgets what was ordered.
func (g *Engine) dropOrder(e *entry) {
	if e.ordered {
		e.ordered = false
		delete(g.orders, e)
	}
}

// orderOf returns the order that stands about an entry; its kind is 0 where there is none.
func (g *Engine) orderOf(e *entry) (o order) {
	if e.ordered {
		o = g.orders[e]
	}
	if o.until != 0 && g.now >= o.until {
		return order{}
	}
	return o
}

// heldBack reports whether an operator wants an entry inspected.
func (g *Engine) heldBack(e *entry) bool { return g.orderOf(e).kind == OrderInspect }

// whyAsked returns why an entry is wanted whatever its size, or "".
func (g *Engine) whyAsked(e *entry) flows.Reason {
	switch {
	case g.cfg.Mark.Offload.Matches(e.mark):
		return flows.MarkOffload
	case g.orderOf(e).kind == OrderOffload:
		return flows.OrderOffload
	}
	return ""
}

// asked reports whether a session is offloaded because somebody asked for it by name.
func (s *session) asked() bool { return isAsked(s.reason) }

func isAsked(r flows.Reason) bool { return r == flows.MarkOffload || r == flows.OrderOffload }

// orderSays holds an order against what an entry is by its latest reading.
func (g *Engine) orderSays(e *entry, why flows.Reason) flows.Reason {
	if !e.ordered {
		return why
	}
	o := g.orders[e]
	switch {
	case g.orderOf(e).kind == 0: // its time is over
		g.wipe(e, o)
	case o.kind != OrderOffload:
		g.writeNever(e, true)
	case o.marked && g.cfg.Mark.Never.Matches(e.mark):
		g.writeNever(e, false)
	case o.marked && g.now.Sub(o.tried) >= rememberAfter: // it is off: should it come again, it is somebody else's
		o.marked = false
		g.orders[e] = o
	}
	if g.heldBack(e) && (why == "" || why == flows.MarkNever) {
		return flows.OrderInspect
	}
	return why
}

// wipe takes the mark of an order off whose time is over, and forgets that order when the mark
// is off, or does not go.
func (g *Engine) wipe(e *entry, o order) {
	if o.kind != 0 { // until now
		o = order{marked: o.marked, tried: o.tried}
		g.orders[e] = o
	}
	switch set := g.cfg.Mark.Never.Matches(e.mark); {
	case o.marked && set && o.tries < rememberTries:
		g.writeNever(e, false)
	case !o.marked || g.now.Sub(o.tried) >= rememberAfter: // what was written last is seen
		g.dropOrder(e)
	}
}

// writeNever writes Mark.Never into an entry, or takes it off, where that is configured.
func (g *Engine) writeNever(e *entry, never bool) {
	o := g.orders[e]
	switch {
	case !g.cfg.Mark.Remembers() || never == g.cfg.Mark.Never.Matches(e.mark):
		return
	case o.tries >= rememberTries || o.tries > 0 && g.now.Sub(o.tried) < rememberAfter:
		return
	}
	o.marked, o.tried = true, g.now
	o.tries++
	g.orders[e] = o
	g.emit(Remember{Entries: []flows.EntryKey{e.key}, Never: never})
}
