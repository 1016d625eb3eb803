package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// What the model of a NIC promises to those who use it: e2e/eswsim/README.md.

func TestModelHitAndMissEswsim(t *testing.T) {
	kernelQuiet(t)
	b := newBench(t, 2, "")
	b.slowPath()
	counters, saw := b.counters(), b.hostSaw()
	b.pings(0, 1, 20)
	if g := b.grown(counters); g["misses"] != 40 || g["hits"] != 0 {
		t.Errorf("20 pings in the slow path: %v", g)
	}
	if n := b.hostSaw() - saw; n != 80 {
		t.Errorf("20 pings in the slow path: the host saw %d packets, want 80", n)
	}
	b.fastPath()
	counters, saw = b.counters(), b.hostSaw()
	b.pings(0, 1, 20)
	if g := b.grown(counters); g["misses"] != 0 || g["hits"] != 40 || g["cpu_ns"] == 0 {
		t.Errorf("20 pings in hardware: %v", g)
	}
	if n := b.hostSaw() - saw; n != 0 {
		t.Errorf("20 pings in hardware: the host saw %d packets", n)
	}
	if packets, bytes := b.rule("pf0vf0 prio"); packets != 20 || bytes != 20*98 {
		t.Errorf("rule of 20 pings counts %d packets, %d bytes", packets, bytes)
	}
	if d := b.device(b.vms[0], b.vf(0)); d.Stats.Tx.Packets != 40 || d.Stats.Rx.Packets != 40 {
		t.Errorf("VF after 40 pings: %+v", d.Stats)
	}
}

// Big packets are forwarded whole and counted as what they would be on a wire.
func TestModelSegmentsEswsim(t *testing.T) {
	slowly(t)
	b := newBench(t, 2, "")
	b.fastPath()
	received := make(chan string)
	go func() {
		out, _ := b.try(b.vms[1], "", "sh", "-c", "busybox nc -l -p 9000 | wc -c")
		received <- strings.TrimSpace(out)
	}()
	const sent = 20 << 20
	harness.Within(t, patience, "a connection", func() error {
		_, err := b.try(b.vms[0], "", "bash", "-c", fmt.Sprintf("exec 3>/dev/tcp/10.0.0.2/9000 && head -c %d /dev/zero >&3", sent))
		return err
	})
	if got := <-received; got != fmt.Sprint(sent) {
		t.Fatalf("%s bytes received of %d", got, sent)
	}
	packets, bytes := b.rule("pf0vf0 prio")
	const headers = 14 + 20 + 20 // that each packet has at least
	if bytes < sent+packets*headers || bytes > sent*5/4 {
		t.Errorf("%d bytes in %d packets counted for %d sent", bytes, packets, sent)
	}
	if mean := bytes / packets; mean < 1300 || mean > 1514 {
		t.Errorf("%d bytes in %d packets: mean size %d", bytes, packets, mean)
	}
	if d := b.device(b.vms[1], b.vf(1)); d.Stats.Rx.Bytes != bytes {
		t.Errorf("the VF received %d bytes, the rule forwarded %d", d.Stats.Rx.Bytes, bytes)
	}
}

func TestModelPrioritiesEswsim(t *testing.T) {
	slowly(t)
	b := newBench(t, 3, "")
	b.slowPath()
	b.fastPath()
	b.add(0, "pref 90 protocol ip flower skip_sw ip_proto icmp dst_ip 10.0.0.0/24 action drop")
	counters := b.counters()
	if b.ping(0, 1, 3) == nil {
		t.Error("came through in spite of the drop at a better preference")
	}
	if g := b.grown(counters); g["dropped"] != 3 || g["hits"] != 3 {
		t.Errorf("3 packets dropped: %v", g)
	}
	b.add(0, "pref 80 protocol ip flower skip_sw ip_ttl 9 action pass")
	counters = b.counters()
	b.pings(0, 1, 3, "-t", "9") // there in software, back in hardware
	if g := b.grown(counters); g["misses"] != 3 || g["hits"] != 3 {
		t.Errorf("3 packets passed to the slow path: %v", g)
	}
	if n, _ := b.rule("pass"); n != 3 {
		t.Errorf("the pass rule counts %d", n)
	}
	b.remove(0, 90)
	counters = b.counters()
	b.pings(0, 1, 3)
	if g := b.grown(counters); g["hits"] != 6 || g["misses"] != 0 {
		t.Errorf("without the drop: %v", g)
	}
	b.add(0, "pref 70 protocol ip flower skip_sw ip_proto icmp action mirred egress mirror dev $r2 pipe action mirred egress redirect dev $r1")
	before := b.device(b.vms[2], b.vf(2)).Stats.Rx
	b.pings(0, 1, 3)
	if n := b.device(b.vms[2], b.vf(2)).Stats.Rx.Packets - before.Packets; n != 3 {
		t.Errorf("%d packets mirrored, want 3", n)
	}
}

