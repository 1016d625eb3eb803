package metrics

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowshunt/flowshunt/flows"
)

var between = [2]string{"a", "b"}

// check compares what a port has.
func (t *Traffic) check(tb testing.TB, name string, rx, tx flows.Counters) {
	tb.Helper()
	p := t.copy()[name]
	if p.rx != rx || p.tx != tx {
		tb.Errorf("%s: rx %+v, tx %+v; want %+v, %+v", name, p.rx, p.tx, rx, tx)
	}
}

func TestTrafficOutlivesSessions(t *testing.T) {
	tr := NewTraffic()
	none := [2]flows.Counters{}
	tr.Bind(1, between, none)
	tr.Count([]flows.SessionCounters{count(1, flows.Counters{Packets: 10, Bytes: 1000}, flows.Counters{Packets: 5, Bytes: 300})})
	tr.Count([]flows.SessionCounters{count(1, flows.Counters{Packets: 12, Bytes: 1200}, flows.Counters{Packets: 5, Bytes: 300})})
	tr.Leave(1)
	tr.Bind(2, between, none)
	tr.Count([]flows.SessionCounters{count(2, flows.Counters{Packets: 1, Bytes: 50}, flows.Counters{})})
	tr.check(t, "a", flows.Counters{Packets: 13, Bytes: 1250}, flows.Counters{Packets: 5, Bytes: 300})
	tr.check(t, "b", flows.Counters{Packets: 5, Bytes: 300}, flows.Counters{Packets: 13, Bytes: 1250})
}

// A reading that began before the session left comes in after that.
func TestTrafficLastReading(t *testing.T) {
	tr := NewTraffic()
	tr.Bind(1, between, [2]flows.Counters{})
	tr.Leave(1)
	tr.Count([]flows.SessionCounters{count(1, flows.Counters{Packets: 3, Bytes: 30}, flows.Counters{})})
	tr.check(t, "a", flows.Counters{Packets: 3, Bytes: 30}, flows.Counters{})
	tr.Count(nil)
	tr.Count(nil)
	if len(tr.sessions) != 0 {
		t.Errorf("%d sessions are kept for ever", len(tr.sessions))
	}
}

// What an agent before this one has counted is not counted again.
func TestTrafficOfAdopted(t *testing.T) {
	tr := NewTraffic()
	tr.Bind(1, between, [2]flows.Counters{{Packets: 100, Bytes: 9000}, {}})
	tr.Count([]flows.SessionCounters{count(1, flows.Counters{Packets: 101, Bytes: 9060}, flows.Counters{})})
	tr.check(t, "a", flows.Counters{Packets: 1, Bytes: 60}, flows.Counters{})
}

// A reading that has only some of a session's rules is no reason to count twice.
func TestTrafficNeverGoesBack(t *testing.T) {
	tr := NewTraffic()
	tr.Bind(1, between, [2]flows.Counters{})
	most := uint64(0)
	for _, n := range []uint64{10, 4, 10, 11} {
		tr.Count([]flows.SessionCounters{count(1, flows.Counters{Packets: n, Bytes: n * 100}, flows.Counters{})})
		most = max(most, n)
		tr.check(t, "a", flows.Counters{Packets: most, Bytes: most * 100}, flows.Counters{})
	}
}

func TestTrafficOfUnknown(t *testing.T) {
	tr := NewTraffic()
	tr.Count([]flows.SessionCounters{count(7, flows.Counters{Packets: 1}, flows.Counters{})})
	tr.Bind(1, [2]string{"a", ""}, [2]flows.Counters{})
	tr.Count([]flows.SessionCounters{count(1, flows.Counters{Packets: 1}, flows.Counters{Packets: 2})})
	tr.check(t, "a", flows.Counters{Packets: 1}, flows.Counters{Packets: 2})
	if len(tr.ports) != 1 {
		t.Errorf("%d ports, want only a", len(tr.ports))
	}
}

