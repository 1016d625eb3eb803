package e2e

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// driftWithin is how long after a change in OVS packets may still go the old way.
const driftWithin = time.Second

// drift is an elephant whose path is changed under it.
type drift struct {
	*running
	t     *testing.T
	sport uint16
	c     connection
}

// way is one direction of an elephant, as seen where its packets arrive.
type way struct {
	*harness.Capture
	name     string
	src, dst uint16
}

func (v way) last(t testing.TB) time.Time {
	t.Helper()
	return v.Of(t, v.src, v.dst).Last
}

// What OVS does with an elephant's packets changes: none goes the old way for longer
// than a second, and it is back in hardware on the path that it then has.
func TestDrift(t *testing.T) {
	betterOnEswsim(t)
	w := harness.SwitchedPair(t)
	w.Bridge("br1")
	w.Switch("br1", harness.Pipeline{Zone: w.Zone})
	second := w.SecondPort("br0", w.B)
	invalid := invalidPackets(w)
	a := startAgent(w.World, modest...)
	l := w.B.Listen(t, "tcp", 9000, false)
	// a connection is tried again the later the more often it was refused, so a new one for each kind
	start := func(sport uint16) *drift {
		return &drift{&running{elephantFlow(w, "tcp", sport), w, l, a}, t, sport, connection{}}
	}
	eth0, eth1, sender := w.B.Capture(t, "eth0"), w.B.Capture(t, "eth1"), w.A.Capture(t, "eth0")
	causes := map[string]int{}

	driftDropped(start(47000), start(47001), eth0, sender, causes)
	driftRedirected(start(47002), second, eth0, eth1, causes)
	driftPorts(start(47003), eth0, causes)

	for cause, n := range causes {
		mustMatch(t, ctl(w.World, "stats"), fmt.Sprintf(`removals +cause=%s +%d\n`, cause, n))
	}
	if n := invalidPackets(w) - invalid; n != 0 {
		t.Errorf("conntrack found %d packets invalid", n)
	}
}

// driftDropped drops packets of one connection, and replies to another one.
func driftDropped(d, replies *drift, eth0, sender *harness.Capture, causes map[string]int) {
	w := d.w
	d.starts(w.B)
	replies.starts(w.B)
	d.leaves("its packets dropped", way{eth0, "to the receiver", d.sport, 9000}, "path-dropped", causes, func() {
		addFlow(w.World, "br0", "table=0,priority=300,tcp,nw_src=%s,tp_src=%d,actions=drop", w.A.IP4, d.sport)
	})
	replies.leaves("replies dropped behind conntrack", way{sender, "back to the sender", 9000, replies.sport}, "path-dropped", causes, func() {
		addFlow(w.World, "br0", "table=1,priority=40000,tcp,ct_state=+trk+est+rpl,tp_dst=%d,actions=drop", replies.sport)
	})
	delFlows(w.World, "br0")
	d.returns(w.B)
	replies.returns(w.B)
	d.arrives()
	replies.arrives()
	rulesWithin(d.t, w.World, patience, 0)
}

// driftRedirected leads packets to another port of the receiver, and back.
func driftRedirected(d *drift, second *harness.VM, eth0, eth1 *harness.Capture, causes map[string]int) {
	w := d.w
	there, elsewhere := way{eth0, "to the receiver", d.sport, 9000}, way{eth1, "to the receiver's second device", d.sport, 9000}
	d.starts(w.B)
	// one way only: the connection goes on, but no two rules fit it
	d.leaves("its packets redirected", there, "path-changed", causes, func() {
		addFlow(w.World, "br0", "table=2,ip,actions=output:%s", w.OFPort(second))
		addFlow(w.World, "br0", "table=0,priority=300,tcp,ct_state=-trk,tp_src=%d,actions=ct(zone=%d,table=2)", d.sport, w.Zone)
	})
	d.arriveBy(elsewhere)
	w.B.SendBy(d.t, "eth1", w.A)
	w.B.Ping(d.t, w.A.IP4) // OVS learns from what no flow of the datapath matches
	learned(w.World, "br0", second)
	d.returns(second)
	delFlows(w.World, "br0")
	d.stays("redirected to where it goes anyway")
	d.leaves("receiver's MAC at another port", elsewhere, "path-changed", causes, func() { w.B.SendBy(d.t, "eth0", w.A) })
	d.returns(w.B)
	d.arrives()
	rulesWithin(d.t, w.World, patience, 0)
}

// learned waits until OVS has the receiver's MAC at a port.
func learned(w *harness.World, bridge string, at *harness.VM) {
	w.T.Helper()
	station := regexp.MustCompile(`(?m)^ *` + w.OFPort(at) + ` +0 +` + at.MAC + ` `)
	harness.Within(w.T, patience, "OVS has learned "+at.MAC, func() error {
		if fdb := w.Run(w.T, "ovs-appctl", "fdb/show", bridge); !station.MatchString(fdb) {
			return fmt.Errorf("not at port %s:\n%s", w.OFPort(at), fdb)
		}
		return nil
	})
}

// driftPorts changes where the receiver's port is, and blocks the sender's.
func driftPorts(d *drift, eth0 *harness.Capture, causes map[string]int) {
	w := d.w
	there := way{eth0, "to the receiver", d.sport, 9000}
	d.starts(w.B)
	// OVS floods what is for a MAC that it does not know, and may say so before the database tells
	const early = "port-gone|path-unsupported/outputs"
	d.leaves("receiver's port on another bridge", there, early, causes, func() {
		w.Vsctl("del-port", w.B.Rep, "--", "add-port", "br1", w.B.Rep)
	})
	w.Detach(w.B)
	w.Attach("br0", w.B)
	d.returns(w.B)
	d.leaves("receiver's port in another VLAN", there, early, causes, func() {
		w.Vsctl("set", "port", w.B.Rep, "tag=20")
	})
	w.Vsctl("remove", "port", w.B.Rep, "tag", "20")
	d.returns(w.B)
	d.leaves("all dropped that enters the sender's port", there, "path-dropped", causes, func() {
		addFlow(w.World, "br0", "table=0,priority=300,in_port=%s,actions=drop", w.OFPort(w.A))
	})
	delFlows(w.World, "br0")
	d.arrives()
}

