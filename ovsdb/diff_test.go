package ovsdb

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

func TestDiff(t *testing.T) {
	port := func(id flows.PortID, name string, tag uint16) Port {
		return Port{ID: id, Name: name, VLAN: VLAN{Tag: tag}, Problems: []string{"x"}}
	}
	a := &Snapshot{Revision: 1, Connected: true, Synced: true,
		Ports:   []Port{port(1, "a", 1), port(2, "b", 1), port(3, "c", 1), port(4, "d", 1)},
		Bridges: []Bridge{{Name: "br0"}, {Name: "br1"}}}
	b := &Snapshot{Revision: 2, Synced: true, Switch: Switch{HWOffload: true},
		Ports:   []Port{port(1, "a", 1), port(2, "b", 2), port(5, "c", 1), port(6, "e", 1)},
		Bridges: []Bridge{{Name: "br0", ExternalIDs: map[string]string{"ovn-nb-cfg": "2"}}, {Name: "br2"}}}
	var got []string
	for _, c := range Diff(a, b) {
		text := c.Kind.String()
		if c.Old != nil {
			text += fmt.Sprintf(" -%s", c.Old.Name)
		}
		if c.New != nil {
			text += fmt.Sprintf(" +%s", c.New.Name)
		}
		if c.OldBridge != nil {
			text += " -" + c.OldBridge.Name
		}
		if c.NewBridge != nil {
			text += " +" + c.NewBridge.Name
		}
		got = append(got, text)
	}
	want := []string{"connection-changed", "switch-changed", "bridge-removed -br1", "bridge-changed -br0 +br0", "bridge-added +br2",
		"port-removed -c", "port-removed -d", "port-changed -b +b", "port-added +c", "port-added +e"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if n := len(Diff(a, a)) + len(Diff(nil, nil)); n != 0 {
		t.Errorf("%d changes between equals", n)
	}
	if n := len(Diff(nil, b)); n != 2+2+4 { // a connection that is not there is no change
		t.Errorf("%d changes from nothing", n)
	}
}

// A watcher that does not read gets one value and finds the newest snapshot.
func TestSlowWatcherSeesTheNewest(t *testing.T) {
	var n news
	n.newest.Store(&Snapshot{})
	changed, stop := n.Watch()
	for range 1000 {
		n.publish(&Snapshot{})
	}
	<-changed
	if s := n.Snapshot(); s.Revision != 1000 {
		t.Errorf("revision %d", s.Revision)
	}
	select {
	case <-changed:
		t.Error("a second value without a change")
	default:
	}
	n.publish(&Snapshot{})
	select {
	case <-changed:
	default:
		t.Error("no value after a change")
	}
	stop()
	n.publish(&Snapshot{})
	select {
	case <-changed:
		t.Error("a value after stop")
	default:
	}
	if len(n.watchers) != 0 {
		t.Error("the watcher is still known")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.Wait(ctx, func(*Snapshot) bool { return false }); err != context.Canceled {
		t.Errorf("Wait: %v", err)
	}
}

// A patch port that gets another peer is another way.
func TestPeerOfPatchPortIsTold(t *testing.T) {
	s := newServer(t)
	s.VSCtl("init", "--", "add-br", "br0", "--", "add-port", "br0", "p1", "--", "set", "Interface", "p1", "type=patch", "options:peer=q1")
	inv := run(t, Config{Endpoint: "unix:" + s.Socket, Inactivity: 10 * time.Second})
	peer := func(name string) func(*Snapshot) bool {
		return func(now *Snapshot) bool { p, ok := now.PortByName("p1"); return ok && p.Peer == name }
	}
	before := await(t, inv, "the peer", peer("q1"))
	s.VSCtl("set", "Interface", "p1", "options:peer=q2")
	after := await(t, inv, "another peer", peer("q2"))
	if changes := Diff(before, after); len(changes) != 1 || changes[0].Kind != PortChanged {
		t.Errorf("%+v", changes)
	}
}
