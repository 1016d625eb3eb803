package wire

import (
	"strings"
	"testing"
	"time"
)

// worker returns one that does only what a test has it do.
func (l *lab) worker(bridge Bridge, specs ...Spec) *worker {
	l.t.Helper()
	tasks, _ := assign(specs, []Bridge{bridge})
	w := newWorker(&Config{Rundir: l.Rundir}, bridge.Name, new(zones), func([]Status) {})
	w.set(tasks[bridge.Name])
	w.hears.Store(true)
	l.t.Cleanup(w.hangUp)
	return w
}

// TestBridgeLeaves: a bridge that goes away when a probe is sent is told nothing more in that pass.
func TestBridgeLeaves(t *testing.T) {
	l := newLab(t)
	w := l.worker(br0, w0)
	w.pass(t.Context())
	w.pass(t.Context())
	if k := w.wires["w0"]; k.status.State != Inspected || !k.probed() {
		t.Fatalf("%+v", k.status)
	}
	w.client.Close()
	w.have = standing{} // there is something to mend
	w.wires["w0"].health.next = time.Time{}
	w.dirty.Store(false)
	w.pass(t.Context())
	if w.away.IsZero() || w.client != nil {
		t.Errorf("away since %v", w.away)
	}
	if s := w.wires["w0"].status; s.State != Inspected || s.Problem == "" {
		t.Errorf("%+v", s)
	}
}

// TestMegaflows: what has connections makes the same flow of the datapath whoever sends it.
func TestMegaflows(t *testing.T) {
	l := newLab(t)
	l.keep([]Spec{w0}, br0)
	l.await("w0", Inspected)
	megaflow := func(packet string) string {
		out := l.sh("ovs-appctl -t ovs-vswitchd ofproto/trace br0 in_port=1," + packet)
		_, out, _ = strings.Cut(out, "Megaflow: ")
		out, _, _ = strings.Cut(out, "\n")
		return out
	}
	for _, packet := range []string{"tcp", "udp", "tcp6"} {
		if got := megaflow(packet + ",dl_src=02:00:00:00:00:07,dl_dst=02:00:00:00:00:08"); got == "" || strings.Contains(got, "dl_src") {
			t.Errorf("%s: %s", packet, got)
		}
	}
	for _, packet := range []string{"arp", "dl_type=0x88b5"} {
		if got := megaflow(packet + ",dl_src=02:00:00:00:00:07,dl_dst=02:00:00:00:00:08"); !strings.Contains(got, "dl_src=02:00:00:00:00:00/ff:ff:00:00:00:00") {
			t.Errorf("%s: %s", packet, got)
		}
	}
}

// TestBusySwitch: probes that came back while ovs-vswitchd stood still are not lost.
func TestBusySwitch(t *testing.T) {
	l := newLab(t)
	k, _ := l.keep([]Spec{w0}, br0)
	l.await("w0", Inspected)
	probes := func(n uint64) {
		before := k.Counts()["w0"].Sent
		l.eventually("probes pass", limit, func() bool { return k.Counts()["w0"].Sent >= before+n })
	}
	for range 3 {
		probes(4)
		l.sh("pid=$(cat " + l.Rundir + "/ovs-vswitchd.pid); kill -STOP $pid; sleep 0.35; kill -CONT $pid")
	}
	probes(4)
	if c := k.Counts()["w0"]; c.Missed != 0 || c.Turns != 1 {
		t.Errorf("%+v", c)
	}
}
