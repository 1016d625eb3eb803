package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// onlooker has an eye on a connection that is past the slow path: conntrack, and where
// there is a NIC, everybody who could look at its representors.
type onlooker struct {
	w        *harness.World
	filter   []string // for conntrack(8); none: it is not tracked
	src, dst uint16
	entry    uint64 // packets in conntrack
	ports    []onlookerAtPort
	hits     uint64
}

// onlookerAtPort compares what is captured at a representor with what that counts.
type onlookerAtPort struct {
	*harness.Capture
	vm      *harness.VM
	counted uint64 // bytes
}

// watchSlowPath begins to look at a connection between machines.
func watchSlowPath(w *harness.World, filter []string, src, dst uint16, vms ...*harness.VM) *onlooker {
	w.T.Helper()
	o := &onlooker{w: w, filter: filter, src: src, dst: dst}
	if w.NIC != nil {
		for _, vm := range vms {
			o.ports = append(o.ports, onlookerAtPort{w.CapturePort(vm), vm, w.Counters(w.T, vm.Rep).Bytes()})
		}
		o.hits = w.NIC.Counters(w.T).Hits
	}
	o.entry = o.tracked()
	return o
}

// tracked is how many packets conntrack has seen.
func (o *onlooker) tracked() uint64 {
	o.w.T.Helper()
	if o.filter == nil {
		return 0
	}
	return o.w.Entry(o.filter...).Packets()
}

// saw fails unless the slow path has seen at most so many packets of the connection,
// and returns how many conntrack has. Control packets are its own.
func (o *onlooker) saw(most int64) (packets int64) {
	t := o.w.T
	t.Helper()
	packets = int64(o.tracked() - o.entry)
	if packets < 0 || packets > most {
		t.Errorf("%v: conntrack saw %d packets, want at most %d", o.filter, packets, most)
	}
	if o.w.NIC == nil {
		return packets
	}
	onlyHardware(o.w)
	for _, p := range o.ports {
		p.check(t, o, most)
	}
	if now := o.w.NIC.Counters(t).Hits; now == o.hits {
		t.Errorf("no rule of %s was hit", o.w.NIC.Name)
	}
	return packets
}

// close ends the captures, in a story with many.
func (o *onlooker) close() {
	for _, p := range o.ports {
		p.Close()
	}
}

func (p onlookerAtPort) check(t testing.TB, o *onlooker, most int64) {
	t.Helper()
	counted := o.w.Counters(t, p.vm.Rep).Bytes() - p.counted
	there, back := p.Of(t, o.src, o.dst), p.Of(t, o.dst, o.src)
	if n := there.Packets + back.Packets - there.Control - back.Control; n > uint64(most) {
		t.Errorf("ports %d and %d: %d packets captured on %s, want at most %d", o.src, o.dst, n, p.vm.Rep, most)
	}
	// counters have the headers of each segment that a packet of the host stands for
	harness.Within(t, patience, "captured is what was counted on "+p.vm.Rep, func() error {
		sum := p.Sum()
		if explained := sum.Bytes + sum.Bytes/10 + 100*sum.Packets + 1500*uint64(most); explained < counted {
			return fmt.Errorf("%+v, of %d bytes", sum, counted)
		}
		return nil
	})
}

// onlyHardware fails unless hardware, and nothing else, executes our rules, where there
// is hardware.
func onlyHardware(w *harness.World) {
	w.T.Helper()
	if w.NIC == nil {
		return
	}
	curtains := make(map[string]bool)
	for _, r := range w.Rules() {
		curtains[r.Dev] = curtains[r.Dev] || r.Pref == curtainPreference && r.Protocol == "all" && r.SkipHW
	}
	for _, r := range ourRules(w) {
		if !r.SkipSW && !curtains[r.Dev] || !r.InHW {
			w.T.Errorf("%v: skip_sw %v, in_hw %v, curtain %v", r, r.SkipSW, r.InHW, curtains[r.Dev])
		}
	}
}

// curtainPreference is that of the filter which keeps the kernel from our rules where it
// refuses skip_sw.
const curtainPreference = 0x4000 - 5

// counted waits for a number that a NIC may tell late, to be at least so big.
func counted(t testing.TB, what string, least int64, read func() int64) {
	t.Helper()
	harness.Within(t, 3*time.Second, what, func() error {
		if n := read(); n < least {
			return fmt.Errorf("%d, want %d", n, least)
		}
		return nil
	})
}
