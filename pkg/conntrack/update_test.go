package conntrack

import (
	"context"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
)

// single returns an Answer for a request with one item.
func single(e *flows.Entry, err *error) Answer {
	return func(_ int, got *flows.Entry, gotErr error) { *e, *err = *got, gotErr }
}

func update(t *testing.T, c *Conn, u Update) (e flows.Entry, err error) {
	t.Helper()
	if failed := c.Update(context.Background(), []Update{u}, single(&e, &err)); failed != nil {
		t.Fatal(failed)
	}
	return e, err
}

func refresh(t *testing.T, c *Conn, r Refresh) (e flows.Entry, err error) {
	t.Helper()
	if failed := c.Refresh(context.Background(), []Refresh{r}, single(&e, &err)); failed != nil {
		t.Fatal(failed)
	}
	return e, err
}

func get(t *testing.T, c *Conn, key flows.EntryKey) (e flows.Entry, err error) {
	t.Helper()
	if failed := c.Get(context.Background(), []flows.EntryKey{key}, single(&e, &err)); failed != nil {
		t.Fatal(failed)
	}
	return e, err
}

func isEmpty(t *testing.T, c *Conn) {
	t.Helper()
	err := c.Dump(context.Background(), Filter{}, func(e *flows.Entry) error {
		t.Errorf("in the table: %s", e.Key.Tuple)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Window relaxation touches nothing but the flags that it names.
func TestUpdateTCPFlags(t *testing.T) {
	netns := enterNetNS(t)
	s := established(1)
	s.mark = 0xabcd
	before := createAll(t, netns, s)[0]
	c := dial(t, Config{NetNS: netns})

	for _, step := range []struct {
		name  string
		flags TCPFlags
		want  uint8
	}{
		{"set liberal", SetLiberal, 0x29},
		{"clear max ack", ClearMaxAck, 0x09},
	} {
		got, err := update(t, c, Update{Key: before.Key, TCP: step.flags})
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		want := before
		want.TCP.Flags = [2]uint8{step.want, step.want}
		want.Timeout = got.Timeout
		if got != want {
			t.Errorf("%s:\n got %+v\nwant %+v", step.name, got, want)
		}
		if got.Timeout+5 < before.Timeout {
			t.Errorf("%s: timeout %d, was %d", step.name, got.Timeout, before.Timeout)
		}
	}
}

// Bits of the mark outside the mask belong to others.
func TestUpdateMark(t *testing.T) {
	netns := enterNetNS(t)
	s := established(1)
	s.mark = 0xff00
	e := createAll(t, netns, s)[0]
	c := dial(t, Config{NetNS: netns})
	for _, step := range []struct {
		mark Mark
		want uint32
	}{
		{Mark{Set: 1, Mask: 1}, 0xff01},
		{Mark{Set: 0xffffffff, Mask: 2}, 0xff03},
		{Mark{Set: 0, Mask: 1}, 0xff02},
		{Mark{Set: 7}, 0xff02},
	} {
		if got, err := update(t, c, Update{Key: e.Key, Mark: step.mark}); err != nil || got.Mark != step.want {
			t.Errorf("%+v: mark %#x, want %#x, error %v", step.mark, got.Mark, step.want, err)
		}
	}
}

// Nothing is created for a key that does not exist, whatever its protocol.
func TestNeverCreates(t *testing.T) {
	netns := enterNetNS(t)
	c := dial(t, Config{NetNS: netns})
	for _, s := range zoo() {
		key := flows.EntryKey{ID: 1, Zone: s.zone, Tuple: s.tuple}
		if _, err := update(t, c, Update{Key: key, TCP: SetLiberal, Mark: Mark{1, 1}}); !errors.Is(err, ErrNotFound) {
			t.Errorf("update %s: %v", s.tuple, err)
		}
		if _, err := refresh(t, c, Refresh{Key: key, Timeout: 100}); !errors.Is(err, ErrNotFound) {
			t.Errorf("refresh %s: %v", s.tuple, err)
		}
		if err := c.Delete(context.Background(), key); !errors.Is(err, ErrNotFound) {
			t.Errorf("delete %s: %v", s.tuple, err)
		}
		// Not even the write itself, without the read before it.
		c.slots[0] = slot{key: key, change: change{timeout: 100}}
		if err := c.write(context.Background(), c.slots[:1]); err != nil {
			t.Fatal(err)
		}
		if err := c.slots[0].err; !errors.Is(err, ErrNotFound) {
			t.Errorf("write %s: %v", s.tuple, err)
		}
	}
	isEmpty(t, c)
}

// The same tuple with another id is another connection and is left alone.
func TestOtherID(t *testing.T) {
	netns := enterNetNS(t)
	e := createAll(t, netns, established(1))[0]
	c := dial(t, Config{NetNS: netns})
	old := e.Key
	old.ID ^= 1
	if got, err := get(t, c, old); !errors.Is(err, ErrNotFound) || got.Key != e.Key {
		t.Errorf("get: %+v, %v", got.Key, err)
	}
	if _, err := update(t, c, Update{Key: old, TCP: SetLiberal, Mark: Mark{1, 1}}); !errors.Is(err, ErrNotFound) {
		t.Errorf("update: %v", err)
	}
	if _, err := refresh(t, c, Refresh{Key: old, Timeout: 90_000}); !errors.Is(err, ErrNotFound) {
		t.Errorf("refresh: %v", err)
	}
	if err := c.Delete(context.Background(), old); !errors.Is(err, ErrNotFound) {
		t.Errorf("delete: %v", err)
	}
	now, err := get(t, c, e.Key)
	if now.Timeout = e.Timeout; err != nil || now != e {
		t.Errorf("was touched: %v\n now %+v\nwas %+v", err, now, e)
	}
	// The reverse tuple finds the entry in the kernel, but is not its key.
	reverse := e.Key
	reverse.Tuple = e.Reply
	if _, err := update(t, c, Update{Key: reverse, TCP: SetLiberal}); !errors.Is(err, ErrNotFound) {
		t.Errorf("update by the reply tuple: %v", err)
	}
}

// replace deletes an entry and creates its successor.
func replace(t *testing.T, netns int, old flows.EntryKey, s spec) flows.Entry {
	t.Helper()
	if err := dial(t, Config{NetNS: netns}).Delete(context.Background(), old); err != nil {
		t.Fatal(err)
	}
	return createAll(t, netns, s)[0]
}

// A successor that appears between reading and writing is hit, as the kernel
// does not compare ids, and that is noticed.
func TestReplacedMeanwhile(t *testing.T) {
	netns := enterNetNS(t)
	e := createAll(t, netns, established(1))[0]
	c := dial(t, Config{NetNS: netns})
	var next flows.Entry
	c.beforeWrite = func() { next = replace(t, netns, e.Key, established(1)) }
	if _, err := update(t, c, Update{Key: e.Key, TCP: SetLiberal}); !errors.Is(err, ErrReplaced) {
		t.Errorf("update: %v", err)
	}
	e = next
	if _, err := refresh(t, c, Refresh{Key: e.Key, Timeout: 5000}); !errors.Is(err, ErrReplaced) {
		t.Errorf("refresh: %v", err)
	}
	e = next
	c.beforeWrite = func() {
		if err := dial(t, Config{NetNS: netns}).Delete(context.Background(), e.Key); err != nil {
			t.Error(err)
		}
	}
	if _, err := refresh(t, c, Refresh{Key: e.Key, Timeout: 9000}); !errors.Is(err, ErrNotFound) {
		t.Errorf("refresh of one that vanished: %v", err)
	}
	isEmpty(t, c)
}

// A successor can have the id of its predecessor: the id hashes the memory
// address and the tuple. Start tells them apart.
func TestStart(t *testing.T) {
	netns := enterNetNS(t)
	e := createAll(t, netns, established(1))[0]
	c := dial(t, Config{NetNS: netns})
	if _, err := update(t, c, Update{Key: e.Key, Start: e.Start, TCP: SetLiberal}); err != nil {
		t.Errorf("update of the one meant: %v", err)
	}
	if _, err := update(t, c, Update{Key: e.Key, Start: e.Start + 1, TCP: ClearMaxAck}); !errors.Is(err, ErrNotFound) {
		t.Errorf("update of another: %v", err)
	}
	if _, err := refresh(t, c, Refresh{Key: e.Key, Start: e.Start + 1, Timeout: 9000}); !errors.Is(err, ErrNotFound) {
		t.Errorf("refresh of another: %v", err)
	}
	now, err := get(t, c, e.Key)
	if err != nil || now.TCP.Flags[0] != 0x29 || now.Timeout > e.Timeout {
		t.Errorf("was touched: %v, %+v", err, now)
	}
	same := 0
	for range 100 {
		next := replace(t, netns, e.Key, established(1))
		if next.Key == e.Key {
			same++
			if next.Start == e.Start {
				t.Error("same id and same start")
			}
		}
		e = next
	}
	t.Logf("%d of 100 successors had the id of their predecessor", same)
}

// Does the kernel compare the id before it writes? The day it does, the second
// read is not needed any more.
func TestKernelIgnoresIDInUpdates(t *testing.T) {
	netns := enterNetNS(t)
	e := createAll(t, netns, established(1))[0]
	c := dial(t, Config{NetNS: netns})
	wrong := e.Key
	wrong.ID ^= 1
	c.slots[0] = slot{key: wrong, change: change{mark: Mark{1, 1}}}
	if err := c.write(context.Background(), c.slots[:1]); err != nil {
		t.Fatal(err)
	}
	if err := c.slots[0].err; !errors.Is(err, ErrReplaced) {
		t.Fatalf("a write under a wrong id: %v; does this kernel compare ids now?", err)
	}
}

// The kernel's refusals carry their errno, and items fail one by one.
func TestErrorsPerItem(t *testing.T) {
	netns := enterNetNS(t)
	c := dial(t, Config{NetNS: netns})
	const n = 3*maxBatch + 7
	create(t, netns, n, func(i int) spec {
		s := established(i)
		if i%5 == 0 {
			s.status |= flows.StatusFixedTime
		}
		return s
	})
	var keys []flows.EntryKey
	if err := c.Dump(context.Background(), Filter{}, func(e *flows.Entry) error {
		keys = append(keys, e.Key)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	fixed := 0
	refreshes := make([]Refresh, n)
	for i := range refreshes {
		refreshes[i] = Refresh{Key: keys[i], Timeout: 7000}
		if i%7 == 0 {
			refreshes[i].Key.ID++
		}
	}
	next := 0
	err := c.Refresh(context.Background(), refreshes, func(i int, e *flows.Entry, err error) {
		if i != next {
			t.Fatalf("answer %d, want %d", i, next)
		}
		next++
		switch {
		case i%7 == 0:
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("item %d of another id: %v", i, err)
			}
		case e.Status.Has(flows.StatusFixedTime):
			fixed++
			if !errors.Is(err, unix.EPERM) {
				t.Errorf("item %d with a fixed timeout: %v", i, err)
			}
		case err != nil || e.Timeout < 6990:
			t.Errorf("item %d: timeout %d, %v", i, e.Timeout, err)
		}
	})
	if err != nil || next != n || fixed == 0 {
		t.Fatalf("%d of %d answers, %d with a fixed timeout, error %v", next, n, fixed, err)
	}
}
