package wire

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/openflow"
)

// pairs adds pairs of veths: NAME is a port of a bridge, hNAME its other end.
func (l *lab) pairs(bridge string, names ...string) {
	for _, name := range names {
		l.sh(fmt.Sprintf("ip link add %s type veth peer name h%s; ip link set %s up; ip link set h%s up", name, name, name, name))
		l.ports(bridge, name)
	}
}

// TestSeveral: wires on one bridge and on another, with one inspector dead; one goes, the others stay.
func TestSeveral(t *testing.T) {
	l := newLab(t)
	l.Vsctl("add-br", "br1", "--", "set", "bridge", "br1", "datapath_type=netdev", "fail_mode=secure")
	l.pairs("br0", "a0", "a1")
	l.pairs("br1", "b0", "b1")
	l.inspector("insp2", "gw0", "gw1")
	l.ports("br1", "gw0", "gw1")
	bridges := []Bridge{
		{Name: "br0", Ports: append([]string{"a0", "a1"}, br0.Ports...), Secure: true},
		{Name: "br1", Ports: []string{"b0", "b1", "gw0", "gw1"}, Secure: true},
	}
	specs := []Spec{
		{Name: "a", Ports: [2]string{"a0", "a1"}},
		{Name: "b", Ports: [2]string{"b0", "b1"}, Inspectors: [2]string{"gw0", "gw1"}, ProbeInterval: interval},
		w0,
	}
	k, _ := l.keep(specs, bridges...)
	all := l.until("all are there", func(all map[string]Status) bool {
		return all["a"].State == Through && all["b"].State == Inspected && all["w0"].State == Inspected
	})
	seen := map[string]bool{}
	for _, s := range all {
		for i, zone := range s.Zones {
			key := fmt.Sprint(zone)
			if seen[key] && (i == 0 || s.State != Through) {
				t.Errorf("zone %d is there twice", zone)
			}
			seen[key] = true
		}
	}
	l.sh("bridge link set dev igw0 state 0")
	l.await("b", Closed)
	if s := l.await("w0", Inspected); s.Detail != "" {
		t.Errorf("%+v", s)
	}
	before := l.flows("br0")
	k.Set([]Spec{specs[0], specs[2]}, bridges)
	l.until("b is gone", func(all map[string]Status) bool { _, there := all["b"]; return !there && len(all) == 2 })
	l.eventually("no flow of b is left", limit, func() bool { return l.flows("br1") == "" })
	if after := l.flows("br0"); after != before {
		t.Errorf("other wires were touched:\n%s\n%s", before, after)
	}
	k.Set(nil, bridges)
	l.eventually("no flow is left", limit, func() bool { return l.flows("br0") == "" })
}

// TestPortsChange: a port gets another number, goes, and comes back.
func TestPortsChange(t *testing.T) {
	l := newLab(t)
	l.keep([]Spec{w0}, br0)
	l.await("w0", Inspected)
	l.sh("ovs-vsctl --db=" + l.Database + " set interface p0 ofport_request=77")
	l.eventually("the new number is used", limit, func() bool { return strings.Contains(l.flows("br0"), "in_port=77") && l.count("br0") == 16 })
	l.eventually("packets pass", limit, l.passes)

	l.Vsctl("del-port", "fw0")
	if s := l.await("w0", Closed); s.Detail != "br0 has no port fw0" {
		t.Errorf("%+v", s)
	}
	l.Vsctl("add-port", "br0", "fw0")
	l.await("w0", Inspected)

	l.Vsctl("del-port", "p1")
	if s := l.await("w0", Unready); s.Detail != "br0 has no port p1" || s.Bridge != "" || s.Zones[0] != 0 {
		t.Errorf("%+v", s)
	}
	if flows := l.flows("br0"); strings.Contains(flows, "output") || !strings.Contains(flows, "priority=61000,in_port=77 ") {
		t.Errorf("a wire without an end does not drop what comes in:\n%s", flows)
	}
	l.Vsctl("add-port", "br0", "p1")
	if s := l.await("w0", Inspected); s.Zones[0] != 65535 {
		t.Errorf("%+v", s)
	}
	l.eventually("packets pass", limit, l.passes)
}

