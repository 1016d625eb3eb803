package check

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/ovsdb"
	"github.com/flowshunt/flowshunt/pkg/control"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/tc"
	"github.com/flowshunt/flowshunt/pkg/tc/tctest"
)

// ports returns a node whose OVS ports are the devices of this namespace.
func ports(t *testing.T, names ...string) *node {
	t.Helper()
	n := &node{}
	n.Preference = 0x4000
	s := &ovsdb.Snapshot{}
	for _, name := range names {
		s.Ports = append(s.Ports, ovsdb.Port{Name: name, Type: "system", DatapathType: "system"})
	}
	n.inventory = inventory{s, nil}
	if n.devices, n.devicesErr = readDevices(); n.devicesErr != nil {
		t.Fatal(n.devicesErr)
	}
	return n
}

func TestQdiscs(t *testing.T) {
	tctest.Namespace(t)
	tctest.Veth(t, "p0", "p1")
	wantLines(t, says(t, ports(t, "p0", "p1", "p9"), ingressQdiscs), "ok ingress: no port has an ingress qdisc; 0 with clsact")
	tctest.Run(t, "tc qdisc add dev p0 clsact")
	tctest.Run(t, "tc qdisc add dev p1 ingress")
	wantLines(t, says(t, ports(t, "p0"), ingressQdiscs), "ok ingress: no port has an ingress qdisc; 1 with clsact")
	wantLines(t, says(t, ports(t, "p0", "p1"), ingressQdiscs), "fatal ingress: 1 port has an ingress qdisc: p1 (not of OVS, or left by it)")
	n := ports(t, "p0", "p1")
	n.Ports[1].Policing.RateKbps = 1000
	wantLines(t, says(t, n, ingressQdiscs), "ok ingress: 1 port has an ingress qdisc, of OVS's policing; 1 with clsact")
	n.Switch.HWOffload = true
	wantLines(t, says(t, n, ingressQdiscs), "fatal ingress: 1 port has an ingress qdisc: p1 (of OVS: hw-offload)")
}

// Filters of any kind that the kernel has: what tells them apart is where they stand and
// the cookies of their actions.
func TestFilters(t *testing.T) {
	tctest.Namespace(t)
	tctest.Veth(t, "p0", "p1")
	tctest.Run(t, "tc qdisc add dev p0 clsact")
	free, none := "ok preferences: 16380 to 16407 are free for ours", "ok our rules: none"
	wantLines(t, says(t, ports(t, "p0"), filters), none, free, "ok ovs filters: none")

	add := func(pref int, cookie string) {
		t.Helper()
		if cookie != "" {
			cookie = " cookie " + cookie
		}
		tctest.Run(t, fmt.Sprintf("tc filter add dev p0 ingress pref %d protocol ip u32 match ip src 192.0.2.1 action mirred egress redirect dev p1%s", pref, cookie))
	}
	add(7, "")
	wantLines(t, says(t, ports(t, "p0"), filters), none, free, "ok ovs filters: none")
	add(16390, "")
	wantLines(t, says(t, ports(t, "p0"), filters), none,
		"fatal preferences: somebody else's filters stand at 16380 to 16407: p0: u32 at preference 16390", "ok ovs filters: none")
	tctest.Run(t, "tc filter del dev p0 ingress pref 16390")
	n := ports(t, "p0")
	n.Preference = 5
	if got := says(t, n, filters); !strings.HasPrefix(got[1], "fatal preferences: somebody else's filters stand at 1 to 28") {
		t.Error(got)
	}
}

// What is suggested against OVS's filters removes these and nothing else, on either qdisc.
func TestRemoval(t *testing.T) {
	for _, qdisc := range []string{"clsact", "ingress"} {
		t.Run(qdisc, func(t *testing.T) {
			tctest.Namespace(t)
			tctest.Veth(t, "p0", "p1")
			tctest.Run(t, "tc qdisc add dev p0 "+qdisc)
			for _, place := range []string{"pref 2", "pref 3", "pref 2 chain 5"} {
				tctest.Run(t, "tc filter add dev p0 ingress protocol ip "+place+" u32 match ip src 192.0.2.1 action mirred egress redirect dev p1")
			}
			tctest.Run(t, removal("p0", &tc.Filter{Pref: 2}))
			tctest.Run(t, removal("p0", &tc.Filter{Pref: 2, Chain: 5}))
			if left := tctest.Run(t, "tc filter show dev p0 ingress"); strings.Contains(left, "pref 2") || !strings.Contains(left, "pref 3") {
				t.Errorf("left: %s", left)
			}
			if left := tctest.Run(t, "tc qdisc show dev p0"); !strings.Contains(left, qdisc) {
				t.Errorf("left: %s", left)
			}
		})
	}
}

// A cookie of that length is no proof: what is suggested first is what harms nobody.
func TestOVSFilters(t *testing.T) {
	n := &node{inventory: inventory{&ovsdb.Snapshot{}, nil}}
	n.devices = []device{named(4, "p0")}
	var c census
	for pref := uint16(1); pref <= 6; pref++ {
		if err := c.add(n, filterOf(pref, 1, "flower", "0123456789abcdef")); err != nil {
			t.Fatal(err)
		}
	}
	l := c.ovsLine(n)
	mustBeWhole(t, l)
	if l.Status != Fatal || !strings.Contains(l.Found, "look like") || !strings.HasPrefix(l.Fix[0], "restart ovs-vswitchd first") ||
		l.Fix[2] != "tc filter del dev p0 ingress pref 1" || len(l.Fix) != 7 || strings.Contains(strings.Join(l.Fix, " "), "qdisc del") {
		t.Errorf("%+v", l)
	}
}

