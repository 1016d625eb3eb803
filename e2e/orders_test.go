package e2e

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// orderAnswer is what flowshuntctl says has become of an order.
type orderAnswer struct {
	Tuple, Result, Reason, Detail string
	Zone                          uint16
	Remembered                    bool
}

// orders gives an order about one connection, and wants it to be as told.
func orders(w *harness.World, f *flow, result, reason string, args ...string) orderAnswer {
	w.T.Helper()
	got := order(w, f, args...)
	if got.Result != result || got.Reason != reason {
		w.T.Fatalf("%q: %+v, want %s for %s", args, got, result, reason)
	}
	return got
}

// order gives an order about one connection.
func order(w *harness.World, f *flow, args ...string) orderAnswer {
	w.T.Helper()
	out, code := tryCtl(w, append(args, f.tuple, "--format=json")...)
	var list []orderAnswer
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list) != 1 {
		w.T.Fatalf("%q: %v in %s", args, err, out)
	}
	got := list[0]
	if got.Zone != harness.PairZone || (code == 0) != (got.Result == "done") {
		w.T.Fatalf("%q: status %d, %+v", args, code, got)
	}
	return got
}

// orderCounted returns what conntrack has counted of a flow.
func orderCounted(w *harness.World, f *flow) uint64 {
	w.T.Helper()
	return becomes(w, patience, f.tuple, "following", "order-inspect").SlowBytes
}

// inspected waits until the slow path has seen more of a flow, and watches it stay there.
func inspected(w *harness.World, f *flow) {
	w.T.Helper()
	before := orderCounted(w, f)
	harness.Within(w.T, patience, "the slow path sees it again", func() error {
		if now := orderCounted(w, f); now < before+100_000 {
			return fmt.Errorf("%d bytes, then %d", before, now)
		}
		return nil
	})
	refused(w, f, "order-inspect")
}

// What an operator orders about an elephant is done at once, and stays, also when the agent
// is started anew where a mark tells of it.
func TestOrders(t *testing.T) {
	slowly(t)
	t.Run("marked", func(t *testing.T) { orderStory(t, true) })
	t.Run("unmarked", func(t *testing.T) { orderStory(t, false) })
}

func orderStory(t *testing.T, marked bool) {
	w := harness.SwitchedPair(t)
	flags := modest
	if marked {
		flags = append(flags[:len(flags):len(flags)], "--mark-never="+markNever)
	}
	a := startAgent(w.World, flags...)
	w.B.Listen(t, "tcp", 9000, true)
	f := elephantFlow(w, "tcp", 45000)
	c := offloaded(w.World, f.tuple)
	entry := w.Entry(f.filter...)

	orders(w.World, f, "done", "order-inspect", "inspect", "--dry-run")
	rulesWithin(t, w.World, 0, 2)
	if got := orders(w.World, f, "done", "order-inspect", "inspect"); got.Remembered != marked {
		t.Errorf("remembered: %+v", got)
	}
	rulesWithin(t, w.World, 0, 0) // the answer comes when they are out
	left(t, a, c, "order-inspect")
	inspected(w.World, f)

	a.Stop()
	a = startAgent(w.World, flags...)
	if marked {
		refused(w.World, f, "mark-never")
		orders(w.World, f, "waits", "mark-never", "offload")
		unmarked := order(w.World, f, "offload", "--unmark")
		if found := unmarked.Result == "done" && unmarked.Reason == "order-offload"; !found && (unmarked.Result != "waits" || unmarked.Reason != "path-unknown") {
			t.Fatalf("want done, or waits while its path is looked for: %+v", unmarked)
		}
	} else {
		offloaded(w.World, f.tuple) // nothing tells of the order
		orders(w.World, f, "done", "order-inspect", "inspect")
		inspected(w.World, f)
		orders(w.World, f, "done", "order-offload", "offload")
	}
	c = becomes(w.World, patience, f.tuple, "offloaded", "order-offload")
	rulesWithin(t, w.World, time.Second, 2)
	if now := w.Entry(f.filter...); now.ID != entry.ID || now.State != "ESTABLISHED" || now.Mark != 0 {
		t.Errorf("entry then %+v, now %+v", entry, now)
	}

	orders(w.World, f, "done", "order-revoke", "revoke")
	rulesWithin(t, w.World, 0, 0)
	left(t, a, c, "order-revoke")
	refused(w.World, f, "order-revoke")
	orders(w.World, f, "refused", "order-revoke", "offload", "--unmark")
	refused(w.World, f, "order-revoke")
	a.Logged(t, patience, "order", "what", "revoke")
}
