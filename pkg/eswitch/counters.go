package eswitch

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// stat is what a reading keeps of one rule.
type stat struct {
	session flows.SessionID
	ref     Ref
	count   flows.Counters
	inHW    bool
}

// Counters reads what the eswitch counted for the sessions that are installed, and
// whether hardware still has their rules: a driver may lose its ports, or be told to
// stop (ethtool -K DEV hw-tc-offload off). Rules count since they were installed.
//
// Lost are sessions of which a rule has vanished without our doing; whether
// some of their rules are still there or not, they should be removed. Sessions
// that came or went during the call are not judged. On an error what could be
// read is returned and nothing is judged.
func (e *Eswitch) Counters(ctx context.Context) (counters []flows.SessionCounters, lost []flows.SessionID, err error) {
	e.reading.Lock()
	defer e.reading.Unlock()
	epoch, slots, n := e.beginReading()
	err = e.readSlots(ctx, slots)
	counters = e.collect(epoch, make([]flows.SessionCounters, 0, n))
	if err != nil {
		return counters, nil, err
	}
	suspects := e.suspects(epoch)
	if len(suspects) == 0 {
		e.tidy(ctx, epoch)
		return counters, nil, nil
	}
	// A dump can skip what moves while it runs: look again before saying so.
	if err := e.readSlots(ctx, suspects); err != nil {
		return counters, nil, err
	}
	counters, lost = e.collect(epoch, counters), e.lost(epoch)
	e.tidy(ctx, epoch)
	return counters, lost, nil
}

func (e *Eswitch) beginReading() (epoch uint32, slots []slot, sessions int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.epoch++
	slots = make([]slot, 0, len(e.slots))
	for s := range e.slots {
		slots = append(slots, s)
	}
	return e.epoch, slots, len(e.sessions)
}

// readSlots reads into e.stats; e.reading is held.
func (e *Eswitch) readSlots(ctx context.Context, slots []slot) error {
	e.stats = e.stats[:0]
	var errs []error
	for _, s := range slots {
		err := e.driver.Rules(ctx, Scope{Link: s.link, Class: s.class}, func(f *Found) {
			e.stats = append(e.stats, stat{f.Session, f.Ref, f.Count, f.InHW})
		})
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// collect adds what was read to the counters of the sessions.
func (e *Eswitch) collect(epoch uint32, counters []flows.SessionCounters) []flows.SessionCounters {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.stats {
		st := &e.stats[i]
		if st.session == 0 {
			e.sawGuard(epoch, st)
			continue
		}
		s := e.sessions[st.session]
		if s == nil || s.state != installed {
			continue
		}
		n := s.find(st.ref)
		if n < 0 {
			continue // a stray, for Sweep
		}
		if s.read != epoch {
			s.read, s.seen, s.index = epoch, 0, len(counters)
			counters = append(counters, flows.SessionCounters{ID: st.session, InHW: true})
		}
		if s.seen&(1<<n) != 0 {
			continue // reported twice
		}
		s.seen |= 1 << n
		read := &counters[s.index]
		read.InHW = read.InHW && st.inHW
		c := &read.Count[s.rules[n].rule.Dir]
		c.Packets += st.count.Packets
		c.Bytes += st.count.Bytes
	}
	return counters
}

func (s *session) find(ref Ref) int {
	for i := range s.rules {
		if s.rules[i].ref == ref {
			return i
		}
	}
	return -1
}

// lost returns the sessions that the reading did not see in full, and forgets the
// guards that it did not see: they are put back before anything relies on them again.
func (e *Eswitch) lost(epoch uint32) (ids []flows.SessionID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, g := range e.vanished(epoch) {
		e.forget(g)
	}
	return e.unseen(epoch)
}

// unseen returns sessions that were installed before the reading began, still
// are, and were not seen in full, or without a guard that they need. Whose guard was
// forgotten is lost whenever it was installed. e.mu is held.
func (e *Eswitch) unseen(epoch uint32) (ids []flows.SessionID) {
	for id, s := range e.sessions {
		whole := s.read == epoch && s.seen == uint32(1<<len(s.rules)-1) && s.guarded(epoch)
		if s.state == installed && (s.born < epoch && !whole || s.bare()) {
			ids = append(ids, id)
		}
	}
	return ids
}

// suspects returns where that should be which the reading did not see.
func (e *Eswitch) suspects(epoch uint32) (slots []slot) {
	e.mu.Lock()
	defer e.mu.Unlock()
	set := make(map[slot]bool)
	for _, id := range e.unseen(epoch) {
		for _, r := range e.sessions[id].rules {
			set[slot{r.ref.Link, r.ref.Class}] = true
		}
	}
	for _, g := range e.vanished(epoch) {
		set[slot{g.ref.Link, g.ref.Class}] = true
	}
	return slices.Collect(maps.Keys(set))
}
