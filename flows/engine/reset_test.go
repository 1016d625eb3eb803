package engine

import (
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// grazing returns a lab with many sessions in two NICs whose counters are late.
func grazing(t *testing.T) (*lab, *nic, *nic) {
	a, b := &nic{id: "a", refresh: time.Second}, &nic{id: "b", refresh: time.Second}
	l := newLab(t, DefaultConfig(), a, b)
	l.add(l.zipf(200, 2e8, 0.7)...)
	l.run(20 * time.Second)
	if len(a.rules) != 100 || len(b.rules) != 100 {
		t.Fatalf("promise 4: %d and %d sessions are in", len(a.rules), len(b.rules))
	}
	return l, a, b
}

// Counters that are refreshed late are no sign of anything, nor are sessions without traffic.
func TestLateCounters(t *testing.T) {
	l, a, b := grazing(t)
	l.run(time.Minute)
	for i, e := range l.herd {
		if i%2 == 0 {
			e.rate = 3e5 // from much to little
		}
	}
	l.run(10 * time.Second)
	c := l.g.Counts()
	if len(a.rules) != 100 || len(b.rules) != 100 || len(c.Removals) > 0 {
		t.Errorf("promise 4: %d and %d sessions are in, removals %v", len(a.rules), len(b.rules), c.Removals)
	}
}

// A NIC that lost its rules without a word: all come back, and the other NIC's stay,
// whatever was told last of hits before.
func TestSilentReset(t *testing.T) {
	worst := time.Duration(0)
	for phase := range 10 {
		l, a, _ := grazing(t)
		l.run(time.Duration(phase) * 100 * time.Millisecond)
		adds := a.adds
		for _, e := range a.rules {
			e.blind = true
		}
		took := time.Duration(0)
		for a.adds < adds+100 && took < 10*time.Second {
			l.run(100 * time.Millisecond)
			took += 100 * time.Millisecond
		}
		worst = max(worst, took)
		if c := l.g.Counts(); c.Removals[flows.EswitchReset] != 100 || len(c.Removals) != 1 {
			t.Errorf("promise 4: %d of 100 are back after %v, removals %v", a.adds-adds, took, c.Removals)
		}
	}
	t.Logf("back after %v at most", worst)
	if worst > 2*time.Second {
		t.Errorf("promise 4: back after %v", worst)
	}
}

// Some sessions that lost their rules are no reset of all.
func TestSomeWithoutHits(t *testing.T) {
	l, a, b := grazing(t)
	n := 0
	for _, e := range l.herd {
		if e.on == a && n < 30 {
			n++
			e.blind = true
		}
	}
	l.run(5 * time.Second)
	c := l.g.Counts()
	if c.Removals[flows.NoHits] != 30 || len(c.Removals) != 1 || len(b.rules) != 100 {
		t.Errorf("promise 4: removals %v, want 30 for want of hits", c.Removals)
	}
}

// A reset that is told pulls what is in, and what is on its way in, and lets it return at
// once, the most valuable first.
func TestReset(t *testing.T) {
	a, b := &nic{id: "a", perRule: time.Millisecond}, &nic{id: "b"}
	l := newLab(t, DefaultConfig(), a, b)
	l.add(l.zipf(400, 2e8, 0.7)...)
	for len(a.rules) < 50 {
		l.run(labTurn)
	}
	before := l.g.Used()
	l.event = append(l.event, EswitchReset{"a"})
	l.settle()
	removals := l.g.Counts().Removals[flows.EswitchReset]
	if before[Installing] == 0 || removals < 50+uint64(before[Installing]) {
		t.Errorf("promise 4: removals %v, with %v before", removals, before)
	}
	values := make([]float64, 0, 50)
	for _, e := range a.queue {
		if r, ok := e.(Remove); ok {
			values = append(values, l.g.sessions[r.Session].rate)
		}
	}
	for i := range values {
		if i > 0 && values[i] > values[i-1] {
			t.Fatalf("promise 4: removed in the order %v", values)
		}
	}
	l.run(2 * time.Second)
	if len(a.rules) != 200 || len(b.rules) != 200 {
		t.Errorf("promise 4: %d and %d sessions are in, want 200", len(a.rules), len(b.rules))
	}
	if bs := l.g.Tables()[1]; l.g.Counts().Removals[flows.EswitchReset] != removals || bs.Eswitch != "b" {
		t.Errorf("promise 4: removals %v", l.g.Counts().Removals)
	}
	for e := range l.g.entries.all() {
		if e.fails > 0 {
			t.Fatal("promise 4: a reset counts as a failure")
		}
	}
}

// A session whose rules hardware does not have any more leaves where hardware is required.
func TestNotInHW(t *testing.T) {
	for _, required := range []bool{true, false} {
		cfg := DefaultConfig()
		cfg.RequireHW = required
		n := &nic{id: "a"}
		l := newLab(t, cfg, n)
		l.add(1e7)
		l.run(5 * time.Second)
		s := l.g.Sessions()[0]
		ev := Counted{[]flows.SessionCounters{{ID: s.Session, Count: s.Hardware}}}
		l.event = append(l.event, ev)
		l.settle()
		if required != (l.g.Counts().Removals[flows.NotInHW] == 1) || !s.InHW || !required && l.g.Sessions()[0].InHW {
			t.Errorf("promise 4: required %v: removals %v", required, l.g.Counts().Removals)
		}
		l.run(5 * time.Second)
		if len(n.rules) != 1 {
			t.Errorf("promise 4: required %v: it is not back", required)
		}
	}
}

// Ports of two eswitches: where hardware is required that is refused, else told.
func TestTwoEswitches(t *testing.T) {
	for _, required := range []bool{true, false} {
		cfg := DefaultConfig()
		cfg.RequireHW = required
		n := &nic{id: "a"}
		l := newLab(t, cfg, n)
		l.event = append(l.event, PortsChanged{[]PortState{{ID: 1, Eswitch: "a"}, {ID: 2, Eswitch: "b"}}})
		l.add(1e7)
		l.run(5 * time.Second)
		v := l.g.Followed()[0]
		if required && v.Reason != flows.UnsupportedEswitch || v.Detail == "" || required != (len(n.rules) == 0) {
			t.Errorf("promise 4: required %v: %+v", required, v)
		}
	}
}

// A NIC that refuses everything while it is reset gets everything back when it has recovered.
func TestResetTakesTime(t *testing.T) {
	a, b := &nic{id: "a"}, &nic{id: "b"}
	l := newLab(t, DefaultConfig(), a, b)
	l.add(l.zipf(200, 2e8, 0.7)...)
	l.run(5 * time.Second)
	a.unable = true
	l.event = append(l.event, EswitchReset{"a"})
	l.run(20 * time.Second)
	if len(a.rules) > 0 || len(b.rules) != 100 {
		t.Fatalf("promise 4: %d and %d sessions are in", len(a.rules), len(b.rules))
	}
	a.unable = false
	l.event = append(l.event, EswitchReset{"a"})
	l.run(2 * time.Second)
	if len(a.rules) != 100 || len(b.rules) != 100 {
		t.Errorf("promise 4: %d and %d sessions are in, want 100", len(a.rules), len(b.rules))
	}
}

// Senders that make their rules miss again and again pull the sessions of others ever more
// rarely.
func TestFeignedResets(t *testing.T) {
	l, a, _ := grazing(t)
	for range 30 {
		n := 0
		for _, e := range a.rules {
			if n++; n <= 80 {
				e.blind = true
			}
		}
		l.run(2 * time.Second)
		for _, e := range a.rules {
			e.blind = false
		}
		l.run(2 * time.Second)
	}
	resets := float64(l.g.Counts().Removals[flows.EswitchReset]) / 100
	t.Logf("%.1f resets in two minutes", resets)
	if resets < 1 || resets > 4 {
		t.Errorf("promise 4: %.1f resets in two minutes, want few", resets)
	}
}
