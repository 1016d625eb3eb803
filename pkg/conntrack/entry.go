package conntrack

import "github.com/flowshunt/flowshunt/flows"

// Attributes of an entry (enum ctattr_type).
const (
	ctaTupleOrig     = 1
	ctaTupleReply    = 2
	ctaStatus        = 3
	ctaProtoInfo     = 4
	ctaHelp          = 5
	ctaTimeout       = 7
	ctaMark          = 8
	ctaCountersOrig  = 9
	ctaCountersReply = 10
	ctaID            = 12
	ctaTupleMaster   = 14
	ctaSeqAdjOrig    = 15
	ctaSeqAdjReply   = 16
	ctaZone          = 18
	ctaTimestamp     = 20
	ctaMarkMask      = 21
	ctaLabels        = 22
	ctaLabelsMask    = 23
	ctaSynproxy      = 24
	ctaStatusMask    = 26

	ctaCountersPackets = 1
	ctaCountersBytes   = 2

	ctaTimestampStart = 1
)

// decodeEntry overwrites e with the entry in msg, a whole netlink message. It
// allocates nothing, skips attributes that it does not know, and fails on those
// that are truncated and on an entry without both tuples.
//
// A zone that counts in one direction only is the entry's zone if that is the
// original direction, because a lookup by the original tuple wants it; one that
// counts in the reply direction leaves zone 0. OVS uses zones of both.
func decodeEntry(msg []byte, e *flows.Entry) error {
	*e = flows.Entry{}
	if len(msg) < headers {
		return &DecodeError{Offset: len(msg), Reason: "header truncated"}
	}
	a := attrs{msg: msg, pos: headers, end: len(msg)}
	for a.next() {
		decodeAttr(&a, e)
	}
	if a.err == nil && (!e.Key.Tuple.IsValid() || !e.Reply.IsValid()) {
		a.fail("entry without both tuples")
	}
	if a.err != nil {
		return a.err
	}
	return nil
}

func decodeAttr(a *attrs, e *flows.Entry) {
	switch a.typ {
	case ctaTupleOrig:
		if zone := decodeTuple(a, &e.Key.Tuple); zone != 0 {
			e.Key.Zone = zone
		}
	case ctaTupleReply:
		decodeTuple(a, &e.Reply)
	case ctaStatus:
		e.Status = flows.Status(a.uint32())
	case ctaProtoInfo:
		decodeProtoInfo(a, &e.TCP)
	case ctaTimeout:
		e.Timeout = a.uint32()
	case ctaMark:
		e.Mark = a.uint32()
	case ctaCountersOrig:
		decodeCounters(a, &e.Count[flows.Orig])
		e.HasCount = true
	case ctaCountersReply:
		decodeCounters(a, &e.Count[flows.Reply])
		e.HasCount = true
	case ctaID:
		e.Key.ID = a.uint32()
	case ctaZone:
		e.Key.Zone = flows.Zone(a.uint16())
	case ctaTimestamp:
		decodeTimestamp(a, e)
	case ctaLabels:
		copy(e.Labels[:], a.value)
	case ctaHelp:
		e.HasHelper = true
	case ctaTupleMaster:
		e.HasMaster = true
	case ctaSeqAdjOrig, ctaSeqAdjReply:
		e.HasSeqAdj = true
	case ctaSynproxy:
		e.HasSynPrx = decodeSynproxy(a)
	}
}

// decodeSynproxy reports whether any parameter is set. The attribute alone says
// nothing: entries made over ctnetlink have it without any SYN proxy.
func decodeSynproxy(a *attrs) (active bool) {
	in := a.nested()
	for in.next() {
		active = active || in.uint32() != 0
	}
	a.adopt(&in)
	return active
}

func decodeCounters(a *attrs, c *flows.Counters) {
	in := a.nested()
	for in.next() {
		switch in.typ {
		case ctaCountersPackets:
			c.Packets = in.uint64()
		case ctaCountersBytes:
			c.Bytes = in.uint64()
		}
	}
	a.adopt(&in)
}

func decodeTimestamp(a *attrs, e *flows.Entry) {
	in := a.nested()
	for in.next() {
		if in.typ == ctaTimestampStart {
			e.Start = in.uint64()
		}
	}
	a.adopt(&in)
}
