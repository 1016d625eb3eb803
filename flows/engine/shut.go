package engine

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// kind is what a NIC can or cannot do: an old one knows no IPv6, or no TCP flags, or
// forwards packets but does not change them.
type kind struct {
	proto flows.Proto
	v6    bool
	shape shape
}

// kind returns that of a session whose path is known.
func (s *session) kind() kind { return kind{s.tuple.Proto, s.tuple.IsIPv6(), shapeOf(s.paths)} }

// kindOf returns the kind that an entry is expected to be of: by its last path, or plain.
func (g *Engine) kindOf(e *entry) kind {
	k := kind{proto: e.key.Tuple.Proto, v6: e.key.Tuple.IsIPv6()}
	if g.knowsHome(e) {
		k.shape = e.shape
	}
	return k
}

// String names the kind, as "tcp over IPv6, routed".
func (k kind) String() string {
	over := " over IPv4"
	if k.v6 {
		over = " over IPv6"
	}
	return k.proto.String() + over + k.shape.String()
}

// shutter keeps connections of one kind from an eswitch that has refused so many of them
// in a row, but not for want of room. Each attempt costs the driver's time and
// leaves a relaxed window behind, so only one is made now and then.
type shutter struct {
	inRow  int
	wait   time.Duration // from a refusal to the next attempt
	until  flows.Instant // no attempt before, but for this one:
	trial  flows.SessionID
	detail string // of the last refusal
}

const (
	shutAfter     = 8 // refusals
	firstShut     = 30 * time.Second
	longestShut   = 10 * time.Minute
	answerToTrial = 5 * time.Second // for the one attempt; the others wait for what comes of it
)

// refused takes a refusal of a session by one of its eswitches; which one is not told.
func (s *session) refused(now flows.Instant, detail string) {
	for r := range s.home.each {
		if r.shut == nil {
			r.shut = make(map[kind]*shutter)
		}
		c := r.shut[s.kind()]
		if c == nil {
			c = &shutter{wait: firstShut}
			r.shut[s.kind()] = c
		}
		c.inRow, c.detail = c.inRow+1, detail
		switch {
		case c.inRow == shutAfter:
			c.until = now.Add(c.wait)
		case c.inRow > shutAfter && now >= c.until.Add(-answerToTrial): // not of those that were on their way
			c.wait = min(2*c.wait, longestShut)
			c.until = now.Add(c.wait)
		}
	}
}

// accepted opens the eswitches of a session for its kind.
func (s *session) accepted() {
	for r := range s.home.each {
		delete(r.shut, s.kind())
	}
}

// shutFor returns what keeps connections of a kind from a home now, or nil. It may be asked
// for a session, since the one attempt is not kept; else s is nil.
func (h home) shutFor(k kind, s *session, now flows.Instant) *shutter {
	for r := range h.each {
		if c := r.shut[k]; c != nil && c.inRow >= shutAfter && now < c.until && (s == nil || c.trial != s.id) {
			return c
		}
	}
	return nil
}

// tryShut lets a session be the one attempt that is made now and then.
func (s *session) tryShut(k kind, now flows.Instant) {
	for r := range s.home.each {
		if c := r.shut[k]; c != nil && c.inRow >= shutAfter && c.trial != s.id {
			c.trial, c.until = s.id, now.Add(answerToTrial)
		}
	}
}

// putOff lets an entry wait until its kind may be tried again.
func (g *Engine) putOff(e *entry, c *shutter) {
	g.unqueue(e)
	e.notBefore = c.until
	g.setReason(e, flows.Refused, c.detail)
}

// shutKinds tells the kinds of connections that an eswitch refuses, with what it said.
func (r *room) shutKinds() []string {
	var list []string
	for k, c := range r.shut {
		if c.inRow >= shutAfter {
			list = append(list, fmt.Sprintf("%v: %s", k, c.detail))
		}
	}
	slices.SortFunc(list, cmp.Compare[string])
	return list
}
