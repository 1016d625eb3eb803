package ovsdb

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
)

// patience is how long a test waits for a state that must come.
const patience = ovsdbtest.Patience

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a private ovsdb-server of Open vSwitch.
type server struct{ *ovsdbtest.Server }

// newServer starts an ovsdb-server with an empty Open_vSwitch database.
func newServer(t testing.TB) *server {
	t.Helper()
	return &server{ovsdbtest.Start(t, ovsdbtest.OpenVSwitch)}
}

// follow runs an inventory of the endpoint until the test ends.
func follow(t testing.TB, endpoint string) *Inventory {
	t.Helper()
	return run(t, Config{Endpoint: endpoint, Inactivity: 10 * time.Second, MinBackoff: 5 * time.Millisecond, MaxBackoff: 50 * time.Millisecond})
}

func run(t testing.TB, cfg Config) *Inventory {
	t.Helper()
	inv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- inv.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != context.Canceled {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			t.Error("Run does not end with its context")
		}
	})
	return inv
}

// await waits for a snapshot, and fails the test with the newest one.
func await(t testing.TB, inv *Inventory, what string, good func(*Snapshot) bool) *Snapshot {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := inv.Wait(ctx, good)
	if err != nil {
		t.Fatalf("waiting for %s: %v\nnewest: %s", what, err, describe(s))
	}
	return s
}

func connected(s *Snapshot) bool    { return s.Connected }
func disconnected(s *Snapshot) bool { return !s.Connected && s.Err != nil }

// has waits for a port of that name.
func has(name string) func(*Snapshot) bool {
	return func(s *Snapshot) bool { _, ok := s.PortByName(name); return ok && s.Connected }
}

func describe(s *Snapshot) string {
	text := fmt.Sprintf("revision %d, connected %v, synced %v, error %v, %+v", s.Revision, s.Connected, s.Synced, s.Err, s.Switch)
	for i, p := range s.Ports {
		if i == 10 {
			return text + fmt.Sprintf("\n... %d ports", len(s.Ports))
		}
		text += fmt.Sprintf("\n%+v", p)
	}
	return text
}