// A filter that takes another's place has its key for a moment, too.
func TestModelReplaceEswsim(t *testing.T) {
	slowly(t)
	b := newBench(t, 2, "")
	b.fastPath()
	for _, action := range []string{"drop", "mirred egress redirect dev " + b.rep(1)} {
		b.in(b.host, append([]string{"tc", "filter", "replace", "dev", b.rep(0), "ingress", "pref", "50", "handle", "1",
			"protocol", "ip", "flower", "skip_sw", "ip_proto", "icmp", "action"}, strings.Fields(action)...)...)
		if err := b.ping(0, 1, 2); (err == nil) != (action != "drop") {
			t.Errorf("after the rule became %s: %v", action, err)
		}
	}
	if c := b.counters(); c["rules"] != 3 {
		t.Errorf("%d rules, want 3", c["rules"])
	}
}

// hardware is what tc says that hardware has forwarded by the filters of a representor.
func (b *bench) hardware(rep int) string {
	b.Helper()
	var found []string
	for line := range strings.Lines(b.in(b.host, "tc", "-s", "filter", "show", "dev", b.rep(rep), "ingress")) {
		if s, ok := strings.CutPrefix(strings.TrimSpace(line), "Sent hardware "); ok {
			found = append(found, strings.TrimSpace(s))
		}
	}
	return strings.Join(found, ";")
}

func TestModelStatsDelayEswsim(t *testing.T) {
	slowly(t)
	b := newBench(t, 2, "")
	b.fastPath()
	b.set("stats_delay_ms", 3600_000)
	b.pings(0, 1, 5)
	if got := b.hardware(0); got != "" {
		t.Errorf("counters came before the hour was over: %s", got)
	}
	b.set("stats_delay_ms", 0)
	if got := b.hardware(0); got != "490 bytes 5 pkt" {
		t.Errorf("counters at once: %q", got)
	}
	b.set("stats_delay_ms", 300)
	b.pings(0, 1, 5)
	harness.Within(t, patience, "counters of 10 packets", func() error {
		if got := b.hardware(0); got != "980 bytes 10 pkt" {
			return fmt.Errorf("%q", got)
		}
		return nil
	})
}

func TestModelSwitchOffEswsim(t *testing.T) {
	slowly(t)
	b := newBench(t, 2, "")
	b.fastPath()
	if out, err := b.try(b.host, "", "ethtool", "-K", b.rep(0), "hw-tc-offload", "off"); err == nil {
		t.Errorf("hw-tc-offload went off with rules in: %s", out)
	}
	b.remove(0, 100)
	b.in(b.host, "ethtool", "-K", b.rep(0), "hw-tc-offload", "on") // the kernel tries only what is new
	b.in(b.host, "ethtool", "-K", b.rep(0), "hw-tc-offload", "off")
	rule := "pref 100 protocol ip flower skip_sw action drop"
	if err := b.tc(0, rule); err == nil || !strings.Contains(err.Error(), "TC offload is disabled") {
		t.Errorf("with hw-tc-offload off: %v", err)
	}
	b.in(b.host, "ethtool", "-K", b.rep(0), "hw-tc-offload", "on")
	b.add(0, rule)
}
