package ovsdb

import (
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

const (
	longHold  = time.Minute
	shortHold = 300 * time.Millisecond
)

// reported returns a server with ports p1 and p2 of which ovs-vswitchd has reported,
// and an inventory that has seen that.
func reported(t *testing.T, hold time.Duration) (*server, *Inventory, *Snapshot) {
	t.Helper()
	s := newServer(t)
	s.VSCtl("init", "--", "add-br", "br0", "--", "add-port", "br0", "p1", "--", "add-port", "br0", "p2",
		"--", "set", "Interface", "p1", "ofport=1", "ifindex=11", `mac_in_use="fe:16:3e:00:00:01"`, "admin_state=up", "link_state=up",
		"--", "set", "Interface", "p2", "ofport=2", "ifindex=12")
	inv := run(t, Config{Endpoint: "unix:" + s.Socket, Inactivity: 10 * time.Second,
		MinBackoff: 5 * time.Millisecond, MaxBackoff: 50 * time.Millisecond, Hold: hold})
	return s, inv, await(t, inv, "ports", has("p2"))
}

// restart kills the server and starts it again, with a change meanwhile that nobody
// sees happen.
func (s *server) restart(t testing.TB, inv *Inventory, change ...string) *Snapshot {
	t.Helper()
	s.Kill()
	lost := await(t, inv, "the loss", disconnected)
	s.Start()
	if len(change) > 0 {
		s.VSCtl(change...)
	}
	return await(t, inv, "the restarted server", func(now *Snapshot) bool { return now.Connected && now.Revision > lost.Revision })
}

func port(t *testing.T, s *Snapshot, name string) Port {
	t.Helper()
	p, ok := s.PortByName(name)
	if !ok {
		t.Fatalf("no port %s in %s", name, describe(s))
	}
	return *p
}

// A restart changes nothing, as long as ovs-vswitchd takes to report again.
func TestRestartKeepsWhatWasReported(t *testing.T) {
	s, inv, before := reported(t, longHold)
	for range 2 { // the second time before anything was reported again
		samePorts(t, before, s.restart(t, inv))
	}
	if p, ok := inv.Snapshot().PortByIfindex(11); !ok || p.Name != "p1" {
		t.Error("p1 is not found by its ifindex")
	}
}

// What ovs-vswitchd reports wins over what is remembered, row by row and column by
// column.
func TestReportsWinOverMemory(t *testing.T) {
	s, inv, before := reported(t, longHold)
	s.restart(t, inv)
	s.VSCtl("set", "Interface", "p1", "ifindex=21", "link_state=down")
	now := await(t, inv, "another ifindex", func(s *Snapshot) bool { return port(t, s, "p1").Ifindex == 21 })
	got, old := port(t, now, "p1"), port(t, before, "p1")
	if got.ID == old.ID || got.LinkUp || !got.AdminUp || got.MAC != (flows.MAC{0xfe, 0x16, 0x3e, 0, 0, 1}) {
		t.Errorf("was %+v, is %+v", old, got)
	}
	s.VSCtl("set", "Interface", "p2", "ofport=-1", `error="could not open network device p2"`)
	await(t, inv, "p2 without a device", func(s *Snapshot) bool { return port(t, s, "p2").Ifindex == 0 })
}

// What nobody reports again is dropped after its time, with no other change to wait
// for; and what was dropped does not come back.
func TestMemoryExpires(t *testing.T) {
	s, inv, before := reported(t, shortHold)
	s.restart(t, inv)
	now := await(t, inv, "the end of it", func(s *Snapshot) bool { return s.Connected && port(t, s, "p1").Ifindex == 0 })
	got, old := port(t, now, "p1"), port(t, before, "p1")
	if got.ID != old.ID || got.AdminUp || got.LinkUp || got.MAC != (flows.MAC{}) || port(t, now, "p2").Ifindex != 0 {
		t.Errorf("was %+v, is %s", old, describe(now))
	}
	if age := time.Since(now.Since); age < shortHold {
		t.Errorf("kept for %v only", age)
	}
	samePorts(t, now, s.restart(t, inv))
}

// Another row has nothing from the one before it, whatever its name.
func TestAnotherRowRemembersNothing(t *testing.T) {
	s, inv, before := reported(t, longHold)
	s.Kill()
	await(t, inv, "the loss", disconnected)
	copied := *s.Server
	hidden := server{&copied}
	hidden.Socket = s.Dir + "/hidden.sock"
	hidden.Start()
	hidden.VSCtl("del-port", "p1", "--", "add-port", "br0", "p1", "--", "set", "Interface", "p2", "type=internal")
	hidden.Kill()
	s.Start()
	now := await(t, inv, "the restarted server", connected)
	if p := port(t, now, "p1"); p.Ifindex != 0 || p.ID == port(t, before, "p1").ID {
		t.Errorf("another p1: %+v", p)
	}
	if p := port(t, now, "p2"); p.Ifindex != 0 {
		t.Errorf("p2 of another type: %+v", p)
	}
}

// What was there on this connection and is taken away is away.
func TestNothingIsKeptWithoutRestart(t *testing.T) {
	s, inv, _ := reported(t, longHold)
	gone := func(s *Snapshot) bool { return port(t, s, "p1").Ifindex == 0 }
	s.VSCtl("clear", "Interface", "p1", "ifindex")
	await(t, inv, "no ifindex", gone)
	s.VSCtl("set", "Interface", "p1", "ifindex=11")
	await(t, inv, "ifindex", func(s *Snapshot) bool { return !gone(s) })

	s.restart(t, inv)
	s.VSCtl("set", "Interface", "p1", "ifindex=13")
	await(t, inv, "ifindex after a restart", func(s *Snapshot) bool { return port(t, s, "p1").Ifindex == 13 })
	s.VSCtl("clear", "Interface", "p1", "ifindex")
	await(t, inv, "no ifindex after a restart", gone)
}
