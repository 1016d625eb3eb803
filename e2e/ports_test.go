package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// Whatever takes a port away takes its sessions out; they come back with it.
func TestPorts(t *testing.T) {
	betterOnEswsim(t)
	w := harness.SwitchedPair(t)
	a := startAgent(w.World, modest...)
	w.B.Listen(t, "tcp", 9000, false)
	f := elephantFlow(w, "tcp", 47000)
	link := func(in interface {
		Run(testing.TB, ...string) string
	}, dev, state string) func() {
		return func() { in.Run(t, "ip", "link", "set", dev, state) }
	}
	for _, step := range []struct {
		name, cause string
		away, back  func()
	}{
		{"switched off by external_ids", "port-off",
			func() { w.Vsctl("set", "interface", w.A.Rep, "external_ids:flowshunt=off") },
			func() { w.Vsctl("remove", "interface", w.A.Rep, "external_ids", "flowshunt") }},
		{"no carrier at the far port", "port-down", link(w.B, "eth0", "down"), link(w.B, "eth0", "up")},
		{"no carrier at the near port", "port-down", link(w.A, "eth0", "down"), link(w.A, "eth0", "up")},
		{"far port administratively down", "port-down", link(w, w.B.Rep, "down"), link(w, w.B.Rep, "up")},
		{"near port administratively down", "port-down", link(w, w.A.Rep, "down"), link(w, w.A.Rep, "up")},
		// OVS may say so before the database does.
		{"far port deleted", "port-gone|path-changed|path-unknown|path-unsupported/outputs",
			func() { w.Vsctl("del-port", w.B.Rep) }, nil},
	} {
		c := becomes(w.World, 2*patience, f.tuple, "offloaded", "elephant")
		rulesWithin(t, w.World, 0, 2)
		began := time.Now()
		step.away()
		at := left(t, a, c, step.cause)
		rulesWithin(t, w.World, time.Second, 0)
		t.Logf("%s: out after %v", step.name, at.Sub(began).Round(time.Millisecond))
		if step.cause == "port-off" {
			// packets go on in the slow path, so it is asked for again and again
			becomes(w.World, patience, f.tuple, "candidate", "port-off")
		}
		if step.back != nil {
			step.back()
		}
	}
}

// setHWOffload sets OVS's own offload in the database, as ovs-vswitchd would
// read it at its next start: the running one is stopped meanwhile, since it
// could not be brought back from it.
func setHWOffload(w *harness.World, value bool) {
	w.T.Helper()
	w.Run(w.T, "ovs-vsctl", "--timeout=20", "--no-wait", "set", "open_vswitch", ".", fmt.Sprint("other_config:hw-offload=", value))
}

func freezeSwitch(w *harness.World) {
	w.T.Helper()
	b, err := os.ReadFile(filepath.Join(w.Dir, "ovs-vswitchd.pid"))
	if err != nil {
		w.T.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		w.T.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		w.T.Fatal(err)
	}
	w.T.Cleanup(func() {
		_, err := w.Try("ovs-vsctl", "--timeout=20", "--no-wait", "remove", "open_vswitch", ".", "other_config", "hw-offload")
		if e := syscall.Kill(pid, syscall.SIGCONT); err != nil || e != nil {
			w.T.Errorf("thaw: %v, %v", err, e)
		}
	})
}

// Where OVS owns the table the agent only observes, and says so; TestOVSOffloadEswsim
// has more of it.
func TestOVSOffloads(t *testing.T) {
	betterOnEswsim(t)
	w := harness.WiredPair(t)
	a := startAgent(w.World, append(modest, fmt.Sprintf("--wires=%s:%s", w.A.Rep, w.B.Rep))...)
	w.B.Listen(t, "tcp", 9000, false)
	f := elephantFlow(w, "tcp", 47000)
	c := offloaded(w.World, f.tuple)

	freezeSwitch(w.World)
	setHWOffload(w.World, true)
	left(t, a, c, "ovs-hw-offload")
	rulesWithin(t, w.World, time.Second, 0)
	becomes(w.World, patience, f.tuple, "candidate", "elephant")
	var doc struct {
		Mode          string
		ObserveReason string `json:"observe_reason"`
	}
	if err := json.Unmarshal([]byte(ctl(w.World, "show", "--format=json")), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Mode != "enforce" || doc.ObserveReason != "ovs-hw-offload" {
		t.Errorf("show: %+v", doc)
	}
	mustMatch(t, ctl(w.World, "show"), `READY: .* mode enforce \(but only observes\)`, `! .*only observes: ovs-hw-offload`)
	if qdisc := w.Run(t, "tc", "qdisc", "show", "dev", w.A.Rep); strings.Contains(qdisc, "clsact") {
		t.Errorf("our clsact stands in the way of OVS: %s", qdisc)
	}

	setHWOffload(w.World, false)
	offloaded(w.World, f.tuple)
	rulesWithin(t, w.World, 0, 2)
	if show := ctl(w.World, "show"); strings.Contains(show, "only observes") {
		t.Error(show)
	}
}