func TestTrafficPortsComeAndGo(t *testing.T) {
	tr := NewTraffic()
	at := func(d time.Duration) flows.Instant { return flows.Instant(time.Hour + d) }
	tr.Keep(at(0), map[string]bool{"a": true, "b": true, "off": false})
	if _, ok := tr.copy()["off"]; ok || len(tr.copy()) != 2 {
		t.Fatalf("ports %v, want the usable ones", tr.copy())
	}
	tr.Bind(1, between, [2]flows.Counters{})
	tr.Count([]flows.SessionCounters{count(1, flows.Counters{Packets: 1, Bytes: 60}, flows.Counters{})})
	tr.Keep(at(0), map[string]bool{"a": false}) // refused, but there
	tr.Keep(at(linger), map[string]bool{"a": false})
	tr.check(t, "b", flows.Counters{}, flows.Counters{Packets: 1, Bytes: 60})
	tr.Keep(at(linger+1), map[string]bool{"a": true})
	if _, ok := tr.copy()["b"]; ok {
		t.Error("a port that vanished stays for ever")
	}
	tr.check(t, "a", flows.Counters{Packets: 1, Bytes: 60}, flows.Counters{})

	// One that comes back in time goes on.
	tr.Keep(at(linger+2), nil)
	tr.Keep(at(linger+3), map[string]bool{"a": true})
	tr.Keep(at(3*linger), nil)
	tr.check(t, "a", flows.Counters{Packets: 1, Bytes: 60}, flows.Counters{})
}

func TestTrafficIsBounded(t *testing.T) {
	tr := NewTraffic()
	for i := range maxPorts {
		tr.port(string(rune('a'+i%26)) + time.Duration(i).String())
	}
	tr.Bind(1, [2]string{"one", "more"}, [2]flows.Counters{})
	tr.Count([]flows.SessionCounters{count(1, flows.Counters{Packets: 1}, flows.Counters{})})
	if len(tr.ports) != maxPorts {
		t.Errorf("%d ports", len(tr.ports))
	}
}

// TestTrafficAddsUp: whatever the order in which sessions come, are counted and go,
// each port has what its sessions had when they were last read, and no less than before.
func TestTrafficAddsUp(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	tr := NewTraffic()
	ports := []string{"a", "b", "c"}
	type session struct {
		in    [2]string
		count [2]flows.Counters
	}
	live := make(map[flows.SessionID]*session)
	want := make(map[string]portTraffic)
	next := flows.SessionID(1)
	for range 3_000 {
		switch n := rnd.IntN(10); {
		case n < 2:
			s := &session{in: [2]string{ports[rnd.IntN(3)], ports[rnd.IntN(3)]}}
			live[next] = s
			tr.Bind(next, s.in, s.count)
			next++
		case n < 3:
			for id := range live {
				tr.Leave(id)
				delete(live, id)
				break
			}
		default:
			var reading []flows.SessionCounters
			for id, s := range live {
				for d := range s.count {
					more := flows.Counters{Packets: rnd.Uint64N(3)}
					more.Bytes = more.Packets * 100
					s.count[d].Packets += more.Packets
					s.count[d].Bytes += more.Bytes
					in, out := want[s.in[d]], want[s.in[1-d]]
					if s.in[d] == s.in[1-d] {
						in.tx.Packets, in.tx.Bytes = in.tx.Packets+more.Packets, in.tx.Bytes+more.Bytes
					} else {
						out.tx.Packets, out.tx.Bytes = out.tx.Packets+more.Packets, out.tx.Bytes+more.Bytes
						want[s.in[1-d]] = out
					}
					in.rx.Packets, in.rx.Bytes = in.rx.Packets+more.Packets, in.rx.Bytes+more.Bytes
					want[s.in[d]] = in
				}
				reading = append(reading, count(id, s.count[0], s.count[1]))
			}
			tr.Count(reading)
		}
	}
	if diff := cmp.Diff(want, tr.copy(), cmp.AllowUnexported(portTraffic{})); diff != "" {
		t.Errorf("want (-), have (+):\n%s", diff)
	}
	if len(tr.sessions) > len(live)+len(tr.leaving)+len(tr.left) {
		t.Errorf("%d sessions for %d that live", len(tr.sessions), len(live))
	}
}

func BenchmarkTrafficCount(b *testing.B) {
	tr := NewTraffic()
	const n = 100_000
	reading := make([]flows.SessionCounters, n)
	for i := range reading {
		reading[i].ID = flows.SessionID(i + 1)
		tr.Bind(reading[i].ID, between, [2]flows.Counters{})
	}
	b.ReportAllocs()
	for b.Loop() {
		for i := range reading {
			for d := range reading[i].Count {
				reading[i].Count[d].Packets++
				reading[i].Count[d].Bytes += 1500
			}
		}
		tr.Count(reading)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/session")
}