// TestUnready says why there is no wire.
func TestUnready(t *testing.T) {
	l := newLab(t)
	l.Vsctl("add-br", "br1", "--", "set", "bridge", "br1", "datapath_type=netdev")
	owned := br0
	owned.Owner = "somebody removes flows from br0"
	lax := br0
	lax.Secure = false
	apart := []Bridge{{Name: "br0", Ports: []string{"p0", "fw0", "fw1"}, Secure: true}, {Name: "br1", Ports: []string{"p1"}}}
	elsewhere := w0
	elsewhere.Anywhere = true
	k, _ := l.keep([]Spec{w0}, owned)
	if s := l.await("w0", Unready); s.Detail != owned.Owner || l.flows("br0") != "" {
		t.Errorf("%+v", s)
	}
	k.Set([]Spec{w0}, []Bridge{lax})
	if s := l.await("w0", Inspected); !strings.Contains(s.Problem, "br0 has no fail_mode=secure") {
		t.Errorf("%+v", s)
	}
	shared := br0
	shared.Ports = append([]string{"x0"}, br0.Ports...)
	k.Set([]Spec{w0}, []Bridge{shared})
	l.until("it says who floods", func(all map[string]Status) bool {
		return all["w0"].State == Inspected && strings.Contains(all["w0"].Problem, "br0 has ports that are of no wire (x0)")
	})
	k.Set([]Spec{w0}, apart)
	if s := l.await("w0", Unready); s.Detail != "its ports are in several bridges: p0 in br0, p1 in br1, fw0 in br0, fw1 in br0" {
		t.Errorf("%+v", s)
	}
	k.Set([]Spec{w0}, []Bridge{{Name: "br1"}})
	l.until("no bridge has a port", func(all map[string]Status) bool {
		return strings.HasPrefix(all["w0"].Detail, "no bridge has a port p0,")
	})
	k.Set([]Spec{elsewhere}, []Bridge{{Name: "br1"}})
	l.until("it is not missed", func(all map[string]Status) bool { return len(all) == 0 })

	l.Vsctl("set", "bridge", "br0", "protocols=OpenFlow10,OpenFlow13")
	k.Set([]Spec{w0}, []Bridge{br0})
	l.until("it says what is wrong", func(all map[string]Status) bool {
		return all["w0"].State == Unready && strings.Contains(all["w0"].Detail, "OpenFlow14")
	})
	l.Vsctl("clear", "bridge", "br0", "protocols")
	l.await("w0", Inspected)
}

// TestOwned: a bridge that gets an owner keeps what it has of a wire, so that none that is closed
// is opened; until the row is gone.
func TestOwned(t *testing.T) {
	l := newLab(t)
	owned := br0
	owned.Owner, owned.Secure = "somebody removes flows from br0", false
	k, stop := l.keep([]Spec{w0}, br0)
	l.await("w0", Inspected)
	l.sh("bridge link set dev ifw1 state 0")
	l.await("w0", Closed)
	l.eventually("it is closed", limit, func() bool { return !strings.Contains(l.flows("br0"), "output") })
	l.sh("ovs-ofctl add-flow br0 priority=0,actions=normal")
	before := l.flows("br0")
	kept := func(when string) {
		t.Helper()
		if s := l.await("w0", Unready); s.Detail != owned.Owner || s.Zones[0] != 0 {
			t.Errorf("%s: %+v", when, s)
		}
		l.sh("ovs-ofctl add-flow br0 priority=1,actions=normal") // has the bridge looked at
		if after := l.flows("br0"); after != before || l.passes() {
			t.Errorf("%s: a wire that was closed is open:\n%s", when, after)
		}
	}
	k.Set([]Spec{w0}, []Bridge{owned})
	kept("the bridge gets an owner")
	stop()
	l.last = nil
	k, _ = l.keep([]Spec{w0}, owned)
	kept("another keeper")
	l.sh("ovs-ofctl -O OpenFlow14 --strict del-flows br0 priority=61000,in_port=3")
	l.eventually("a flow is gone", limit, func() bool { return l.flows("br0") != before })
	before = l.flows("br0")
	kept("the owner removes a flow")
	k.Set(nil, []Bridge{owned})
	l.eventually("the flows go with the row", limit, func() bool { return l.flows("br0") == "" })
}

