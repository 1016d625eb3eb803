package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

const (
	markOffload = "0x10/0x10"
	markNever   = "0x20/0x20"
	markBlocked = "0x1/0x1" // the default of --mark-blocked
)

// mark sets bits of an entry's mark, as any firewall could; they are written as
// for the agent's flags.
func mark(w *harness.World, f *flow, valueMask string) {
	w.T.Helper()
	var value, mask uint32
	if _, err := fmt.Sscanf(valueMask, "%v/%v", &value, &mask); err != nil {
		w.T.Fatal(err)
	}
	if err := w.SetMark(w.Entry(f.filter...), value, mask); err != nil {
		w.T.Fatal(err)
	}
	if e := w.Entry(f.filter...); e.Mark&mask != value {
		w.T.Fatalf("mark %#x after it was set to %s", e.Mark, valueMask)
	}
}

func markedPair(t *testing.T) (*harness.Pair, *harness.Agent) {
	w := harness.SwitchedPair(t)
	a := startAgent(w.World, append(modest, "--mark-offload="+markOffload, "--mark-never="+markNever)...)
	w.B.Listen(t, "tcp", 9000, true)
	return w, a
}

// refused waits until a connection is out for a reason, and watches it stay out.
func refused(w *harness.World, f *flow, reason string) {
	w.T.Helper()
	becomes(w, patience, f.tuple, "following", reason)
	harness.Throughout(w.T, 6*pollInterval, f.tuple+" stays in the slow path", func() error {
		if rules := w.Rules(); len(rules) != 0 {
			return fmt.Errorf("%v", rules)
		}
		return nil
	})
	becomes(w, patience, f.tuple, "following", reason)
}

// A mouse whose mark asks for it is offloaded, until the mark is taken back.
func TestMarkOffload(t *testing.T) {
	slowly(t)
	w, a := markedPair(t)
	f := dial(w, "tcp", false, 45000)
	f.Do(1, "chat 20")
	refused(w.World, f, "mouse")

	mark(w.World, f, markOffload)
	c := becomes(w.World, patience, f.tuple, "offloaded", "mark-offload")
	rulesWithin(t, w.World, time.Second, 2)
	mark(w.World, f, "0/0x10")
	left(t, a, c, "mouse")
	rulesWithin(t, w.World, time.Second, 0)
	refused(w.World, f, "mouse")
}

// An elephant whose mark forbids it stays; one that gets the mark later leaves,
// and comes back when the mark goes.
func TestMarkNever(t *testing.T) {
	slowly(t)
	w, a := markedPair(t)
	f := dial(w, "tcp", false, 45000)
	f.Do(1, "chat 50")
	becomes(w.World, patience, f.tuple, "following", "mouse")
	mark(w.World, f, markNever)
	f.Do(1, "stop")
	f.Do(1, fmt.Sprintf("send %d %d", endless, paced))
	harness.Within(t, patience, "an elephant", func() error {
		if c := becomes(w.World, patience, f.tuple, "following", "mark-never"); c.SlowBytes < 1e6 {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	refused(w.World, f, "mark-never")

	mark(w.World, f, "0/0x20")
	c := offloaded(w.World, f.tuple)
	entry := w.Entry(f.filter...)
	mark(w.World, f, markNever)
	left(t, a, c, "mark-never")
	rulesWithin(t, w.World, time.Second, 0)
	refused(w.World, f, "mark-never")
	if now := w.Entry(f.filter...); now.ID != entry.ID || now.State != "ESTABLISHED" {
		t.Errorf("entry then %+v, now %+v", entry, now)
	}
	mark(w.World, f, "0/0x20")
	offloaded(w.World, f.tuple)
}

// What the network service denies leaves at once and never returns; its entry,
// which is the evidence, stays.
func TestMarkBlocked(t *testing.T) {
	slowly(t)
	w, a := markedPair(t)
	f := elephantFlow(w, "tcp", 45000)
	c := offloaded(w.World, f.tuple)
	entry := w.Entry(f.filter...)
	mark(w.World, f, markBlocked)
	left(t, a, c, "ct-blocked")
	rulesWithin(t, w.World, time.Second, 0)
	refused(w.World, f, "ct-blocked")
	if now := w.Entry(f.filter...); now.ID != entry.ID || now.Mark != 1 || now.State != "ESTABLISHED" {
		t.Errorf("entry then %+v, now %+v", entry, now)
	}
	mark(w.World, f, "0/0x1")
	refused(w.World, f, "tombstone")
}
