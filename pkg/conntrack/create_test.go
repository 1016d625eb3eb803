package conntrack

import (
	"context"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
)

// spec is an entry for a test to create. The package itself cannot create any.
type spec struct {
	tuple   flows.Tuple
	reply   flows.Tuple // zero: the reverse
	zone    flows.Zone
	zoneDir uint16 // 0: both; else ctaTupleOrig or ctaTupleReply
	status  flows.Status
	timeout uint32 // zero: 1000
	mark    uint32
	labels  []byte
	helper  string
	master  *flows.Tuple
	seqAdj  bool
	syn     bool

	state  flows.TCPState
	flags  [2]uint8
	scales [2]uint8
}

// reversed returns what a tracker makes of the reverse direction.
func reversed(t flows.Tuple) flows.Tuple {
	r := t.Reverse()
	if t.Proto == flows.ICMP || t.Proto == flows.ICMPv6 {
		r.SrcPort = t.SrcPort
		r.DstPort = map[uint16]uint16{8 << 8: 0, 128 << 8: 129 << 8}[t.DstPort]
	}
	return r
}

func (s *spec) encode(r *request, seq uint32, flags uint16) {
	start := r.begin(msgNew, unix.NLM_F_CREATE|unix.NLM_F_EXCL|flags, seq, familyOf(s.tuple))
	reply := s.reply
	if !reply.IsValid() {
		reply = reversed(s.tuple)
	}
	s.zonedTuple(r, ctaTupleOrig, s.tuple)
	s.zonedTuple(r, ctaTupleReply, reply)
	if s.zone != 0 && s.zoneDir == 0 {
		r.uint16(ctaZone, uint16(s.zone))
	}
	timeout := s.timeout
	if timeout == 0 {
		timeout = 1000
	}
	r.uint32(ctaTimeout, timeout)
	r.uint32(ctaStatus, uint32(s.status|flows.StatusConfirmed))
	if s.mark != 0 {
		r.uint32(ctaMark, s.mark)
	}
	if s.labels != nil {
		r.bytes(ctaLabels, s.labels)
	}
	if s.helper != "" {
		help := r.nest(ctaHelp)
		r.bytes(1, append([]byte(s.helper), 0))
		r.unnest(help)
	}
	if s.master != nil {
		r.tuple(ctaTupleMaster, *s.master)
	}
	s.adjustments(r)
	if s.state != 0 {
		s.tcp(r)
	}
	r.end(start)
}

func (s *spec) zonedTuple(r *request, typ uint16, t flows.Tuple) {
	start := len(r.b)
	r.tuple(typ, t)
	if s.zoneDir == typ {
		r.uint16(ctaTupleZone, uint16(s.zone))
		r.unnest(start)
	}
}

func (s *spec) adjustments(r *request) {
	if s.seqAdj {
		for _, typ := range []uint16{ctaSeqAdjOrig, ctaSeqAdjReply} {
			adj := r.nest(typ)
			r.uint32(1, 10)
			r.uint32(2, 1)
			r.uint32(3, 2)
			r.unnest(adj)
		}
	}
	if s.syn {
		syn := r.nest(ctaSynproxy)
		r.uint32(1, 10)
		r.uint32(2, 1)
		r.uint32(3, 2)
		r.unnest(syn)
	}
}

func (s *spec) tcp(r *request) {
	info := r.nest(ctaProtoInfo)
	tcp := r.nest(ctaProtoInfoTCP)
	r.uint8(ctaTCPState, uint8(s.state))
	r.uint8(ctaTCPScaleOrig, s.scales[0])
	r.uint8(ctaTCPScaleReply, s.scales[1])
	r.bytes(ctaTCPFlagsOrig, []byte{s.flags[0], 0xff})
	r.bytes(ctaTCPFlagsReply, []byte{s.flags[1], 0xff})
	r.unnest(tcp)
	r.unnest(info)
}

// create makes entries through a socket of its own and returns the first
// refusal of each batch.
func create(t testing.TB, netns int, n int, at func(i int) spec) {
	t.Helper()
	c := dial(t, Config{NetNS: netns})
	ctx := context.Background()
	for start := 0; start < n; start += maxBatch {
		c.req.reset()
		first := c.seq + 1
		for i := start; i < min(n, start+maxBatch); i++ {
			var flags uint16
			if i == min(n, start+maxBatch)-1 {
				flags = unix.NLM_F_ACK
			}
			c.seq++
			s := at(i)
			s.encode(&c.req, c.seq, flags)
		}
		err := c.exchange(ctx, first, c.seq, func(i int, m *message) {
			if err := refusal("create", m); err != nil {
				s := at(start + i)
				t.Fatalf("entry %d (%s): %v", start+i, s.tuple, err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// createAll makes one entry for each spec and returns them as read, in order.
func createAll(t testing.TB, netns int, specs ...spec) []flows.Entry {
	t.Helper()
	create(t, netns, len(specs), func(i int) spec { return specs[i] })
	c := dial(t, Config{NetNS: netns})
	var entries []flows.Entry
	for _, s := range specs {
		zone := s.zone
		if s.zoneDir == ctaTupleReply {
			zone = 0
		}
		e, err := c.Find(context.Background(), zone, s.tuple)
		if err != nil {
			t.Fatalf("find %s: %v", s.tuple, err)
		}
		entries = append(entries, e)
	}
	return entries
}

func keysOf(entries []flows.Entry) []flows.EntryKey {
	keys := make([]flows.EntryKey, len(entries))
	for i := range entries {
		keys[i] = entries[i].Key
	}
	return keys
}

const replied = flows.StatusSeenReply | flows.StatusAssured

// tcpTuple returns the i-th of 16 million distinct TCP tuples.
func tcpTuple(i int) flows.Tuple {
	return flows.Tuple{
		Src: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), Dst: netip.AddrFrom4([4]byte{192, 0, 2, 1}),
		SrcPort: uint16(1024 + i%60000), DstPort: 443, Proto: flows.TCP,
	}
}

// established returns the i-th established TCP entry.
func established(i int) spec {
	return spec{
		tuple: tcpTuple(i), status: replied, state: flows.TCPEstablished,
		flags:  [2]uint8{flows.TCPFlagWindowScale | flows.TCPFlagMaxAckSet, flows.TCPFlagWindowScale | flows.TCPFlagMaxAckSet},
		scales: [2]uint8{7, 9},
	}
}