// TestRefused: what a bridge refuses of one wire is told of that one, and others get their flows.
func TestRefused(t *testing.T) {
	l := newLab(t)
	l.pairs("br0", "a0", "a1")
	l.Vsctl("--", "--id=@t", "create", "Flow_Table", "flow_limit=10", "overflow_policy=refuse", "--", "set", "bridge", "br0", "flow_tables:0=@t")
	b := br0
	b.Ports = append([]string{"a0", "a1"}, b.Ports...)
	l.keep([]Spec{{Name: "a", Ports: [2]string{"a0", "a1"}}, w0}, b)
	all := l.until("one has its flows", func(all map[string]Status) bool { return all["a"].State == Through && all["w0"].Detail != "" })
	if s := all["w0"]; s.State != Unready || !strings.HasPrefix(s.Detail, "bridge br0: bundle: ") {
		t.Errorf("%+v", s)
	}
	if s := all["a"]; s.Problem != "" {
		t.Errorf("%+v", s)
	}
	l.Vsctl("clear", "bridge", "br0", "flow_tables")
	l.await("w0", Inspected)
}

// TestLongNames: OpenFlow tells 15 bytes of a name. One that is not there is not another.
func TestLongNames(t *testing.T) {
	s := Spec{Name: "w0", Ports: [2]string{"long-name-of-port-1", "p1"}}
	for want, ports := range map[uint32][]string{0: {"long-name-of-port-2", "p1"}, 7: {"long-name-of-port-1", "p1"}} {
		tasks, _ := assign([]Spec{s}, []Bridge{{Name: "br0", Ports: ports}})
		n := numbersOf([]openflow.Port{{Name: "long-name-of-po", Number: 7}, {Name: "p1", Number: 8}})
		if got := n.without(tasks["br0"][0].absent).of(s.Ports[0]).Number; got != want {
			t.Errorf("%v: port %d, want %d", ports, got, want)
		}
	}
}

// TestNoZoneLeft: such a wire lets nothing pass.
func TestNoZoneLeft(t *testing.T) {
	l := newLab(t)
	l.sh("bridge link set dev ifw1 state 0") // else there is a loop
	l.sh("ovs-ofctl add-flow br0 priority=0,actions=normal")
	if !l.passes() {
		t.Fatal("nothing passes without a wire")
	}
	k := New(Config{Rundir: l.Rundir, Tell: l.tell, Taken: func(flows.Zone) bool { return true }})
	l.run(k)
	k.Set([]Spec{w0}, []Bridge{br0})
	if s := l.await("w0", Unready); s.Detail != "no conntrack zone is left" {
		t.Errorf("%+v", s)
	}
	l.eventually("nothing passes", limit, func() bool { return !l.passes() })
	k.Set(nil, []Bridge{br0})
	l.eventually("the flows go with the row", limit, func() bool { return l.flows("br0") == "" })
}

// TestSwitchAway: while ovs-vswitchd is away a wire is what it was, for some time.
func TestSwitchAway(t *testing.T) {
	l := newLab(t)
	k := New(Config{Rundir: l.Rundir, Tell: l.tell, Grace: time.Second})
	l.run(k)
	k.Set([]Spec{w0}, []Bridge{br0})
	l.await("w0", Inspected)
	l.Vsctl("del-br", "br0")
	all := l.until("it says what is wrong", func(all map[string]Status) bool { return all["w0"].Problem != "" })
	if s := all["w0"]; s.State != Inspected || !strings.HasPrefix(s.Problem, "bridge br0: ") {
		t.Errorf("%+v", s)
	}
	begun := time.Now()
	s := l.await("w0", Unready)
	if took := time.Since(begun); took > 3*time.Second || !strings.HasPrefix(s.Detail, "bridge br0: ") {
		t.Errorf("%+v after %v", s, took)
	}
}

// TestFloods measures that what another port floods reaches a wire, and that no-flood keeps it away.
func TestFloods(t *testing.T) {
	l := newLab(t)
	l.pairs("br0", "x0")
	l.sh("ovs-ofctl add-flow br0 priority=0,actions=normal; ip addr add 10.9.0.1/24 dev hx0")
	l.keep([]Spec{w0}, br0)
	l.await("w0", Inspected)
	l.sh("ip link set insp down") // what the wire itself carries would be counted too
	received := func() string { rx, _, _ := strings.Cut(l.in(1, "ip -o -s link show h1"), "TX:"); return rx }
	asked := func() bool {
		l.sh("ip neigh flush dev hx0")
		before := received()
		l.sh("ping -c1 -W1 10.9.0.9 || true")
		return received() != before
	}
	if !asked() {
		t.Error("nothing reaches the wire")
	}
	for _, port := range []string{"p0", "p1", "fw0", "fw1"} {
		l.sh("ovs-ofctl mod-port br0 " + port + " no-flood")
	}
	l.eventually("no-flood keeps it away", limit, func() bool { return !asked() })
}
