package engine

import (
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// entry is one followed conntrack entry.
type entry struct {
	key     flows.EntryKey
	next    *entry       // the next entry with the same addresses and ports
	nat     *translation // nil: its zone translates nothing
	session *session     // the session it belongs to, or nil

	start       uint64        // when the kernel made it, as flows.Entry.Start
	first, seen flows.Instant // when it was first, and last, read
	expires     flows.Instant // when the kernel will drop it, as far as is known
	sampled     flows.Instant // when bytes were last taken as a sample of the rate
	bytes       uint64
	sampleBytes uint64
	packets     [2]uint64
	grew        [2]growth // by Dir, of packets
	rate        float64   // bytes per second; negative until two samples exist

	reason flows.Reason
	detail string
	since  flows.Instant // of reason

	queue   *queue          // where it waits to be offloaded, or nil
	in      [2]flows.PortID // by Dir, where it came in when its path was last known
	inUntil flows.Instant   // until when that is taken to be so
	shape   shape           // of that path

	beyond flows.Zone    // where it is tracked on the other side of the inspector of its wire,
	atWire flows.Instant // until when that is taken to be so; 0: there is none

	decided     decided       // what policies say
	zeroed      *zeroed       // what does not show in its counters any more; nil: nothing
	inspectFrom *[2]uint64    // packets that do not count as inspected any more; nil: all do
	unseenFrom  flows.Instant // since when packets went past the slow path, but for pauses; 0: they do not

	notBefore   flows.Instant // no new attempt until then
	mark        uint32
	place       int32 // in queue
	verdict     flows.Verdict
	fails       uint8      // attempts in a row that failed
	moves       uint8      // changes of its path in a row, each soon after the one before
	dscp        flows.DSCP // of its original direction, when its path was last known
	asked       bool       // wanted because of its mark or an order, not its size
	established bool       // its handshake was seen: not picked up in mid-stream
	closed      bool       // FIN or RST was seen; final
	denied      bool       // was revoked; final for this entry
	labelled    bool       // Engine.labels has its labels
	ordered     bool       // Engine.orders has an operator's order about it
	missed      bool       // the last whole dump did not show it
	unacked     [2]bool    // by Dir, the other end had not acknowledged all data when it was last read
}

// zeroed is what was counted before somebody set the counters of an entry to zero, as
// conntrack -L -z does, as far as it was read.
type zeroed struct {
	bytes   uint64
	packets [2]uint64
}

// translation is the other name of an entry whose zone translates.
type translation struct {
	reply flows.Tuple
	next  *entry // the next one with the same addresses and ports there
}

// reply returns the tuple of the reply direction, as its packets come to the zone.
func (e *entry) reply() flows.Tuple {
	if e.nat != nil {
		return e.nat.reply
	}
	return e.key.Tuple.Reverse()
}

// leaves returns the tuple by which packets of the original direction leave the zone.
func (e *entry) leaves() flows.Tuple {
	if e.nat != nil {
		return e.nat.reply.Reverse()
	}
	return e.key.Tuple
}

// replacedBy reports whether rec, which has the same key, is of a later connection.
// The kernel's id is a hash over the entry's address and tuple, so that a connection
// which takes the place of one with the same tuple at once can have the same; what
// tells them apart is how replies are addressed, which never changes, the time of
// creation, where nf_conntrack_timestamp is on, and where it is not,
// counters, which fall where somebody sets them to zero, and never else.
func (e *entry) replacedBy(rec *flows.Entry) bool {
	switch {
	case e.reply() != rec.Reply:
		return true
	case e.start != 0 && rec.Start != 0:
		return e.start != rec.Start
	}
	return e.fell(rec)
}

// fell reports whether the counters of a read are lower than they were: by less than half they
// are only where two reads crossed each other on the way here.
func (e *entry) fell(rec *flows.Entry) bool {
	before := e.packets[flows.Orig] + e.packets[flows.Reply]
	if z := e.zeroed; z != nil {
		before -= z.packets[flows.Orig] + z.packets[flows.Reply]
	}
	return rec.HasCount && rec.Packets() < before/2
}

// sampleEvery is the least time over which a rate is measured.
const sampleEvery = 50 * time.Millisecond

// measure takes the counters of a read. What they count never falls while an entry lives.
func (e *entry) measure(at flows.Instant, rec *flows.Entry) {
	if e.fell(rec) {
		e.zeroed = &zeroed{e.bytes, e.packets}
	}
	var before zeroed
	if e.zeroed != nil {
		before = *e.zeroed
	}
	e.bytes = max(e.bytes, before.bytes+rec.Bytes())
	for d := range e.packets {
		e.unacked[d] = rec.TCP.Flags[d]&flows.TCPFlagUnacked != 0
		packets := before.packets[d] + rec.Count[d].Packets
		if packets > e.packets[d] {
			e.grew[d].note(at)
		}
		e.packets[d] = max(e.packets[d], packets)
	}
	gap := at.Sub(e.sampled)
	if gap < sampleEvery {
		return
	}
	rate := float64(e.bytes-e.sampleBytes) / gap.Seconds()
	if e.rate >= 0 {
		rate = (e.rate + rate) / 2
	}
	e.rate, e.sampled, e.sampleBytes = rate, at, e.bytes
}

// isElephant tells whether the entry passes the thresholds.
func (e *entry) isElephant(t *flows.Terms) bool {
	return e.rate >= t.Rate && e.bytes >= t.Bytes && e.seen.Sub(e.first) >= t.Age
}

// value orders entries and sessions that compete for the table: what was asked
// for by mark goes before what is merely fast.
type value struct {
	asked bool
	rate  float64
}

func (v value) less(w value) bool {
	if v.asked != w.asked {
		return w.asked
	}
	return v.rate < w.rate
}

func (e *entry) value() value { return value{e.asked, e.rate} }
