package engine

import (
	"cmp"
	"container/heap"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// queue holds the entries that wait for the same home: a heap, the most valuable first.
type queue struct {
	home home
	list []waiter
}

// waiter is an entry with the value that it was queued for.
type waiter struct {
	value value
	entry *entry
}

func (a waiter) before(b waiter) bool {
	switch {
	case b.value.less(a.value):
		return true
	case a.value.less(b.value):
		return false
	}
	return cmp.Or(cmp.Compare(a.entry.first, b.entry.first), cmp.Compare(a.entry.key.ID, b.entry.key.ID),
		cmp.Compare(a.entry.key.Zone, b.entry.key.Zone)) < 0
}

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (q *queue) Len() int           { return len(q.list) }
func (q *queue) Less(i, j int) bool { return q.list[i].before(q.list[j]) }

// Swap implements heap.Interface.
func (q *queue) Swap(i, j int) {
	q.list[i], q.list[j] = q.list[j], q.list[i]
	q.list[i].entry.place, q.list[j].entry.place = int32(i), int32(j)
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	w := x.(waiter)
	w.entry.queue, w.entry.place = q, int32(len(q.list)) // bounded by Config.MaxFollow
	q.list = append(q.list, w)
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	last := len(q.list) - 1
	w := q.list[last]
	q.list[last] = waiter{}
	q.list = q.list[:last]
	w.entry.queue = nil
	return w
}

func (q *queue) add(e *entry) { heap.Push(q, waiter{e.value(), e}) }

// rememberHome is how long an entry is taken to travel between the ports that were
// found last. It bounds how long one waits for a table that it needs no more.
const rememberHome = 10 * time.Minute

// whereto returns the home that an entry is expected to have: that of its last path, or
// the only one that there is.
func (g *Engine) whereto(e *entry) home {
	if g.knowsHome(e) {
		return g.homeOf(e.in[flows.Orig], e.in[flows.Reply])
	}
	return home{g.sole, g.sole}
}

// knowsHome reports whether an entry had a path lately.
func (g *Engine) knowsHome(e *entry) bool {
	if e.in[flows.Orig] == 0 || g.now >= e.inUntil {
		return false
	}
	_, orig := g.ports[e.in[flows.Orig]]
	_, reply := g.ports[e.in[flows.Reply]]
	return orig && reply
}

// enqueue lets an entry wait for its home, or takes over its value where it does.
func (g *Engine) enqueue(e *entry) {
	home := g.whereto(e)
	if q := e.queue; q != nil && q.home == home {
		if v := e.value(); v != q.list[e.place].value {
			q.list[e.place].value = v
			heap.Fix(q, int(e.place))
		}
		return
	}
	g.unqueue(e)
	g.queueOf(home).add(e)
}

func (g *Engine) queueOf(h home) *queue {
	for _, q := range g.queues {
		if q.home == h {
			return q
		}
	}
	q := &queue{home: h}
	g.queues = append(g.queues, q)
	return q
}

// unqueue takes an entry that no longer waits off its queue.
func (g *Engine) unqueue(e *entry) {
	if e.queue != nil {
		heap.Remove(e.queue, int(e.place))
	}
}

// waiting returns all entries that wait, in no order.
func (g *Engine) waiting() []*entry {
	var list []*entry
	for _, q := range g.queues {
		for _, w := range q.list {
			list = append(list, w.entry)
		}
	}
	return list
}

// requeueAll sorts what waits anew after homes have changed.
func (g *Engine) requeueAll() {
	list := g.waiting()
	g.queues = nil
	for _, e := range list {
		e.queue = nil
		g.queueOf(g.whereto(e)).add(e)
	}
}

// obstacle returns why entries wait for a home.
func (g *Engine) obstacle(h home) flows.Reason {
	if len(g.sessions) >= g.cfg.Capacity || !h.fits() {
		return flows.TableFull
	}
	return flows.RateLimited
}
