package wire

import (
	"fmt"
	"testing"
	"time"
)

// patient is an inspector whose health a test follows, second by second.
type patient struct {
	*health
	t    *testing.T
	now  time.Time
	on   [2]uint64 // probes that left last
	sick [2]bool   // nothing comes through
	mute bool      // no probe gets out
	took time.Duration
}

func newPatient(t *testing.T, away bool) *patient {
	return &patient{health: newHealth(time.Second, away), t: t, now: time.Unix(1000, 0)}
}

// pass lets time pass in tenths of an interval; probes come through after one.
func (p *patient) pass(tenths int) {
	for range tenths {
		for i := range p.on {
			if p.on[i] != 0 && !p.sick[i] {
				p.heard(i, p.on[i])
			}
			p.on[i] = 0
		}
		if !p.now.Before(p.next) {
			for i := range p.on {
				p.on[i] = p.ways[i].upcoming()
			}
			if p.mute {
				p.on = [2]uint64{}
			}
			p.sent(p.now, p.took, [2]bool{!p.mute, !p.mute}, func(i int) string { return fmt.Sprint("way ", i) })
		}
		p.now = p.now.Add(100 * time.Millisecond)
	}
}

func (p *patient) want(away bool, why string) {
	p.t.Helper()
	if p.away != away || p.why != why {
		p.t.Errorf("at %v: away %v, %q; want %v, %q", p.now.Sub(time.Unix(1000, 0)), p.away, p.why, away, why)
	}
}

// TestHealth: away after three probes of either direction, and within four intervals whenever
// it dies; back after three answers of both.
func TestHealth(t *testing.T) {
	for way := range 2 {
		for phase := range 10 {
			p := newPatient(t, false)
			p.pass(50 + phase)
			p.want(false, "")
			p.sick[way] = true
			p.pass(19)
			p.want(false, "")
			p.pass(21 + 1)
			p.want(true, fmt.Sprint("way ", way))
			p.sick[way] = false
			p.pass(10)
			p.want(true, fmt.Sprint("way ", way))
			p.pass(30)
			p.want(false, "")
		}
	}
}

func TestHealthOfOneThatWasAway(t *testing.T) {
	p := newPatient(t, true)
	p.pass(11)
	p.want(true, "the inspector was away")
	p.pass(30)
	p.want(false, "")
}

// TestSomeLoss: two lost in a row are none too many, and one that is late is lost.
func TestSomeLoss(t *testing.T) {
	p := newPatient(t, false)
	for range 10 {
		p.sick = [2]bool{true, true}
		p.pass(20)
		p.sick = [2]bool{}
		p.pass(10)
	}
	p.want(false, "")
	if p.ways[0].missed != 20 || p.ways[0].sent != 30 {
		t.Errorf("%+v", p.ways[0])
	}
	late := p.ways[1].number
	p.sick = [2]bool{true, true}
	for range 4 {
		p.pass(10)
		p.heard(1, late)
		late = p.ways[1].number
	}
	p.pass(10)
	p.want(true, "way 1")
}

// TestUnsent: probes that do not get out say nothing of the inspector.
func TestUnsent(t *testing.T) {
	p := newPatient(t, false)
	p.mute = true
	p.pass(200)
	p.want(false, "")
	if p.ways[0].sent != 0 {
		t.Errorf("%+v", p.ways[0])
	}
}

// TestSlowBridge: what was on its way while the bridge was busy does not count, and what left
// after that does.
func TestSlowBridge(t *testing.T) {
	p := newPatient(t, false)
	p.pass(20)
	p.sick, p.took = [2]bool{true, true}, 300*time.Millisecond
	p.pass(60)
	p.want(false, "")
	if p.slow < patience || p.ways[0].missed != 0 {
		t.Errorf("%+v", p.health)
	}
	p.took = 0
	p.pass(31)
	p.want(true, "way 1")
}

// TestLinks: away at once, and back when probes come through again after the links are.
func TestLinks(t *testing.T) {
	p := newPatient(t, false)
	p.pass(50)
	p.link("fw0 has no link")
	p.want(true, "fw0 has no link")
	p.pass(50) // what is on its way is no news
	p.want(true, "fw0 has no link")
	p.link("")
	p.pass(31)
	p.want(false, "")
}

// TestForeignAnswers: a number that is not that of the last probe is no answer.
func TestForeignAnswers(t *testing.T) {
	p := newPatient(t, false)
	p.sick = [2]bool{true, true}
	for range 41 {
		p.pass(1)
		p.heard(0, 7)
		p.heard(1, p.ways[1].number+1)
	}
	if !p.away {
		t.Error("it seems well")
	}
}
