package conntrack

import (
	"bufio"
	"encoding/hex"
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
)

// captured returns the messages in testdata/entries.hex: one entry of every
// kind, from a little-endian Linux 6.18.
func captured(t testing.TB) [][]byte {
	t.Helper()
	f, err := os.Open("testdata/entries.hex")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all [][]byte
	for lines := bufio.NewScanner(f); lines.Scan(); {
		msg, err := hex.DecodeString(lines.Text())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, msg)
	}
	return all
}

// The captured messages decode like ti-mo's, without a kernel or privileges.
func TestDecodeCaptured(t *testing.T) {
	if all := captured(t); len(all) < len(zoo()) {
		t.Fatalf("%d messages", len(all))
	}
	for _, msg := range captured(t) {
		compareDecoding(t, msg)
	}
}

// A message that ends early is an error that says where, or, if it ends between
// two attributes, an entry without the rest.
func TestDecodeTruncated(t *testing.T) {
	for _, msg := range captured(t) {
		var whole flows.Entry
		if err := decodeEntry(msg, &whole); err != nil {
			t.Fatal(err)
		}
		for n := range msg {
			var e flows.Entry
			err := decodeEntry(msg[:n:n], &e)
			var d *DecodeError
			if err == nil && (e.Key.Tuple != whole.Key.Tuple || e.Reply != whole.Reply) ||
				err != nil && (!errors.As(err, &d) || d.Offset > n) {
				t.Fatalf("%d of %d bytes: %v, %+v", n, len(msg), err, e.Key)
			}
		}
	}
}

// An attribute whose value is too short is an error, in every nesting.
func TestDecodeShortValues(t *testing.T) {
	for typ, f := range map[string]func(*request){
		"status": func(r *request) { r.bytes(ctaStatus, []byte{1, 2, 3}) },
		"zone":   func(r *request) { r.bytes(ctaZone, []byte{1}) },
		"counter": func(r *request) {
			n := r.nest(ctaCountersOrig)
			r.bytes(ctaCountersBytes, make([]byte, 7))
			r.unnest(n)
		},
		"start": func(r *request) { n := r.nest(ctaTimestamp); r.bytes(ctaTimestampStart, make([]byte, 4)); r.unnest(n) },
		"state": func(r *request) {
			n := r.nest(ctaProtoInfo)
			m := r.nest(ctaProtoInfoTCP)
			r.bytes(ctaTCPState, nil)
			r.unnest(m)
			r.unnest(n)
		},
	} {
		var r request
		start := r.begin(msgNew, 0, 1, IPv4)
		r.tuple(ctaTupleOrig, tcpTuple(1))
		r.tuple(ctaTupleReply, tcpTuple(1))
		end := len(r.b)
		f(&r)
		r.uint32(1000, 1) // unknown: skipped
		r.end(start)
		var e flows.Entry
		var d *DecodeError
		if err := decodeEntry(r.b, &e); !errors.As(err, &d) || d.Offset < end || d.Offset > len(r.b) {
			t.Errorf("%s: %v", typ, err)
		}
	}
}

func TestDecodeAllocatesNothing(t *testing.T) {
	var e flows.Entry
	for _, msg := range captured(t) {
		if allocs := testing.AllocsPerRun(10, func() { _ = decodeEntry(msg, &e) }); allocs != 0 {
			t.Errorf("%.0f allocations for %s", allocs, e.Key.Tuple)
		}
	}
}

func FuzzDecodeEntry(f *testing.F) {
	for _, msg := range captured(f) {
		f.Add(msg)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		var e flows.Entry
		if err := decodeEntry(msg, &e); err != nil {
			var d *DecodeError
			if !errors.As(err, &d) || d.Offset < 0 || d.Offset > len(msg) {
				t.Fatalf("error %v for %d bytes", err, len(msg))
			}
			return
		}
		// What was understood can be named in a request, which reads the same.
		var r request
		start := r.begin(msgNew, 0, 1, familyOf(e.Key.Tuple))
		r.key(&e.Key)
		r.tuple(ctaTupleReply, e.Reply)
		r.end(start)
		var again flows.Entry
		if err := decodeEntry(r.b, &again); err != nil || again.Key != e.Key || again.Reply != e.Reply {
			t.Fatalf("%v\n in %+v\nout %+v", err, e, again)
		}
	})
}

func FuzzReceive(f *testing.F) {
	for _, msg := range captured(f) {
		f.Add(msg)
	}
	var r request
	say(&r, unix.NLMSG_ERROR, unix.NLM_F_CAPPED|unix.NLM_F_ACK_TLVS, 1, fakePort,
		append(errorBody(unix.EINVAL), 12, 0, 1, 0, 'n', 'o', 0, 0, 0, 0, 0, 0)...)
	f.Add(r.b)
	f.Fuzz(func(t *testing.T, datagram []byte) {
		w := newFakeWire()
		w.answer = func([]byte) [][]byte { return [][]byte{datagram, nil} }
		c := fakeConn(w)
		_ = c.Dump(t.Context(), Filter{}, func(*flows.Entry) error { return nil })
		_ = c.Get(t.Context(), []flows.EntryKey{{Tuple: tcpTuple(1)}}, func(int, *flows.Entry, error) {})
		w.queue = [][]byte{nil}
		l := &Listener{wire: w, buf: make([]byte, 4096), rest: datagram}
		_ = l.Receive(t.Context(), func(*Event) error { return nil })
	})
}
