package agent

import (
	"context"
	"testing"

	"github.com/flowshunt/flowshunt/pkg/path"
)

// Ports that change while the agent stops open no taps that nobody closes.
func TestTapsAreClosedForGood(t *testing.T) {
	needNamespace(t)
	taps := newTaps(path.NewResolver(path.Config{}), newUserspaceConns(nil), testLoop(), newComponent("taps", silent))
	port := status(1, index(t, "lo"), "")
	port.Datapath = "system"
	ports := []portStatus{port}
	taps.set(ports)
	if n := taps.taps.Stats().Ports; n != 1 {
		t.Fatalf("%d taps on one port: %+v", n, taps.health.get())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := taps.run(ctx); err != nil {
		t.Fatal(err)
	}
	taps.set(ports)
	if n := taps.taps.Stats().Ports; n != 0 {
		t.Errorf("%d taps after the end", n)
		taps.taps.Close()
	}
}
