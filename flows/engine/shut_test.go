package engine

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// A NIC that cannot do what is asked is not asked for each of thousands of connections;
// when it can, it is found out.
func TestShut(t *testing.T) {
	cfg := DefaultConfig()
	cfg.ReadBudget = 1
	n := &nic{id: "a", perRule: time.Millisecond, unable: true}
	l := newLab(t, cfg, n)
	l.add(l.zipf(3000, 1e10, 0.7)...)
	l.run(10 * time.Second)
	first := n.attempts
	l.run(10 * time.Minute)
	t.Logf("%d attempts, and %d more in ten minutes", first, n.attempts-first)
	if first > 150 { // what was on its way by the eighth refusal
		t.Errorf("promise 7: %d attempts", first)
	}
	if again := n.attempts - first; again < 3 || again > 8 {
		t.Errorf("promise 7: %d attempts in ten minutes, want some few", again)
	}
	want := []string{"udp over IPv4: cannot match that"}
	if shut := l.g.Tables()[0].Shut; !slices.Equal(shut, want) {
		t.Errorf("promise 8: told %q, want %q", shut, want)
	}
	if c := l.g.Counts().Followed[flows.Refused]; c < 2900 {
		t.Errorf("promise 8: %d of 3000 connections know why", c)
	}
	n.unable = false
	l.run(longestShut + time.Minute)
	if len(n.rules) != 3000 || l.g.Tables()[0].Shut != nil {
		t.Errorf("promise 7: %d sessions are in after it can, told %q", len(n.rules), l.g.Tables()[0].Shut)
	}
}

// Nor is it asked for each of those whose eswitch is known only when their path is.
func TestShutWithTwoNICs(t *testing.T) {
	a, b := &nic{id: "a", perRule: time.Millisecond, unable: true}, &nic{id: "b", perRule: time.Millisecond, unable: true}
	l := newLab(t, DefaultConfig(), a, b)
	for range 60 {
		l.add(l.zipf(4, 1e10, 0.7)...)
		l.run(time.Second)
	}
	if a.attempts > 20 || b.attempts > 20 {
		t.Errorf("promise 7: %d and %d attempts for 120 connections each", a.attempts, b.attempts)
	}
	if c := l.g.Counts().Followed[flows.Refused]; c < 220 {
		t.Errorf("promise 8: %d of 240 connections know why", c)
	}
	a.unable, b.unable = false, false
	l.run(longestShut + time.Minute)
	if len(a.rules) != 120 || len(b.rules) != 120 {
		t.Errorf("promise 7: %d and %d sessions are in after it can", len(a.rules), len(b.rules))
	}
}

// What a NIC cannot change does not keep it from what it can forward.
func TestShutKnowsShapes(t *testing.T) {
	n := &nic{id: "a", perRule: time.Millisecond, rigid: true}
	l := newLab(t, DefaultConfig(), n)
	add := func(hops uint8) {
		l.add(l.zipf(2, 1e10, 0.7)...)
		for _, e := range l.herd[len(l.herd)-2:] {
			e.hops = hops
		}
	}
	for range 60 {
		add(1)
		l.run(time.Second)
	}
	refused := n.attempts
	for range 30 {
		add(0)
		add(1)
		l.run(time.Second)
	}
	asked := l.asked
	l.run(time.Minute)
	if l.asked > asked+10 {
		t.Errorf("promise 7: asked %d times for paths that are known", l.asked-asked)
	}
	if len(n.rules) != 60 {
		t.Errorf("promise 7: %d of 60 sessions are in that are not routed", len(n.rules))
	}
	if refused > 20 || n.attempts > refused+10 {
		t.Errorf("promise 7: %d attempts for 120 routed connections, %d for all", refused, n.attempts)
	}
	want := []string{"udp over IPv4, routed: cannot match that"}
	if shut := l.g.Tables()[0].Shut; !slices.Equal(shut, want) {
		t.Errorf("promise 8: told %q, want %q", shut, want)
	}
	n.rigid = false
	l.run(longestShut + time.Minute)
	if len(n.rules) != 240 || l.g.Tables()[0].Shut != nil {
		t.Errorf("promise 7: %d sessions are in after it can, told %q", len(n.rules), l.g.Tables()[0].Shut)
	}
}

// Nothing leaves a full table for what its eswitch refuses.
func TestShutDisplacesNothing(t *testing.T) {
	n := &nic{id: "a", capacity: 100, unableV6: true}
	l := newLab(t, DefaultConfig(), n)
	l.add(l.zipf(60, 1e8, 0.2)...)
	l.run(10 * time.Second)
	for range 120 {
		l.addV6(1e10)
		l.run(time.Second)
	}
	if got := l.g.Counts().Removals[flows.Displaced]; got > shutAfter+4 {
		t.Errorf("promise 7: %d sessions were displaced for %d attempts", got, n.attempts)
	}
}

// addV6 lets an elephant begin whose addresses are of IPv6.
func (l *lab) addV6(rate float64) {
	l.add(rate)
	e := l.herd[len(l.herd)-1]
	tuple := &e.entry.Key.Tuple
	delete(l.of, *tuple)
	v4 := tuple.Src.As4()
	tuple.Src, tuple.Dst = netip.AddrFrom16([16]byte{0xfd, 14: v4[2], 15: v4[3]}), netip.MustParseAddr("fd00:1::1")
	e.entry.Reply = tuple.Reverse()
	l.of[*tuple] = e
}
