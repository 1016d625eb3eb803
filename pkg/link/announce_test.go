package link

import (
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// What is announced is heard by others, and is what it was.
func TestAnnounce(t *testing.T) {
	w := watch(t, nil)
	port, far := device(t, "port"), device(t, "far")
	must(t, netlink.LinkSetGroup(port, 7))
	must(t, netlink.LinkSetUp(port))
	must(t, netlink.LinkSetUp(far))
	index := port.Attrs().Index
	wait(t, w, "up", index, func(s State, _ bool) bool { return s.Up() })
	before := device(t, "port").Attrs()

	updates, done := make(chan netlink.LinkUpdate, 100), make(chan struct{})
	must(t, netlink.LinkSubscribe(updates, done))
	defer func() {
		close(done)
		for range updates {
		}
	}()
	must(t, w.Announce(int32(index)))
	deadline := time.After(10 * time.Second)
	for heard := false; !heard; {
		select {
		case u := <-updates:
			heard = int(u.Index) == index
		case <-deadline:
			t.Fatal("nobody was told")
		}
	}
	after := device(t, "port").Attrs()
	if after.Group != 7 || after.Flags != before.Flags || after.MTU != before.MTU || after.Name != before.Name {
		t.Errorf("was %+v, is %+v", before, after)
	}
	must(t, netlink.LinkDel(port))
	must(t, w.Announce(int32(index)))
}
