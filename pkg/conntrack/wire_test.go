package conntrack

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
)

// fakeWire is a kernel that says what a test wants.
type fakeWire struct {
	answer      func(request []byte) [][]byte // datagrams, nil: an overrun
	queue       [][]byte
	interrupted chan struct{}
	closed      bool
}

func newFakeWire() *fakeWire {
	return &fakeWire{interrupted: make(chan struct{}), answer: func([]byte) [][]byte { return nil }}
}

func (w *fakeWire) send(b []byte) error {
	w.queue = append(w.queue, w.answer(b)...)
	return nil
}

func (w *fakeWire) receive(b []byte) (int, error) {
	if len(w.queue) == 0 {
		<-w.interrupted
		return 0, os.ErrDeadlineExceeded
	}
	next := w.queue[0]
	w.queue = w.queue[1:]
	if next == nil {
		return 0, ErrOverrun
	}
	return copy(b, next), nil
}

func (w *fakeWire) setDeadline(t time.Time) error {
	if !t.IsZero() {
		close(w.interrupted)
	}
	return nil
}

func (w *fakeWire) close() error { w.closed = true; return nil }

const fakePort = 77

func fakeConn(w *fakeWire) *Conn {
	return &Conn{
		wire: w, port: fakePort, buf: make([]byte, datagram), slots: make([]slot, 8),
		open: func(uint32) (wire, error) { w.queue, w.closed = nil, false; return w, nil },
	}
}

// say writes one message of the kernel: an entry, or the body given.
func say(r *request, typ, flags uint16, seq, port uint32, body ...byte) {
	start := r.begin(typ, flags, seq, IPv4)
	if typ == msgNew {
		r.tuple(ctaTupleOrig, tcpTuple(int(seq)))
		r.tuple(ctaTupleReply, tcpTuple(int(seq)).Reverse())
	} else {
		r.b = append(r.b[:start+netlinkHeader], body...)
	}
	r.end(start)
	copyPort(r.b[start:], port)
}

func copyPort(msg []byte, port uint32) {
	msg[12], msg[13], msg[14], msg[15] = byte(port), byte(port>>8), byte(port>>16), byte(port>>24)
}

func TestDumpInterrupted(t *testing.T) {
	for name, flags := range map[string][2]uint16{
		"whole":       {0, 0},
		"at an entry": {unix.NLM_F_DUMP_INTR, 0},
		"at the end":  {0, unix.NLM_F_DUMP_INTR},
		"at both":     {unix.NLM_F_DUMP_INTR, unix.NLM_F_DUMP_INTR},
	} {
		w := newFakeWire()
		w.answer = func([]byte) [][]byte {
			var r request
			say(&r, msgNew, unix.NLM_F_MULTI, 0, fakePort)              // of an earlier request
			say(&r, msgNew, unix.NLM_F_MULTI, 1, fakePort+1)            // of another socket
			say(&r, msgNew, unix.NLM_F_MULTI|flags[0], 1, fakePort)     // ours
			say(&r, unix.NLMSG_DONE, flags[1], 1, fakePort, 0, 0, 0, 0) // the end
			return [][]byte{r.b}
		}
		seen := 0
		err := fakeConn(w).Dump(context.Background(), Filter{}, func(*flows.Entry) error { seen++; return nil })
		if seen != 1 {
			t.Errorf("%s: %d entries, want 1", name, seen)
		}
		if interrupted := errors.Is(err, ErrDumpInterrupted); interrupted != (name != "whole") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDumpErrors(t *testing.T) {
	var cut, refused request
	say(&cut, msgNew, 0, 1, fakePort)
	say(&refused, unix.NLMSG_ERROR, 0, 1, fakePort, errorBody(unix.EPERM)...)
	short := cut.b[:len(cut.b)-8]
	for name, c := range map[string]struct {
		datagrams [][]byte
		check     func(error) bool
	}{
		"overrun":   {[][]byte{nil}, func(err error) bool { return errors.Is(err, ErrOverrun) }},
		"truncated": {[][]byte{short}, isDecodeError},
		"refused":   {[][]byte{refused.b}, func(err error) bool { return errors.Is(err, unix.EPERM) }},
	} {
		w := newFakeWire()
		w.answer = func([]byte) [][]byte { return c.datagrams }
		if err := fakeConn(w).Dump(context.Background(), Filter{}, nil); !c.check(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func isDecodeError(err error) bool {
	var d *DecodeError
	return errors.As(err, &d)
}

func errorBody(errno unix.Errno) []byte {
	code := uint32(-int32(errno))
	return append([]byte{byte(code), byte(code >> 8), byte(code >> 16), byte(code >> 24)}, make([]byte, netlinkHeader)...)
}

// An answer that was lost fails the request and does not come late.
func TestBatchOverrun(t *testing.T) {
	w := newFakeWire()
	w.answer = func([]byte) [][]byte {
		var r request
		say(&r, msgNew, unix.NLM_F_MULTI, 1, fakePort)
		return [][]byte{r.b, nil}
	}
	c := fakeConn(w)
	keys := []flows.EntryKey{{Tuple: tcpTuple(1)}, {Tuple: tcpTuple(2)}}
	err := c.Get(context.Background(), keys, func(int, *flows.Entry, error) { t.Error("answered") })
	if !errors.Is(err, ErrOverrun) || !w.closed {
		t.Errorf("%v; socket dropped: %v", err, w.closed)
	}
}

// A key that no request can name is not found, and does not hurt its batch.
func TestInvalidKeys(t *testing.T) {
	netns := enterNetNS(t)
	c := dial(t, Config{NetNS: netns})
	e := createAll(t, netns, established(1))[0]
	mixed := tcpTuple(2)
	mixed.Dst = addr("2001:db8::1")
	keys := []flows.EntryKey{{}, e.Key, {Tuple: mixed}, {Tuple: flows.Tuple{Src: addr("::1")}}}
	err := c.Get(context.Background(), keys, func(i int, got *flows.Entry, err error) {
		if i == 1 && (err != nil || got.Key != e.Key) || i != 1 && !errors.Is(err, ErrNotFound) {
			t.Errorf("key %d: %v", i, err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Get(context.Background(), keys[:1], func(_ int, _ *flows.Entry, err error) {
		if !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	for _, key := range []flows.EntryKey{{}, {ID: 5}, {Tuple: e.Key.Tuple}, {ID: 5, Tuple: mixed}} {
		if err := c.Delete(context.Background(), key); !errors.Is(err, ErrNotFound) {
			t.Errorf("delete %+v: %v", key, err)
		}
	}
	if n := count(t, c, Filter{}); n != 1 {
		t.Errorf("%d entries left of 1", n)
	}
}
