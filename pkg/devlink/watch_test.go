package devlink

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A port comes, gets and loses its network device, and goes.
func TestApply(t *testing.T) {
	w := &Watcher{ports: make(map[key]Port), modes: make(map[string]Mode)}
	for _, step := range []struct {
		name    string
		changed bool
		ifindex int32 // -1: no port
	}{
		{"port new vf", true, 8}, {"port new vf", false, 8}, {"netdev gone", true, 0}, {"port new vf", true, 8},
		{"health error", false, 8}, {"port del", true, -1}, {"port del", false, -1},
	} {
		ev, _, err := decodeEvent(message(t, step.name), familyID)
		if err != nil {
			t.Fatal(err)
		}
		if _, changed := w.apply(&ev); changed != step.changed {
			t.Errorf("%s: changed is %t", step.name, changed)
		}
		ports := w.Snapshot().Ports
		if len(ports) > 1 || (len(ports) == 0) != (step.ifindex < 0) || len(ports) == 1 && ports[0].Ifindex != step.ifindex {
			t.Errorf("%s: %+v", step.name, ports)
		}
	}
}

// A mode is kept as long as there are ports.
func TestSetMode(t *testing.T) {
	w := &Watcher{ports: make(map[key]Port), modes: make(map[string]Mode)}
	if w.setMode("pci/a", ModeLegacy) || len(w.Snapshot().Modes) != 0 {
		t.Error("a device without ports has a mode")
	}
	w.ports[key{"pci/a", 1}] = Port{Device: "pci/a", Index: 1}
	if !w.setMode("pci/a", ModeLegacy) || w.setMode("pci/a", ModeLegacy) || !w.setMode("pci/a", ModeSwitchdev) {
		t.Error("what differs is a change")
	}
	if got := w.Snapshot().Modes["pci/a"]; got != ModeSwitchdev {
		t.Error(got)
	}
	delete(w.ports, key{"pci/a", 1})
	if !w.setMode("pci/a", ModeSwitchdev) || len(w.Snapshot().Modes) != 0 {
		t.Error("the mode of a device that is gone is kept")
	}
}

func TestEventReset(t *testing.T) {
	for name, want := range map[string]Reset{
		"health error":     {Device: "eswsim/n0", Cause: "health reporter fw of eswsim/n0 reports an error (1 errors, 0 recoveries)"},
		"health recovered": {Device: "eswsim/n0", Cause: "health reporter fw of eswsim/n0 recovered (1 errors, 1 recoveries)"},
		"device new":       {Device: "eswsim/n0", Reload: true, Cause: "eswsim/n0 was reloaded, added or removed"},
		"port new vf":      {}, "port del": {},
	} {
		ev, _, err := decodeEvent(message(t, name), familyID)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := ev.reset(); got != want || ok != (want != Reset{}) {
			t.Errorf("%s: %+v, %t", name, got, ok)
		}
	}
}

// On any kernel, with devlink or without, a watcher runs until it is told to end.
func TestWatcherRuns(t *testing.T) {
	w, err := New(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	once, err := Read(t.Context())
	if s := w.Snapshot(); err != nil || len(s.Ports) != len(once.Ports) {
		t.Errorf("%+v, then %+v, %v", s, once, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end")
	}
}