// addFlow adds a flow that delFlows deletes again.
func addFlow(w *harness.World, bridge, format string, args ...any) {
	w.T.Helper()
	w.Run(w.T, "ovs-ofctl", "add-flow", bridge, "cookie=0xd1,"+fmt.Sprintf(format, args...))
}

func delFlows(w *harness.World, bridge string) {
	w.T.Helper()
	w.Run(w.T, "ovs-ofctl", "del-flows", bridge, "cookie=0xd1/-1")
}

// starts waits until the elephant is in hardware.
func (d *drift) starts(to *harness.VM) {
	d.t.Helper()
	d.c = offloaded(d.w.World, d.tuple)
	d.carried(d.w.A, to)
}

// leaves makes a change that takes packets off a way.
func (d *drift) leaves(name string, old way, causes string, count map[string]int, change func()) {
	t, w := d.t, d.w
	t.Helper()
	if since := time.Since(old.last(t)); since > driftWithin {
		t.Fatalf("%s: the last packet %s was %v ago: this would show nothing", name, old.name, since)
	}
	began := time.Now()
	change()
	changed := time.Now()
	harness.Throughout(t, 2*driftWithin, name+": no packet "+old.name, func() error {
		if late := old.last(t).Sub(changed); late > driftWithin {
			return fmt.Errorf("one %v after the change", late)
		}
		return nil
	})
	removed := d.agent.Logged(t, patience, "remove", "session", d.c.ID)
	cause := removed.Attrs["cause"]
	// on a slow machine the time to validate is over first
	if !regexp.MustCompile("^(path-unvalidated|" + causes + ")$").MatchString(cause) {
		t.Errorf("%s: left for %s, want %s", name, cause, causes)
	}
	count[cause]++
	d.c.leaves(t, d.agent)
	pairs(t, w.World, time.Second) // it may be on its way back by the new path
	t.Logf("%s: %s; ordered %v, last packet %v after the beginning of a change that took %v", name, cause,
		removed.Time.Sub(began).Round(time.Millisecond), old.last(t).Sub(began).Round(time.Millisecond), changed.Sub(began).Round(time.Millisecond))
}

// returns waits until the elephant is in hardware again.
func (d *drift) returns(to *harness.VM) {
	t := d.t
	t.Helper()
	began := time.Now()
	var at time.Time
	d.c, at = d.back(d.c)
	t.Logf("back after %v", at.Sub(began).Round(time.Millisecond))
	d.carried(d.w.A, to)
}

// stays fails unless a change is noticed and the session is left alone.
func (d *drift) stays(name string) {
	t := d.t
	t.Helper()
	harness.Throughout(t, 2*driftWithin, name+": stays", func() error {
		for _, l := range d.agent.Log() {
			if l.Msg == "remove" && l.Attrs["session"] == d.c.ID {
				return fmt.Errorf("%+v", l)
			}
		}
		return nil
	})
	if now := offloaded(d.w.World, d.tuple); now.ID != d.c.ID {
		t.Errorf("%s: was %+v, is %+v", name, d.c, now)
	}
}

// arriveBy waits until a packet arrives by a way.
func (d *drift) arriveBy(v way) {
	d.t.Helper()
	now := time.Now()
	harness.Within(d.t, patience, "packets "+v.name, func() error {
		if last := v.last(d.t); last.Before(now) {
			return fmt.Errorf("the last was %v ago", now.Sub(last))
		}
		return nil
	})
}

// carried fails unless the elephant's two rules lead from port to port, and carry what
// conntrack does not see.
func (d *drift) carried(from, to *harness.VM) {
	d.t.Helper()
	carried(d.t, d.w.World, d.flow, d.sport, from, to)
	pairs(d.t, d.w.World, time.Second)
}

func (d *drift) rules() []harness.Filter { return rulesOf(d.w.World, d.sport) }

// rulesOf are those of a connection, by its source port.
func rulesOf(w *harness.World, sport uint16) (rules []harness.Filter) {
	w.T.Helper()
	for _, r := range w.Rules() {
		if r.Keys["src_port"] == float64(sport) || r.Keys["dst_port"] == float64(sport) {
			rules = append(rules, r)
		}
	}
	return rules
}

func carried(t testing.TB, w *harness.World, f *flow, sport uint16, from, to *harness.VM) {
	t.Helper()
	const bytes = 100_000
	other := map[string]string{from.Rep: to.Rep, to.Rep: from.Rep}
	sum := func() (bytes uint64) {
		rules := rulesOf(w, sport)
		for _, r := range rules {
			if len(r.Actions) != 1 || r.Actions[0].ToDev != other[r.Dev] {
				t.Errorf("%v: to %+v, want %q", r, r.Actions, other[r.Dev])
			}
			bytes += r.Bytes()
		}
		if len(rules) != 2 {
			t.Errorf("%d rules: %v", len(rules), rules)
		}
		return bytes
	}
	eyes, start := watchSlowPath(w, f.filter, sport, 9000, from, to), sum()
	defer eyes.close()
	harness.Within(t, patience, "bytes in hardware", func() error {
		if n := int64(sum() - start); n < bytes {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	eyes.saw(3)
}
