package wire

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

const interval = 100 * time.Millisecond

var (
	w0   = Spec{Name: "w0", Ports: [2]string{"p0", "p1"}, Inspectors: [2]string{"fw0", "fw1"}, ProbeInterval: interval}
	open = Spec{Name: "w0", Ports: [2]string{"p0", "p1"}, Inspectors: [2]string{"fw0", "fw1"}, ProbeInterval: interval, FailOpen: true}
	br0  = Bridge{Name: "br0", Ports: []string{"br0", "p0", "p1", "fw0", "fw1"}, Secure: true}
)

// TestInspected: what comes in at an end goes through the inspector, and is tracked before and
// after it; without a wire nothing passes.
func TestInspected(t *testing.T) {
	l := newLab(t)
	if l.passes() {
		t.Fatal("packets pass without a wire")
	}
	slow := w0
	slow.ProbeInterval = time.Minute
	l.keep([]Spec{slow}, br0)
	s := l.await("w0", Inspected)
	if s.Bridge != "br0" || s.Zones[0] != 65535 || s.Zones[1] != 65534 || s.Problem != "" || s.Since.IsZero() {
		t.Errorf("%+v", s)
	}
	if !l.passes() {
		t.Fatalf("no packet passes\n%s", l.flows("br0"))
	}
	got := l.sh("ovs-appctl -t ovs-vswitchd dpctl/dump-conntrack | grep icmp")
	for _, zone := range []string{"zone=65535", "zone=65534"} {
		if !strings.Contains(got, zone) {
			t.Errorf("%s is not in\n%s", zone, got)
		}
	}
	l.sh("bridge link set dev ifw1 state 0")
	if l.passes() { // long before a probe tells
		t.Error("packets pass the inspector by")
	}
	t.Log(l.flows("br0"))
}

// TestDeadInspector: the inspector stops forwarding while its links are up, so that only probes
// tell. Detection is bounded by four intervals, and what happens then is as configured.
func TestDeadInspector(t *testing.T) {
	for _, tt := range []struct {
		spec  Spec
		state State
	}{{w0, Closed}, {open, Open}} {
		t.Run(tt.state.String(), func(t *testing.T) {
			l := newLab(t)
			k, _ := l.keep([]Spec{tt.spec}, br0)
			l.await("w0", Inspected)
			l.eventually("probes pass", limit, func() bool { return k.Counts()["w0"].Sent > 4 })
			begun := time.Now()
			l.sh("bridge link set dev ifw1 state 0")
			s := l.await("w0", tt.state)
			took := time.Since(begun)
			t.Logf("inspector dead: told after %v (probe interval %v): %s", took, interval, s.Detail)
			if took > 4*interval+200*time.Millisecond {
				t.Errorf("it took %v", took)
			}
			if !strings.Contains(s.Detail, "3 probes in a row from fw") {
				t.Errorf("detail %q", s.Detail)
			}
			if passes := l.passes(); passes != (tt.state == Open) {
				t.Errorf("packets pass: %v\n%s", passes, l.flows("br0"))
			}
			if tt.state == Open && strings.Contains(l.sh("ovs-appctl -t ovs-vswitchd dpctl/dump-conntrack | grep icmp"), "zone=65534") {
				t.Error("what passes now looks inspected")
			}
			begun = time.Now()
			l.sh("bridge link set dev ifw1 state 3")
			l.await("w0", Inspected)
			t.Logf("back after %v", time.Since(begun))
			if !l.passes() {
				t.Error("nothing passes when it is back")
			}
			if c := k.Counts()["w0"]; c.Missed < 3 || c.Turns != 3 {
				t.Errorf("%+v", c)
			}
		})
	}
}

