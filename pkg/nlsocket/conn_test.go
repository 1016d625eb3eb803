package nlsocket

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// namespace moves the test to a network namespace of its own.
func namespace(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("missing: root, for a network namespace")
	}
	runtime.LockOSThread() // never unlocked: the thread ends with its namespace
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
}

func dial(t *testing.T, protocol int) *Conn {
	t.Helper()
	c, err := Dial(protocol, Config{ReceiveBuffer: 1 << 20, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// linkOf is a request for the device with an index; 0 and a dump: for all.
func linkOf(index uint32, flags uint16) Message {
	b := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(b[4:], index)
	return Message{Type: unix.RTM_GETLINK, Flags: flags, Payload: b}
}

func TestDo(t *testing.T) {
	namespace(t)
	c := dial(t, unix.NETLINK_ROUTE)
	count := func(req Message) (n int, err error) {
		err = c.Do(t.Context(), req, func(m Message) error {
			if m.Type != unix.RTM_NEWLINK || len(m.Payload) < unix.SizeofIfInfomsg {
				t.Errorf("%+v", m)
			}
			n++
			return nil
		})
		return n, err
	}
	if n, err := count(linkOf(1, 0)); n != 1 || err != nil {
		t.Errorf("one device: %d, %v", n, err)
	}
	if n, err := count(linkOf(0, unix.NLM_F_DUMP)); n < 1 || err != nil {
		t.Errorf("all devices: %d, %v", n, err)
	}
	_, err := count(linkOf(1<<20, 0))
	refusal, ok := errors.AsType[*Error](err)
	if !ok || refusal.Errno != unix.ENODEV || !errors.Is(err, unix.ENODEV) {
		t.Errorf("a device that is not there: %v", err)
	}
	mine := errors.New("mine")
	for range 2 { // what is left of the answer confuses nobody
		if err := c.Do(t.Context(), linkOf(0, unix.NLM_F_DUMP), func(Message) error { return mine }); err != mine {
			t.Errorf("an error of the caller's: %v", err)
		}
	}
	if n, err := count(linkOf(1, 0)); n != 1 || err != nil {
		t.Errorf("after errors: %d, %v", n, err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Do(over, linkOf(1, 0), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that is over: %v", err)
	}
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Error(err)
	}
	if err := c.Do(t.Context(), linkOf(1, 0), nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("when closed: %v", err)
	}
}

// What is left of an earlier answer is passed over, up to its end.
func TestAnswersToSomethingElse(t *testing.T) {
	c := &Conn{seq: 2}
	list := Message{Type: unix.RTM_NEWLINK, Flags: unix.NLM_F_MULTI, Payload: []byte{1, 2, 3, 4}}
	end := Message{Type: unix.NLMSG_DONE, Flags: unix.NLM_F_MULTI, Payload: []byte{0, 0, 0, 0}}
	var b []byte
	for _, m := range [][]byte{encode(list, 1), encode(end, 1), encode(list, 2)} {
		b = append(b, m...)
	}
	n := 0
	count := func(Message) error { n++; return nil }
	if done, err := c.takeAll(b, count, false); done || err != nil || n != 1 {
		t.Errorf("%t, %v, %d", done, err, n)
	}
	list.Flags |= unix.NLM_F_DUMP_INTR
	if done, err := c.takeAll(append(encode(list, 2), encode(end, 2)...), count, false); !done || !errors.Is(err, ErrInterrupted) || n != 2 {
		t.Errorf("%t, %v, %d", done, err, n)
	}
	if done, err := c.takeAll(append(encode(list, 2), encode(end, 2)...), count, true); !done || n != 2 {
		t.Errorf("after a failure: %t, %v, %d", done, err, n)
	}
}

// A request that the kernel explains its refusal of.
func TestWords(t *testing.T) {
	namespace(t)
	c := dial(t, unix.NETLINK_ROUTE)
	req := linkOf(0, unix.NLM_F_DUMP)
	req.Payload = append(req.Payload, 8, 0, unix.IFLA_TARGET_NETNSID, 0, 0xff, 0xff, 0xff, 0x7f)
	err := c.Do(t.Context(), req, nil)
	if refusal, ok := errors.AsType[*Error](err); !ok || refusal.Message == "" {
		t.Errorf("%v", err)
	}
}

func TestFindFamily(t *testing.T) {
	c := dial(t, unix.NETLINK_GENERIC)
	f, err := c.FindFamily(t.Context(), "nlctrl")
	if err != nil || f.ID != unix.GENL_ID_CTRL || f.Groups["notify"] == 0 {
		t.Errorf("%+v, %v", f, err)
	}
	if _, err := c.FindFamily(t.Context(), "no such thing"); !errors.Is(err, ErrNoFamily) {
		t.Errorf("%v", err)
	}
}

func TestListener(t *testing.T) {
	namespace(t)
	l, err := Listen(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK)
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, unix.NETLINK_ROUTE)
	touch := func(group byte) {
		t.Helper()
		req := linkOf(1, 0)
		req.Type = unix.RTM_SETLINK
		req.Payload[8], req.Payload[12] = unix.IFF_UP, unix.IFF_UP // one that is down is not told of
		req.Payload = append(req.Payload, 8, 0, unix.IFLA_GROUP, 0, group, 0, 0, 0)
		if err := c.Do(t.Context(), req, nil); err != nil {
			t.Fatal(err)
		}
	}
	touch(0)
	b, err := l.Receive(t.Context())
	if m, _, errCut := Cut(b); err != nil || errCut != nil || m.Type != unix.RTM_NEWLINK {
		t.Errorf("%+v, %v, %v", m, err, errCut)
	}
	over, cancel := context.WithCancel(t.Context())
	stop := time.AfterFunc(10*time.Millisecond, cancel)
	defer stop.Stop()
	for err = nil; err == nil; { // that it is up has more than one message
		_, err = l.Receive(over)
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that ends: %v", err)
	}
	for range 3000 {
		touch(0)
	}
	for err = nil; err == nil; {
		_, err = l.Receive(t.Context())
	}
	if !errors.Is(err, ErrOverrun) {
		t.Fatalf("after too many: %v", err)
	}
	touch(9)
	b, err = l.Receive(t.Context())
	if err != nil || !bytes.Contains(b, []byte{8, 0, unix.IFLA_GROUP, 0, 9, 0, 0, 0}) {
		t.Errorf("after an overrun something old is heard: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := l.Receive(t.Context()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("when closed: %v", err)
	}
}

// FuzzCut: whatever the bytes are, nothing panics and it comes to an end.
func FuzzCut(f *testing.F) {
	f.Add(encode(linkOf(1, 0), 1))
	f.Add(append(encode(Message{Type: unix.NLMSG_ERROR, Payload: []byte{1, 2, 3}}, 1), 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			m, rest, err := Cut(b)
			if err != nil {
				return
			}
			if len(rest) >= len(b) {
				t.Fatal("no end")
			}
			_ = refusal(m)
			_, _, _ = Generic(m)
			b = rest
		}
	})
}
