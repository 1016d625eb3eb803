package engine

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// kind is what a NIC can or cannot match: an old one knows no IPv6, or no TCP flags.
type kind struct {
	proto flows.Proto
	v6    bool
}

func kindOf(t flows.Tuple) kind { return kind{t.Proto, t.IsIPv6()} }

// String names the kind, as "tcp over IPv6".
func (k kind) String() string {
	if k.v6 {
		return k.proto.String() + " over IPv6"
	}
	return k.proto.String() + " over IPv4"
}

// shutter keeps connections of one kind from an eswitch that has refused so many of them
// in a row, but not for want of room. Each attempt costs the driver's time and
// leaves a relaxed window behind, so only one is made now and then.
type shutter struct {
	inRow  int
	wait   time.Duration // from a refusal to the next attempt
	until  flows.Instant // no attempt before
	detail string        // of the last refusal
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
		c := r.shut[kindOf(s.tuple)]
		if c == nil {
			c = &shutter{wait: firstShut}
			r.shut[kindOf(s.tuple)] = c
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
		delete(r.shut, kindOf(s.tuple))
	}
}

// shutFor returns what keeps connections like an entry from a home now, or nil.
func (h home) shutFor(e *entry, now flows.Instant) *shutter {
	for r := range h.each {
		if c := r.shut[kindOf(e.key.Tuple)]; c != nil && c.inRow >= shutAfter && now < c.until {
			return c
		}
	}
	return nil
}

// tryShut lets an entry be the one attempt that is made now and then.
func (h home) tryShut(e *entry, now flows.Instant) {
	for r := range h.each {
		if c := r.shut[kindOf(e.key.Tuple)]; c != nil && c.inRow >= shutAfter {
			c.until = now.Add(answerToTrial)
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