// TestOwnFilters needs the kernel to report actions, which it does for flower.
func TestOwnFilters(t *testing.T) {
	tctest.Namespace(t)
	tctest.NeedFlower(t)
	tctest.Veth(t, "p0", "p1")
	tctest.Run(t, "tc qdisc add dev p0 clsact")
	add := func(pref int, cookie string) {
		t.Helper()
		tctest.Run(t, fmt.Sprintf("tc filter add dev p0 ingress pref %d protocol ip flower skip_hw src_ip 192.0.2.1 action mirred egress redirect dev p1 cookie %s", pref, cookie))
	}
	add(16384, "f10547000000000000000001")
	add(3, strings.Repeat("ab", 16))
	n := ports(t, "p0")
	n.agent.err = control.ErrNoAgent
	wantLines(t, says(t, n, filters), "fatal our rules: 1 rule and no agent", "ok preferences: 16380 to 16407 are free for ours",
		"fatal ovs filters: some on p0 look like OVS's, and hw-offload is false")
	n.agent.err = nil
	n.Switch.HWOffload = true
	wantLines(t, says(t, n, filters), "ok our rules: 1 rule; flowshuntctl audit tells whether the agent has them all",
		"ok preferences: 16380 to 16407 are free for ours", "ok ovs filters: on p0, of hw-offload=true")
}

// Whose our rules are depends on whether an agent lives.
func TestOurRules(t *testing.T) {
	c := census{ours: 2}
	for _, tt := range []struct {
		err  error
		want Status
	}{{nil, OK}, {control.ErrNoAgent, Fatal}, {control.ErrPermission, Warning}, {control.ErrTimeout, Warning}} {
		n := &node{agent: agent{err: tt.err}}
		if l := c.rulesLine(n); l.Status != tt.want {
			t.Errorf("%v: %+v", tt.err, l)
		}
	}
}

// A curtain is no rule, but should not outlive the agent.
func TestCurtainLeft(t *testing.T) {
	c := census{passing: 1}
	for _, tt := range []struct {
		err  error
		want Status
	}{{nil, OK}, {control.ErrNoAgent, Warning}} {
		l := c.rulesLine(&node{agent: agent{err: tt.err}})
		if mustBeWhole(t, l); l.Status != tt.want {
			t.Errorf("%v: %+v", tt.err, l)
		}
	}
}

// What a dump reports is told apart without a kernel that has flower.
func TestCensus(t *testing.T) {
	n := &node{}
	n.devices = []device{named(4, "p0")}
	n.Preference = 0x4000
	var c census
	for _, f := range []struct {
		pref           uint16
		handle         uint32
		kind, cookie   string
		ours, ovs, odd int
	}{
		{0x4000, 1, "flower", "\xf1\x05\x47\x00\x00\x00\x00\x00\x00\x00\x00\x01", 1, 0, 0},
		{9, 1, "flower", "\xf1\x05\x47\x00\x00\x00\x00\x00\x00\x00\x00\x01", 1, 0, 0},      // of an agent with another --preference
		{0x3ffb, 1, "flower", "\xf1\x05\x47\x00\x00\x00\x00\x00\x00\x00\x00\x00", 0, 0, 0}, // a curtain
		{0x4000, 0, "flower", "", 0, 0, 0},                                                 // the preference itself
		{0x4000, 2, "flower", "", 0, 0, 1},
		{0x4007, 0, "u32", "", 0, 0, 1},
		{0x4000 + eswitch.Classes, 1, "flower", "", 0, 0, 0},
		{0x4000 - eswitch.GuardClasses, 1, "flower", "", 0, 0, 1},
		{0x4000 - eswitch.GuardClasses - 1, 1, "flower", "", 0, 0, 0},
		{2, 1, "flower", "0123456789abcdef", 0, 1, 0},
		{2, 1, "flower", "0123456789", 0, 0, 0},
	} {
		before := c
		if err := c.add(n, filterOf(f.pref, f.handle, f.kind, f.cookie)); err != nil {
			t.Fatal(err)
		}
		if c.ours-before.ours != f.ours || len(c.ovs)-len(before.ovs) != f.ovs || len(c.foreign)-len(before.foreign) != f.odd {
			t.Errorf("%+v: %+v", f, c)
		}
	}
	c.all = maxFilters
	if err := c.add(n, filterOf(1, 1, "flower", "")); err != errEnough {
		t.Errorf("%v", err)
	}
}

func filterOf(pref uint16, handle uint32, kind, cookie string) *tc.Filter {
	f := &tc.Filter{Link: 4, Pref: pref, Handle: handle, Kind: kind}
	if handle != 0 {
		f.Actions = []tc.Action{{Kind: tc.KindMirred, Cookie: tc.NewCookie([]byte(cookie))}}
	}
	return f
}
