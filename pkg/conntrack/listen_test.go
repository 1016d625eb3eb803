package conntrack

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

func listen(t *testing.T, cfg Config, own []uint32, groups ...Group) *Listener {
	t.Helper()
	l, err := Listen(cfg, own, groups...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

var allGroups = []Group{GroupNew, GroupUpdate, GroupDestroy}

var errEnough = errors.New("enough")

// events receives n events.
func events(t *testing.T, l *Listener, n int) []Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var got []Event
	err := l.Receive(ctx, func(ev *Event) error {
		if got = append(got, *ev); len(got) == n {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatalf("%d of %d events: %v", len(got), n, err)
	}
	return got
}

func TestEvents(t *testing.T) {
	netns := enterNetNS(t)
	l := listen(t, Config{NetNS: netns}, nil, allGroups...)
	e := createAll(t, netns, established(1))[0]
	c := dial(t, Config{NetNS: netns})
	if _, err := update(t, c, Update{Key: e.Key, Mark: Mark{5, 5}}); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(context.Background(), e.Key); err != nil {
		t.Fatal(err)
	}
	got := events(t, l, 3)
	for i, want := range []EventType{EventNew, EventUpdate, EventDestroy} {
		if got[i].Type != want || got[i].Entry.Key != e.Key {
			t.Errorf("event %d: type %d of %s, want %d", i, got[i].Type, got[i].Entry.Key.Tuple, want)
		}
	}
	if got[1].PortID != c.PortID() || got[2].PortID != c.PortID() || got[0].PortID == c.PortID() {
		t.Errorf("port ids %d, %d, %d; the Conn has %d", got[0].PortID, got[1].PortID, got[2].PortID, c.PortID())
	}
	if got[1].Entry.Mark != 5 || !got[2].Entry.HasCount {
		t.Errorf("mark %d in the update, counters in the destruction: %v", got[1].Entry.Mark, got[2].Entry.HasCount)
	}
}

// Own changes can be passed over, even after the Conn opened a new socket.
func TestOwnEchoes(t *testing.T) {
	netns := enterNetNS(t)
	entries := createAll(t, netns, established(1), established(2))
	c := dial(t, Config{NetNS: netns})
	l := listen(t, Config{NetNS: netns}, []uint32{c.PortID()}, allGroups...)
	for i := range entries {
		if _, err := refresh(t, c, Refresh{Key: entries[i].Key, Timeout: 9000}); err != nil {
			t.Fatal(err)
		}
		if err := c.Dump(context.Background(), Filter{}, func(*flows.Entry) error { return errEnough }); !errors.Is(err, errEnough) {
			t.Fatal(err)
		}
	}
	if err := c.Delete(context.Background(), entries[0].Key); err != nil {
		t.Fatal(err)
	}
	other := dial(t, Config{NetNS: netns})
	if err := other.Delete(context.Background(), entries[1].Key); err != nil {
		t.Fatal(err)
	}
	if got := events(t, l, 1)[0]; got.PortID != other.PortID() || got.Type != EventDestroy || got.Entry.Key != entries[1].Key {
		t.Errorf("first event heard: %+v", got)
	}
}

// Only the groups that were joined are heard.
func TestGroups(t *testing.T) {
	netns := enterNetNS(t)
	l := listen(t, Config{NetNS: netns}, nil, GroupDestroy)
	e := createAll(t, netns, established(1))[0]
	if err := dial(t, Config{NetNS: netns}).Delete(context.Background(), e.Key); err != nil {
		t.Fatal(err)
	}
	if got := events(t, l, 1)[0]; got.Type != EventDestroy {
		t.Errorf("type %d", got.Type)
	}
}

// A flood into a tiny buffer is reported, and what happens after the report is
// heard without fail.
func TestOverrun(t *testing.T) {
	netns := enterNetNS(t)
	l := listen(t, Config{NetNS: netns, ReadBuffer: 4096}, nil, allGroups...)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c := dial(t, Config{NetNS: netns})
	const n, rounds = 2000, 5
	for round := range rounds {
		create(t, netns, n, func(i int) spec { return established(n*round + i) })
		heard := 0
		err := l.Receive(ctx, func(*Event) error { heard++; return nil })
		if !errors.Is(err, ErrOverrun) || heard >= n {
			t.Fatalf("round %d: after %d of %d events: %v", round, heard, n, err)
		}
		e, err := c.Find(ctx, 0, tcpTuple(n*round))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := update(t, c, Update{Key: e.Key, Mark: Mark{1, 1}}); err != nil {
			t.Fatal(err)
		}
		if got := events(t, l, 1)[0]; got.Type != EventUpdate || got.Entry.Key != e.Key {
			t.Errorf("round %d: first event after the overrun: %+v", round, got)
		}
	}
}

func TestReceiveEnds(t *testing.T) {
	netns := enterNetNS(t)
	l := listen(t, Config{NetNS: netns}, nil, allGroups...)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Receive(ctx, nil) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("after cancel: %v", err)
	}
	createAll(t, netns, established(1))
	if got := events(t, l, 1); got[0].Type != EventNew {
		t.Errorf("the Listener is deaf after a cancel: %+v", got)
	}
	go func() { done <- l.Receive(context.Background(), nil) }()
	l.Close()
	if err := <-done; !errors.Is(err, os.ErrClosed) {
		t.Errorf("after close: %v", err)
	}
}
