package path

import (
	"fmt"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

func names(ports []Port) string {
	var s []string
	for _, p := range ports {
		s = append(s, p.Name)
	}
	return fmt.Sprint(s)
}

func TestSamplingOnDemand(t *testing.T) {
	l := newLab(t)
	l.port(4, func(p *Port) { p.Bridge = "br1" })
	l.at(1, macA)
	l.at(2, macB)
	check := func(when string, at flows.Instant, ports string, found int) {
		t.Helper()
		if got := names(l.r.Sampling(at)); got != ports {
			t.Errorf("%s: sampling %s, want %s", when, got, ports)
		}
		if len(l.answered) != found {
			t.Errorf("%s: told of %v, want %d", when, l.answered, found)
		}
	}
	check("at first", now, "[]", 0)
	l.wantReason(5, flows.PathUnknown)
	check("nothing seen", now, "[p1 p2 p3 p4]", 0)
	l.packet(1, mustTuple(t, "tcp,10.0.0.1:40000,10.0.0.2:5202"), macA, macB)
	check("another connection", now, "[p1 p2 p3 p4]", 0)
	l.packet(1, l.orig, macA, macB)
	l.packet(1, l.orig, macA, macB)
	check("one direction seen", now, "[p1 p2 p3 p4]", 1)
	l.wantReason(5, flows.PathUnknown)
	check("the bridge is known", now, "[p1 p2 p3]", 1)
	l.packet(2, l.orig.Reverse(), macB, macA)
	check("both directions seen", now, "[p1 p2 p3]", 2)
	for _, o := range l.answered {
		if o != l.orig {
			t.Errorf("told of %s", o)
		}
	}
	l.wantPath(5, paths(1, 2, macA, macB))
	check("before the end", now.Add(wantedAge-1), "[p1 p2 p3]", 2)
	check("not wanted for a while", now.Add(wantedAge), "[]", 2)
	l.packet(1, l.orig, macA, macB)
	check("wanted by nobody", now.Add(wantedAge), "[]", 2)
}

// Where a direction was seen at one bridge, the other one may come in at any that patch ports
// join it to.
func TestSamplingAcrossBridges(t *testing.T) {
	l := newLab(t)
	l.port(4, func(p *Port) { p.Bridge = "br1" })
	l.port(5, func(p *Port) { p.Bridge = "br2" })
	l.port(6, func(p *Port) { p.Type = "patch" })
	l.port(7, func(p *Port) { p.Bridge, p.Type = "br1", "patch" })
	l.packet(1, l.orig, macA, macB)
	l.wantReason(5, flows.UnsupportedOutputs)
	l.at(2, macB)
	l.wantReason(5, flows.PathUnknown)
	if got := names(l.r.Sampling(now)); got != "[p1 p2 p3 p4 p6 p7]" {
		t.Errorf("sampling %s", got)
	}
}

// Only refusals that a packet could cure switch sampling on.
func TestRefusalsThatNeedNoSampling(t *testing.T) {
	for _, test := range refusals {
		l := newLab(t)
		test.setup(l)
		_, err := l.resolve(5)
		on := len(l.r.Sampling(now)) > 0
		if reason := reasonOf(err); on && reason != flows.PathUnknown && reason != flows.ZoneUnknown {
			t.Errorf("%s: sampling for %s", test.name, reason)
		}
	}
}

func TestWantedIsBounded(t *testing.T) {
	w := NewWanted(nil)
	tuple := mustTuple(t, "udp,10.0.0.1:1,10.0.0.2:2")
	for i := range 2 * maxWanted {
		tuple.SrcPort = uint16(i)
		w.want(tuple, lack{bridge: "br0"}, now)
	}
	if n := len(w.tuples); n != maxWanted {
		t.Errorf("%d connections are wanted, %d allowed", n, maxWanted)
	}
	tuple.SrcPort = 50_000
	w.want(tuple, lack{bridge: "br1"}, now.Add(wantedAge))
	if bridges, all := w.Bridges(now.Add(wantedAge)); all || len(bridges) != 1 || !bridges["br1"] {
		t.Errorf("after the others expired: %v, %t", bridges, all)
	}
}

// A stream in one direction is no reason to look again and again: only the answer
// is news.
func TestOneDirectionTellsOnce(t *testing.T) {
	l := newLab(t)
	l.at(1, macA)
	l.at(2, macB)
	l.wantReason(5, flows.PathUnknown)
	again := func(at time.Duration, want int) {
		t.Helper()
		for range 100 {
			l.packet(1, l.orig, macA, macB)
			if _, err := l.r.Resolve(t.Context(), l.request(5), now.Add(at)); reasonOf(err) != flows.PathUnknown {
				t.Fatal(err)
			}
		}
		if n := len(l.answered); n != want {
			t.Errorf("after %v: told %d times, want %d", at, n, want)
		}
	}
	again(0, 1)
	again(tellAgain, 2)
	l.packet(2, l.orig.Reverse(), macB, macA)
	if n := len(l.answered); n != 3 {
		t.Errorf("the answer was not told: %d", n)
	}
	l.wantPath(5, paths(1, 2, macA, macB))
}
