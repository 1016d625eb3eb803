package agent

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
)

// told is a judge that counts, and the doubts that the loop was told.
type told struct {
	*loop
	n int
}

func (t *told) Doubt(flows.Instant) { t.n++ }

func (t *told) doubts() (list []engine.PathsDoubted) {
	for _, m := range t.inbox.take() {
		list = append(list, m.event.(engine.PathsDoubted))
	}
	return list
}

func newTold() (*told, *doubts) {
	t := &told{loop: testLoop()}
	return t, newDoubts(t, t.loop, time.Minute)
}

// newTestDoubts is newTold for a test that needs no more than the doubts; they end with it.
func newTestDoubts(t *testing.T) (d *doubts, doubts func() []engine.PathsDoubted) {
	told, d := newTold()
	t.Cleanup(d.close)
	return d, told.doubts
}

func aboutPort(id flows.PortID, matches ...flows.PacketMatch) engine.PathsDoubted {
	return engine.PathsDoubted{Ports: []flows.PortID{id}, Matches: matches}
}

// The first doubt is told at once, those of the next moment together after it.
func TestDoubtsAreGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told, d := newTold()
		defer d.close()
		d.raise("a", aboutPort(1, flows.PacketMatch{Proto: flows.TCP}))
		if got := told.doubts(); len(got) != 1 || got[0].Ports[0] != 1 || told.n != 1 {
			t.Fatalf("told %+v, the judge %d times", got, told.n)
		}
		d.raise("a", aboutPort(1, flows.PacketMatch{Proto: flows.TCP}))
		d.raise("b", aboutPort(2, flows.PacketMatch{Proto: flows.UDP}))
		d.raise("b", aboutPort(1, flows.PacketMatch{Proto: flows.UDP}))
		if got := told.doubts(); len(got) != 0 {
			t.Fatalf("told %+v too early", got)
		}
		time.Sleep(gatherFor)
		synctest.Wait()
		got := told.doubts()
		if len(got) != 1 || len(got[0].Ports) != 2 || len(got[0].Matches) != 3 || told.n != 2 {
			t.Fatalf("told %+v, the judge %d times", got, told.n)
		}
		d.raise("b", engine.PathsDoubted{})
		d.raise("b", aboutPort(1, flows.PacketMatch{}))
		time.Sleep(gatherFor)
		synctest.Wait()
		if got := told.doubts(); len(got) != 1 || got[0].Ports != nil || got[0].Matches != nil {
			t.Fatalf("everything and something is %+v", got)
		}
		if c := d.counts(); c["a"] != 2 || c["b"] != 4 {
			t.Errorf("counted %v", c)
		}
	})
}

func TestDoubtsAreHeldForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told, d := newTold()
		defer d.close()
		d.hold(true)
		d.raise("a", aboutPort(1))
		time.Sleep(10 * time.Second)
		d.hold(true)
		if got := told.doubts(); len(got) != 0 {
			t.Fatalf("told %+v while OVS is restored", got)
		}
		d.hold(false)
		if got := told.doubts(); len(got) != 1 {
			t.Fatalf("told %+v after it", got)
		}
		d.hold(true)
		d.raise("a", aboutPort(1))
		time.Sleep(time.Minute)
		d.hold(true)
		if got := told.doubts(); len(got) != 1 {
			t.Fatalf("told %+v after being held for the limit", got)
		}
	})
}

func TestUnionIsBounded(t *testing.T) {
	many := aboutPort(1, make([]flows.PacketMatch, maxMatches)...)
	if u := union(many, aboutPort(2, flows.PacketMatch{})); u.Matches != nil || len(u.Ports) != 2 {
		t.Errorf("%d matches, ports %v", len(u.Matches), u.Ports)
	}
	stations := engine.PathsDoubted{Ports: []flows.PortID{2}, Stations: map[flows.MAC]bool{{2}: true}}
	if u := union(aboutPort(1, flows.PacketMatch{}), stations); len(u.Matches) != 1 || !u.Stations[flows.MAC{2}] {
		t.Errorf("packets and stations: %+v", u)
	}
	if u := union(aboutPort(1), stations); u.Matches != nil || u.Stations != nil {
		t.Errorf("every packet and stations: %+v", u)
	}
	if u := union(many, aboutPort(2)); u.Matches != nil {
		t.Errorf("some packets and every packet are %d matches", len(u.Matches))
	}
}
