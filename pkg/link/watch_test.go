package link

import (
	"context"
	"errors"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func watch(t *testing.T, resync func(error)) *Watcher {
	t.Helper()
	return watchFeature(t, resync, hwTC)
}

// watchFeature takes another feature for hw-tc-offload.
func watchFeature(t *testing.T, resync func(error), feature string) *Watcher {
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
	addVeth(t, 0)
	w, err := open(resync, feature)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return w
}

func addVeth(t *testing.T, index int) {
	t.Helper()
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "port", Index: index}, PeerName: "far"}
	if err := netlink.LinkAdd(pair); err != nil {
		t.Fatal(err)
	}
}

func device(t *testing.T, name string) netlink.Link {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// wait returns when the device at index is as wanted.
func wait(t *testing.T, w *Watcher, what string, index int, ok func(State, bool) bool) State {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		s, exists := w.Snapshot()[int32(index)]
		if ok(s, exists) {
			return s
		}
		select {
		case <-w.Changed():
		case <-deadline:
			t.Fatalf("%s: not within 10 s, is %+v, %t", what, s, exists)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWatcher(t *testing.T) {
	w := watch(t, nil)
	port, far := device(t, "port"), device(t, "far")
	index := port.Attrs().Index
	first := wait(t, w, "listed", index, func(s State, ok bool) bool { return ok && s.Name == "port" && !s.Up() })

	must(t, netlink.LinkSetUp(port))
	wait(t, w, "no carrier", index, func(s State, _ bool) bool { return s.Admin && !s.Carrier })
	must(t, netlink.LinkSetUp(far))
	wait(t, w, "up", index, func(s State, _ bool) bool { return s.Up() })
	must(t, netlink.LinkSetDown(far))
	wait(t, w, "carrier lost", index, func(s State, _ bool) bool { return s.Admin && !s.Carrier })
	must(t, netlink.LinkSetUp(far))
	must(t, netlink.LinkSetDown(port))
	wait(t, w, "down", index, func(s State, _ bool) bool { return !s.Admin })
	must(t, netlink.LinkSetName(port, "renamed"))
	last := wait(t, w, "renamed", index, func(s State, _ bool) bool { return s.Name == "renamed" })
	if last.Life != first.Life {
		t.Errorf("life changed from %d to %d", first.Life, last.Life)
	}

	must(t, netlink.LinkDel(port))
	addVeth(t, index) // at once, so that the absence may never be looked at
	wait(t, w, "another device", index, func(s State, ok bool) bool { return ok && s.Name == "port" && s.Life != first.Life })
	must(t, netlink.LinkDel(device(t, "port")))
	wait(t, w, "deleted", index, func(_ State, ok bool) bool { return !ok })
}

// A resync finds what notifications did not tell.
func TestReplace(t *testing.T) {
	tab := table{states: make(map[int32]State)}
	tab.replace(map[int32]State{1: {}})
	tab.replace(map[int32]State{1: {}, 2: {}})
	if tab.replace(map[int32]State{1: {}, 2: {}}) {
		t.Error("the same list is no change")
	}
	if !tab.replace(map[int32]State{2: {Admin: true}}) {
		t.Error("a different list is a change")
	}
	got := tab.snapshot()
	if _, gone := got[1]; gone || !got[2].Admin || got[2].Life != 2 {
		t.Errorf("%+v", got)
	}
}

// Notifications that were lost for want of buffer space are made up for by
// reading the full list.
func TestOverrun(t *testing.T) {
	resynced := make(chan error, 10)
	w := watch(t, func(err error) {
		select {
		case resynced <- err:
		default:
		}
	})
	port := device(t, "port")
	index := port.Attrs().Index
	wait(t, w, "listed", index, func(_ State, ok bool) bool { return ok })

	w.table.mu.Lock() // the watcher cannot go on
	for i := range 5000 {
		must(t, netlink.LinkSetMTU(port, 1400+i%2))
	}
	must(t, netlink.LinkSetName(port, "last"))
	w.table.mu.Unlock()
	select {
	case err := <-resynced:
		t.Log(err)
	case <-time.After(10 * time.Second):
		t.Fatal("no resync within 10 s")
	}
	wait(t, w, "resynced", index, func(s State, _ bool) bool { return s.Name == "last" })
}
