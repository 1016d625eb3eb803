package conntrack

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
)

func count(t testing.TB, c *Conn, f Filter) int {
	t.Helper()
	n := 0
	if err := c.Dump(context.Background(), f, func(*flows.Entry) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestDumpFilter(t *testing.T) {
	netns := enterNetNS(t)
	makeZoo(t, netns)
	c := dial(t, Config{NetNS: netns})
	var all []flows.Entry
	if err := c.Dump(context.Background(), Filter{}, func(e *flows.Entry) error {
		all = append(all, *e)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	// The kernel says that a zone of the reply direction is no zone 0.
	replyZone := tuple(flows.UDP, false, 20, 1, 2)
	for name, filter := range map[string]Filter{
		"v4": {Family: IPv4}, "v6": {Family: IPv6}, "replied": Replied,
		"assured":            {Status: flows.StatusAssured},
		"replied, unassured": {Status: flows.StatusSeenReply, Clear: flows.StatusAssured},
		"no reply":           {Clear: flows.StatusSeenReply},
		"zone 0":             {InZone: true}, "zone 20": {InZone: true, Zone: 20}, "zone 65535": {InZone: true, Zone: 65535},
		"v6 in zone 10": {Family: IPv6, InZone: true, Zone: 10},
	} {
		want := 0
		for i := range all {
			if filter.matches(&all[i]) && !(filter.InZone && filter.Zone == 0 && all[i].Key.Tuple == replyZone) {
				want++
			}
		}
		if got := count(t, c, filter); got != want {
			t.Errorf("%s: %d entries, want %d of %d", name, got, want, len(all))
		}
		if want == len(all) || want == 0 && name != "v6 in zone 10" {
			t.Errorf("%s: %d of %d entries, so the case shows nothing", name, want, len(all))
		}
	}
}

// matches is the whole filter where the kernel is too old to know one.
func TestFilterMatches(t *testing.T) {
	e := flows.Entry{Key: flows.EntryKey{Zone: 3, Tuple: tcpTuple(1)}, Status: flows.StatusSeenReply | flows.StatusConfirmed}
	for _, c := range []struct {
		f    Filter
		want bool
	}{
		{Filter{}, true}, {Replied, true}, {Filter{Family: IPv4}, true}, {Filter{Family: IPv6}, false},
		{Filter{Status: replied}, false}, {Filter{Clear: flows.StatusAssured}, true}, {Filter{Clear: flows.StatusSeenReply}, false},
		{Filter{Zone: 4}, true}, {Filter{Zone: 4, InZone: true}, false}, {Filter{Zone: 3, InZone: true}, true},
		{Filter{InZone: true}, false},
	} {
		if got := c.f.matches(&e); got != c.want {
			t.Errorf("%+v: %v", c.f, got)
		}
	}
}

func TestDumpAllocatesNothingPerEntry(t *testing.T) {
	netns := enterNetNS(t)
	const n = 5000
	create(t, netns, n, established)
	c := dial(t, Config{NetNS: netns})
	seen := 0
	f := func(e *flows.Entry) error { seen++; return nil }
	allocs := testing.AllocsPerRun(5, func() {
		seen = 0
		if err := c.Dump(context.Background(), Replied, f); err != nil {
			t.Fatal(err)
		}
	})
	if seen != n || allocs > 20 { // some for each dump, not even one for each datagram (48)
		t.Errorf("%.0f allocations for %d entries, want at most 20", allocs, seen)
	}
}

// A dump that was broken off, by f or by ctx, leaves nothing behind.
func TestDumpBrokenOff(t *testing.T) {
	netns := enterNetNS(t)
	const n = 3000
	create(t, netns, n, established)
	c := dial(t, Config{NetNS: netns})
	port := c.PortID()
	stop := errors.New("stop")
	seen := 0
	err := c.Dump(context.Background(), Filter{}, func(*flows.Entry) error {
		if seen++; seen == 10 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || seen != 10 {
		t.Fatalf("after %d entries: %v", seen, err)
	}
	if got := count(t, c, Filter{Clear: flows.StatusSeenReply}); got != 0 {
		t.Errorf("%d entries of the dump before", got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	seen = 0
	err = c.Dump(ctx, Filter{}, func(*flows.Entry) error { seen++; cancel(); return nil })
	if !errors.Is(err, context.Canceled) || seen == n {
		t.Fatalf("after %d entries: %v", seen, err)
	}
	e := createAll(t, netns, spec{tuple: tuple(flows.UDP, true, 1, 1, 2)})[0]
	if got, err := get(t, c, e.Key); err != nil || got.Key != e.Key {
		t.Errorf("get: %+v, %v", got, err)
	}
	if got := count(t, c, Filter{}); got != n+1 {
		t.Errorf("%d entries, want %d", got, n+1)
	}
	if c.PortID() != port || c.wire.(*socket).port != port {
		t.Errorf("port id %d, was %d", c.wire.(*socket).port, port)
	}
	if _, err := get(t, c, e.Key); err != nil {
		t.Error(err)
	}
	if err := c.Get(ctx, []flows.EntryKey{e.Key}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("get with a dead context: %v", err)
	}
}

// What stands in the table from beginning to end is seen, whatever comes and
// goes beside it.
func TestDumpUnderChurn(t *testing.T) {
	netns := enterNetNS(t)
	const stable = 4000
	create(t, netns, stable, established)
	var stop atomic.Bool
	churned := make(chan int)
	go func() {
		n := 0
		defer func() { churned <- n }()
		churn, err := Dial(Config{NetNS: netns})
		if err != nil {
			t.Error(err)
			return
		}
		defer churn.Close()
		for ; !stop.Load(); n++ {
			key := flows.EntryKey{Tuple: tcpTuple(1<<20 + n%5000)}
			s := established(1<<20 + n%5000)
			churn.req.reset()
			churn.seq += 2
			s.encode(&churn.req, churn.seq-1, 0)
			start := churn.req.begin(msgDelete, unix.NLM_F_ACK, churn.seq, IPv4)
			churn.req.key(&flows.EntryKey{Tuple: tcpTuple(1<<20 + (n+2500)%5000)})
			churn.req.end(start)
			_ = key
			if err := churn.exchange(context.Background(), churn.seq-1, churn.seq, func(int, *message) {}); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	c := dial(t, Config{NetNS: netns})
	for range 20 {
		seen := map[flows.Tuple]bool{}
		err := c.Dump(context.Background(), Filter{}, func(e *flows.Entry) error {
			seen[e.Key.Tuple] = true
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := range stable {
			if !seen[tcpTuple(i)] {
				t.Fatalf("entry %d was not seen", i)
			}
		}
	}
	stop.Store(true)
	if n := <-churned; n < 100 {
		t.Errorf("only %d changes meanwhile", n)
	}
}

func TestUseAfterClose(t *testing.T) {
	netns := enterNetNS(t)
	c := dial(t, Config{NetNS: netns})
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	if err := c.Dump(context.Background(), Filter{}, nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("dump after close: %v", err)
	}
}

// Concurrent callers take turns and get their own answers.
func TestConcurrentUse(t *testing.T) {
	netns := enterNetNS(t)
	entries := createAll(t, netns, established(1), established(2), established(3), established(4))
	c := dial(t, Config{NetNS: netns})
	done := make(chan error)
	for i := range entries {
		go func() {
			var failed error
			for range 200 {
				err := c.Get(context.Background(), keysOf(entries[i:i+1]), func(_ int, e *flows.Entry, err error) {
					if err != nil || e.Key != entries[i].Key {
						failed = errors.Join(err, errors.New("another's answer"))
					}
				})
				failed = errors.Join(failed, err)
			}
			done <- failed
		}()
	}
	for range entries {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// An operation that waits for the kernel ends with its context.
func TestContextEndsReceive(t *testing.T) {
	w := newFakeWire()
	c := fakeConn(w)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := c.Dump(ctx, Filter{}, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("dump: %v", err)
	}
}
