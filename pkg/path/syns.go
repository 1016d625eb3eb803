package path

import (
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/tap"
)

// maxSyns bounds what is remembered of handshakes. A connection takes four: one for each
// direction on each side of the inspector. Full, with the indices, this takes about 25 MB.
const maxSyns = 1 << 17

// syns remembers with which sequence number the last SYN of each tuple came in at ports. A
// connection may be worth an entry of the table only after hours, so that it is kept until
// the connection ends or others take its place; see store for who cannot push it out.
type syns struct{ store *store[flows.Tuple, syn] }

// syn is what must be the same on both sides of an inspector.
type syn struct {
	tags flows.Tags
	seq  uint32
}

func newSyns() syns { return syns{newStore[flows.Tuple, syn](maxSyns, 1)} }

// add takes a packet that was seen at an end of a wire or at a port of its inspector. What
// one sends that closes a connection there takes away what the same port has sent to open it.
func (s syns) add(t *tap.Sighting) {
	if t.Tuple.Proto != flows.TCP || t.Seen != 0 && t.Seen != t.Port {
		return
	}
	from := origin{t.Port, t.Port}
	switch {
	case t.TCPFlags&(tap.FIN|tap.RST) != 0:
		s.store.drop(t.Tuple, from)
	case t.TCPFlags&tap.SYN != 0:
		s.store.add(t.Tuple, from, syn{t.Tags, t.Seq}, t.At)
	}
}

// at returns the last SYN that came in at a port.
func (s syns) at(tuple flows.Tuple, port flows.PortID) (last found[syn], ok bool) {
	var buffer [4]found[syn]
	for _, f := range s.store.lookup(buffer[:0], tuple, 0) {
		if f.port == port {
			return f, true
		}
	}
	return last, false
}

// tapsDiffer is how much later one tap may tell of a packet than the next one on its way: less
// than it takes until a SYN is repeated (RFC 6298: a second).
const tapsDiffer = 500 * time.Millisecond

// same refuses a tuple whose last SYN did not come out of an inspector, by far, as it
// went in, by near.
func (s syns) same(tuple flows.Tuple, tags flows.Tags, near, far *Port) *Refusal {
	in, came := s.at(tuple, near.ID)
	out, went := s.at(tuple, far.ID)
	switch {
	case !came || in.value.tags != tags:
		return refuse(flows.InspectorUnseen, "no SYN of %s was seen at %s", tuple, near.Name)
	case !went || in.last > out.last.Add(tapsDiffer):
		return refuse(flows.InspectorUnseen, "the SYN of %s that entered %s was not seen to come out of the inspector at %s", tuple, near.Name, far.Name)
	case in.value != out.value:
		return refuse(flows.SeqAdjusted, "the SYN of %s has number %d at %s, and %d behind the inspector, at %s", tuple, in.value.seq, near.Name, out.value.seq, far.Name)
	}
	return nil
}