// TestInspectorWithoutLink: that is told at once, without waiting for probes.
func TestInspectorWithoutLink(t *testing.T) {
	l := newLab(t)
	slow := w0
	slow.ProbeInterval = time.Minute
	l.keep([]Spec{slow}, br0)
	l.await("w0", Inspected)
	begun := time.Now()
	l.sh("ip link set ifw0 down")
	s := l.await("w0", Closed)
	t.Logf("link down: told after %v: %s", time.Since(begun), s.Detail)
	if s.Detail != "fw0 has no link" || time.Since(begun) > time.Second {
		t.Errorf("%q after %v", s.Detail, time.Since(begun))
	}
}

// TestFlowsComeBack: flows that somebody deletes or changes are made again at once, and after a restart of the switch.
func TestFlowsComeBack(t *testing.T) {
	l := newLab(t)
	l.keep([]Spec{w0}, br0)
	l.await("w0", Inspected)
	whole := l.flows("br0")
	same := func() bool { return l.flows("br0") == whole }
	for _, harm := range []string{
		"ovs-ofctl del-flows br0",
		"ovs-ofctl -O OpenFlow14 mod-flows br0 cookie=0xf105770100000000/0xffffffff00000000,actions=drop",
		"ovs-ofctl -O OpenFlow14 --strict del-flows br0 priority=61001,in_port=1,ip",
		"ovs-ofctl -O OpenFlow14 add-flow br0 priority=61001,in_port=1,ip,actions=normal",
		"ovs-ofctl -O OpenFlow14 add-flow br0 cookie=0xf105770100000000,priority=7,actions=normal",
	} {
		l.sh(harm)
		took := l.eventually("it is mended after "+harm, limit, same)
		if t.Logf("%s: mended after %v", harm, took); took > lookEvery/2 {
			t.Errorf("only when it was looked at: %v", took)
		}
	}
	l.RestartSwitch()
	t.Logf("restart of ovs-vswitchd: mended %v after it was configured", l.eventually("the flows are back", limit, same))
	if s := l.await("w0", Inspected); s.Problem != "" && !strings.Contains(s.Problem, "br0") {
		t.Errorf("%+v", s)
	}
}

// TestNextKeeper: flows stay when a keeper ends; the next one finds zones and state in them, and
// removes those of wires that are gone.
func TestNextKeeper(t *testing.T) {
	l := newLab(t)
	l.sh("ip link add a0 type veth peer name b0; ip link add a1 type veth peer name b1")
	l.ports("br0", "a0", "a1")
	b := br0
	b.Ports = append([]string{"a0", "a1"}, b.Ports...)
	other := Spec{Name: "a", Ports: [2]string{"a0", "a1"}}
	_, stop := l.keep([]Spec{w0}, b)
	l.await("w0", Inspected)
	l.sh("bridge link set dev ifw1 state 0")
	l.await("w0", Closed)
	l.eventually("the flows are those of a closed wire", limit, func() bool { return !strings.Contains(l.flows("br0"), "zone=65535") })
	stop()
	before := l.flows("br0")
	if before == "" {
		t.Fatal("flows went with their keeper")
	}
	l.last, l.history = nil, nil
	_, stop = l.keep([]Spec{other, w0}, b)
	if s := l.await("a", Through); s.Zones != [2]flows.Zone{65533, 65533} {
		t.Errorf("zones %v", s.Zones)
	}
	if s := l.await("w0", Closed); s.Zones != [2]flows.Zone{65535, 65534} {
		t.Errorf("zones %v", s.Zones)
	}
	l.mu.Lock()
	if slices.Contains(l.history, "w0 inspected") {
		t.Error("it forgot that the inspector is away")
	}
	l.mu.Unlock()
	stop()
	k, _ := l.keep([]Spec{other}, b)
	l.eventually("the flows of w0 are gone", limit, func() bool { return !strings.Contains(l.flows("br0"), "0000ffff") && l.flows("br0") != "" })
	k.Set(nil, []Bridge{b})
	l.eventually("all flows are gone", limit, func() bool { return l.flows("br0") == "" })
}
