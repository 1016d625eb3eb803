package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

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
	b := newBench(t, 2, "")
	b.fastPath()
	done := make(chan string)
	go func() {
		out, _ := b.try(b.vms[1], "", "iperf3", "-s", "-1")
		done <- out
	}()
	const sent = 20 << 20
	harness.Within(t, patience, "iperf3", func() error {
		_, err := b.try(b.vms[0], "", "iperf3", "-c", "10.0.0.2", "-n", fmt.Sprint(sent))
		return err
	})
	<-done
	packets, bytes := b.rule("pf0vf0 prio")
	if bytes < sent || bytes > sent*5/4 {
		t.Errorf("%d bytes counted for %d sent", bytes, sent)
	}
	if mean := bytes / packets; mean < 1300 || mean > 1514 {
		t.Errorf("%d bytes in %d packets: mean size %d", bytes, packets, mean)
	}
	if d := b.device(b.vms[1], b.vf(1)); d.Stats.Rx.Bytes != bytes {
		t.Errorf("the VF received %d bytes, the rule forwarded %d", d.Stats.Rx.Bytes, bytes)
	}
}

func TestModelPrioritiesEswsim(t *testing.T) {
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

func TestModelCapacityEswsim(t *testing.T) {
	b := newBench(t, 2, "")
	b.set("capacity", 3)
	rule := "pref 10 protocol ip flower skip_sw ip_proto udp dst_port %d action drop"
	for i := range 3 {
		b.add(0, fmt.Sprintf(rule, i+1))
	}
	if err := b.tc(0, fmt.Sprintf(rule, 4)); err == nil || !strings.Contains(err.Error(), "table is full (3 rules)") {
		t.Errorf("fourth rule of three: %v", err)
	}
	b.add(1, strings.Replace(fmt.Sprintf(rule, 4), "skip_sw ", "", 1))
	if out := b.in(b.host, "tc", "filter", "show", "dev", b.rep(1), "ingress"); !strings.Contains(out, "not_in_hw") {
		t.Errorf("a rule that software may do: %s", out)
	}
	if c := b.counters(); c["full"] != 2 || c["rules"] != 3 || c["adds"] != 3 {
		t.Errorf("counters: %v", c)
	}
	b.remove(0, 10)
	b.add(0, fmt.Sprintf(rule, 4))
	if c := b.counters(); c["rules"] != 1 || c["dels"] != 3 {
		t.Errorf("after the removal: %v", c)
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

func TestModelFaultsEswsim(t *testing.T) {
	b := newBench(t, 2, "")
	rule := "pref 10 protocol ip flower skip_sw ip_proto udp dst_port %d action drop"
	b.set("refuse_next", "out of luck today\n")
	if err := b.tc(0, fmt.Sprintf(rule, 1)); err == nil || !strings.Contains(err.Error(), "out of luck today") {
		t.Errorf("to be refused: %v", err)
	}
	b.add(0, fmt.Sprintf(rule, 1))
	b.set("refuse_permille", 1000)
	if err := b.tc(0, fmt.Sprintf(rule, 2)); err == nil || !strings.Contains(err.Error(), "refused at random") {
		t.Errorf("to be refused: %v", err)
	}
	b.set("refuse_permille", 0)
	if c := b.counters(); c["refused"] != 2 || c["rules"] != 1 {
		t.Errorf("counters: %v", c)
	}
	b.set("insert_us", 20_000)
	var batch strings.Builder
	for i := range 20 {
		fmt.Fprintf(&batch, "filter add dev %s ingress "+rule+"\n", b.rep(0), i+10)
	}
	start := time.Now()
	b.feed(b.host, batch.String(), "tc", "-b", "-")
	if took := time.Since(start); took < 400*time.Millisecond {
		t.Errorf("20 insertions of 20 ms took %v", took)
	}
}

func TestModelSwitchOffEswsim(t *testing.T) {
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

func TestModelDevlinkEswsim(t *testing.T) {
	b := newBench(t, 4, "pfs=2")
	other := newBench(t, 1, "")
	ports := b.ports()
	if len(ports) != 5 {
		t.Errorf("ports: %v", ports)
	}
	id := b.device(b.host, b.nic+"p0").Switch
	if len(id) != 16 || id == other.device(other.host, other.rep(0)).Switch {
		t.Errorf("switch id %q", id)
	}
	for i, want := range []string{"pf0vf0", "pf1vf0", "pf0vf1", "pf1vf1"} {
		d := b.device(b.host, b.rep(i))
		if d.Port != want || d.Switch != id {
			t.Errorf("%s: port %q, want %q, switch %q, want %q", b.rep(i), d.Port, want, d.Switch, id)
		}
		p := ports[fmt.Sprintf("eswsim/%s/%d", b.nic, i+1)]
		if p.Flavour != "pcivf" || p.Netdev != b.rep(i) || p.PF != i%2 || p.VF != i/2 || p.Function.Addr != b.device(b.vms[i], b.vf(i)).Address {
			t.Errorf("devlink port of %s: %+v", b.rep(i), p)
		}
	}
	if p := ports["eswsim/"+b.nic+"/0"]; p.Flavour != "physical" || p.Netdev != b.nic+"p0" || b.device(b.host, p.Netdev).Port != "p0" {
		t.Errorf("uplink: %+v", p)
	}
	if d := b.device(b.vms[0], b.vf(0)); d.Switch != "" || d.Port != "" {
		t.Errorf("a VF says that it is a port: %+v", d)
	}
	mustMatch(t, b.in(b.host, "devlink", "dev", "eswitch", "show", "eswsim/"+b.nic), `mode switchdev`)
	mustMatch(t, b.in(b.host, "ethtool", "-i", b.rep(0)), `driver: eswsim`, `bus-info: `+b.nic+`\n`)
	mustMatch(t, b.in(b.host, "ethtool", "-k", b.rep(0)), `hw-tc-offload: on`)
	b.in(b.host, "ip", "link", "set", b.rep(1), "down")
	b.in(b.host, "ip", "link", "set", b.rep(1), "name", "tap1234")
	if d := b.device(b.host, "tap1234"); d.Port != "pf1vf0" {
		t.Errorf("after the rename: %+v", d)
	}
}

func TestModelCarrierEswsim(t *testing.T) {
	b := newBench(t, 1, "")
	for _, step := range []struct {
		ns, dev, state string
		vf, rep        bool
	}{
		{b.vms[0], b.vf(0), "up", true, true},
		{b.vms[0], b.vf(0), "down", false, false},
		{b.vms[0], b.vf(0), "up", true, true},
		{b.host, b.rep(0), "down", false, false},
		{b.host, b.rep(0), "up", true, true},
	} {
		b.in(step.ns, "ip", "link", "set", step.dev, step.state)
		harness.Within(t, patience, step.dev+" "+step.state, func() error {
			if vf, rep := b.carrier(b.vms[0], b.vf(0)), b.carrier(b.host, b.rep(0)); vf != step.vf || rep != step.rep {
				return fmt.Errorf("carriers: VF %v, representor %v", vf, rep)
			}
			return nil
		})
	}
}

// Two NICs with a cable between them, in two hosts.
func TestModelConnectEswsim(t *testing.T) {
	x, y := newBench(t, 1, ""), newBench(t, 1, "")
	x.order("connect", x.nic+"/0 "+y.nic+"/0")
	for _, b := range []*bench{x, y} {
		uplink := b.nic + "p0"
		b.in(b.host, "ip", "link", "set", uplink, "up")
		b.in(b.host, "tc", "qdisc", "add", "dev", uplink, "clsact")
		b.add(0, "pref 1 protocol all flower skip_sw action mirred egress redirect dev "+uplink)
		b.in(b.host, "tc", "filter", "add", "dev", uplink, "ingress", "pref", "1", "protocol", "all",
			"flower", "skip_sw", "action", "mirred", "egress", "redirect", "dev", b.rep(0))
	}
	y.in(y.vms[0], "ip", "addr", "del", "10.0.0.1/24", "dev", y.vf(0))
	y.in(y.vms[0], "ip", "addr", "add", "10.0.0.9/24", "dev", y.vf(0))
	x.in(x.vms[0], "ping", "-q", "-c", "3", "-i", "0.1", "10.0.0.9") // ARP too
	for _, b := range []*bench{x, y} {
		if c := b.counters(); c["misses"] != 0 || c["hits"] < 6 {
			t.Errorf("%s: %v", b.nic, c)
		}
		if !b.carrier(b.host, b.nic+"p0") {
			t.Errorf("%sp0 has no carrier", b.nic)
		}
	}
	y.in(y.host, "ip", "link", "set", y.nic+"p0", "down")
	if x.carrier(x.host, x.nic+"p0") {
		t.Error("carrier in spite of the other end's being down")
	}
}

// The wire of an uplink that is not connected is a net device.
func TestModelWireEswsim(t *testing.T) {
	b := newBench(t, 1, "")
	wire, uplink := b.nic+"w0", b.nic+"p0"
	far := b.namespace("far")
	b.in(b.host, "ip", "link", "set", wire, "netns", far)
	b.in(far, "ip", "addr", "add", "10.0.0.8/24", "dev", wire)
	b.in(far, "ip", "link", "set", wire, "up")
	b.in(b.host, "ip", "link", "set", uplink, "up")
	b.in(b.host, "tc", "qdisc", "add", "dev", uplink, "clsact")
	b.add(0, "pref 1 protocol all flower skip_sw action mirred egress redirect dev "+uplink)
	b.in(b.host, "tc", "filter", "add", "dev", uplink, "ingress", "pref", "1", "protocol", "all",
		"flower", "skip_sw", "action", "mirred", "egress", "redirect", "dev", b.rep(0))
	b.in(far, "ping", "-q", "-c", "3", "-i", "0.1", "10.0.0.1")
	if n, _ := b.rule("p0 prio"); n < 4 { // ARP and 3
		t.Errorf("the uplink's rule has %d packets", n)
	}
}

func TestModelResetEswsim(t *testing.T) {
	kernelQuiet(t)
	b := newBench(t, 2, "")
	b.slowPath()
	b.fastPath()
	for _, how := range []string{"silent", "report"} {
		b.set("reset", how)
		if c := b.counters(); c["rules"] != 0 {
			t.Errorf("%s: %v", how, c)
		}
		saw := b.hostSaw()
		b.pings(0, 1, 3)
		if b.hostSaw() == saw {
			t.Errorf("%s: the NIC still forwards", how)
		}
		if out := b.in(b.host, "tc", "-s", "filter", "show", "dev", b.rep(0), "ingress", "pref", "100"); !strings.Contains(out, "in_hw") {
			t.Errorf("%s: tc knows: %s", how, out)
		}
		b.remove(0, 100) // harmless
		b.remove(1, 100)
		b.fastPath()
		b.pings(0, 1, 3)
	}
	var health struct {
		Health map[string][]struct {
			Reporter, State string
			Error, Recover  int
		}
	}
	if out := b.in(b.host, "devlink", "-j", "health", "show", "eswsim/"+b.nic, "reporter", "fw"); json.Unmarshal([]byte(out), &health) != nil {
		t.Fatal(out)
	}
	if h := health.Health["eswsim/"+b.nic]; len(h) != 1 || h[0].Reporter != "fw" || h[0].State != "healthy" || h[0].Error != 1 || h[0].Recover != 1 {
		t.Errorf("health: %+v", health)
	}
	if c := b.counters(); c["lost"] != 4 {
		t.Errorf("lost: %v", c)
	}
}

func TestModelDevicesAgainEswsim(t *testing.T) {
	kernelQuiet(t)
	b := newBench(t, 2, "")
	b.fastPath()
	b.in(b.host, "ip", "link", "set", b.rep(0), "down")
	b.in(b.host, "ip", "link", "set", b.rep(0), "name", "tap0")
	b.in(b.vms[0], "ip", "link", "set", b.vf(0), "address", "02:00:00:00:00:77")
	rep, vf := b.device(b.host, "tap0"), b.device(b.vms[0], b.vf(0))
	b.set("reset", "devices")
	rep2, vf2 := b.device(b.host, "tap0"), b.device(b.vms[0], b.vf(0))
	if rep2.Index == rep.Index || vf2.Index == vf.Index || rep2.Port != rep.Port || rep2.Switch != rep.Switch || vf2.Address != vf.Address {
		t.Errorf("before: %+v %+v, after: %+v %+v", rep, vf, rep2, vf2)
	}
	if p := b.ports()["eswsim/"+b.nic+"/1"]; p.Netdev != "tap0" {
		t.Errorf("devlink: %+v", p)
	}
	if c := b.counters(); c["rules"] != 0 {
		t.Errorf("rules survived their devices: %v", c)
	}
}

// A VF whose namespace ends goes back to the first one, as a device of a real NIC
// would; the NIC ends with its own namespace.
func TestModelNamespacesEndEswsim(t *testing.T) {
	kernelQuiet(t)
	b := newBench(t, 2, "")
	b.fastPath()
	b.in("", "ip", "netns", "del", b.vms[0])
	harness.Within(t, patience, b.vf(0)+" comes back", func() error {
		_, err := b.try("", "", "ip", "link", "show", b.vf(0))
		return err
	})
	b.in("", "ip", "netns", "del", b.host)
	harness.Within(t, patience, b.nic+" is gone", func() error {
		for _, name := range []string{eswsimControl + "/" + b.nic, "/sys/bus/eswsim/devices/" + b.nic, "/sys/class/net/" + b.vf(0)} {
			if _, err := os.Stat(name); err == nil {
				return fmt.Errorf("%s is there", name)
			}
		}
		return nil
	})
}
