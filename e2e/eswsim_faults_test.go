package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The model's limits and faults, and what becomes of it then.

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

func TestModelFaultsEswsim(t *testing.T) {
	slowly(t)
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
	slowly(t)
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

// Orders that cannot be carried out are refused, and leave nothing behind.
func TestModelOrdersEswsim(t *testing.T) {
	slowly(t)
	kernelQuiet(t)
	b := newBench(t, 1, "")
	for _, o := range []struct{ file, text string }{
		{"new", "\n"},
		{"new", "x"},
		{"new", "x vfs=0 uplinks=0"},
		{"new", "x vfs=100000 uplinks=1"},
		{"new", "x vfs=1 uplinks=1 pfs=0"},
		{"new", "x vfs=many uplinks=1"},
		{"new", "x wheels=4"},
		{"new", "../x vfs=1"},
		{"new", "ninechars vfs=1"},
		{"new", "x vfs=1 " + strings.Repeat(" ", 300)},
		{"new", b.nic + " vfs=1"},
		{"del", "x"},
		{"connect", b.nic + "/0"},
		{"connect", b.nic + "/0 " + b.nic + "/0"},
		{"connect", b.nic + "/0 " + b.nic + "/1"},
		{"connect", b.nic + "/0 x/0"},
		{b.nic + "/reset", "hard"},
		{b.nic + "/stats_delay_ms", "-1"},
		{b.nic + "/stats_delay_ms", "4000000"},
	} {
		if _, err := b.try(b.host, o.text, "sh", "-c", "cat >"+eswsimControl+"/"+o.file); err == nil {
			t.Errorf("%s: %q was obeyed", o.file, o.text)
		}
	}
	// A device of that name is there: half of the NIC must go again.
	b.in(b.host, "ip", "link", "add", "taken1v1", "type", "bridge")
	order := func() error {
		return exec.Command("nsenter", "--net=/run/netns/"+b.host, "sh", "-c", "echo taken1 vfs=3 uplinks=1 >"+eswsimControl+"/new").Run()
	}
	for range 3 {
		if order() == nil {
			t.Fatal("a device's name was taken, and the NIC was made")
		}
	}
	b.in(b.host, "ip", "link", "del", "taken1v1")
	if err := order(); err != nil {
		t.Error(err)
	}
	b.order("del", "taken1")
}
