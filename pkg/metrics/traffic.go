package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/flowshunt/flowshunt/flows"
)

// linger is how long the counters of a port stay after the port is gone, so that
// a scrape sees its last packets.
const linger = 5 * time.Minute

// maxPorts bounds the ports that have counters of their own, with those that linger.
const maxPorts = 8192

// Traffic adds up, by port, what the eswitch counts by session, beyond the end of
// the sessions. Its methods may be called concurrently.
//
// Counters go by the name of the port: they go on when OVS or the kernel replaces
// what has that name, and begin anew when the name was gone for longer than
// five minutes.
type Traffic struct {
	mu       sync.Mutex
	ports    map[string]*portTraffic
	sessions map[flows.SessionID]*trafficOf
	leaving  []flows.SessionID // since the reading before
	left     []flows.SessionID // before that; no reading has them any more
}

// portTraffic is what was forwarded from a port, and to it.
type portTraffic struct {
	rx, tx flows.Counters
	gone   flows.Instant // 0: it exists
}

// trafficOf is what was added for a session already, by Dir.
type trafficOf struct {
	ways [2]struct {
		in, out *portTraffic // nil: not metered
		counted flows.Counters
	}
}

// NewTraffic returns the counters of no port.
func NewTraffic() *Traffic {
	return &Traffic{ports: make(map[string]*portTraffic), sessions: make(map[flows.SessionID]*trafficOf)}
}

// Bind says between which ports the packets of a session travel: for each Dir the
// name where they come in; they go out where those of the other come in. What the
// eswitch had counted for it before is not ours to add: counted is zero for a new
// session. A session that is bound already keeps what it has.
func (t *Traffic) Bind(id flows.SessionID, in [2]string, counted [2]flows.Counters) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sessions[id] != nil {
		return
	}
	s := &trafficOf{}
	for d := range s.ways {
		s.ways[d].in, s.ways[d].out = t.port(in[d]), t.port(in[1-d])
		s.ways[d].counted = counted[d]
	}
	t.sessions[id] = s
}

// port returns the counters of a name, new ones where there are none.
func (t *Traffic) port(name string) *portTraffic {
	p := t.ports[name]
	if p == nil && name != "" && len(t.ports) < maxPorts {
		p = &portTraffic{}
		t.ports[name] = p
	}
	return p
}

// Count adds what one reading of the eswitch's counters has found. A reading that
// is behind, or has only a part of a session's rules, takes nothing away.
func (t *Traffic) Count(reading []flows.SessionCounters) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range reading {
		if s := t.sessions[reading[i].ID]; s != nil {
			s.count(&reading[i].Count)
		}
	}
	for _, id := range t.left {
		delete(t.sessions, id)
	}
	t.leaving, t.left = t.left[:0], t.leaving
}

func (s *trafficOf) count(now *[2]flows.Counters) {
	for d := range s.ways {
		w := &s.ways[d]
		if now[d].Packets <= w.counted.Packets {
			continue
		}
		more := flows.Counters{Packets: now[d].Packets - w.counted.Packets, Bytes: max(now[d].Bytes, w.counted.Bytes) - w.counted.Bytes}
		w.counted.Packets, w.counted.Bytes = now[d].Packets, max(now[d].Bytes, w.counted.Bytes)
		if w.in != nil {
			w.in.rx.Packets += more.Packets
			w.in.rx.Bytes += more.Bytes
		}
		if w.out != nil {
			w.out.tx.Packets += more.Packets
			w.out.tx.Bytes += more.Bytes
		}
	}
}

// Leave says that a session has no rules any more. A reading that was under way may
// still have it; after the next one it is forgotten.
func (t *Traffic) Leave(id flows.SessionID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leaving = append(t.leaving, id)
}

// Keep says which ports exist now, and whether they can be used; usable ones have
// counters from then on, so that their first packet is seen as an increase. The
// others are forgotten some time after.
func (t *Traffic) Keep(now flows.Instant, usable map[string]bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, can := range usable {
		if can {
			t.port(name)
		}
	}
	for name, p := range t.ports {
		_, exists := usable[name]
		switch {
		case exists:
			p.gone = 0
		case p.gone == 0:
			p.gone = now
		case now.Sub(p.gone) > linger:
			delete(t.ports, name)
		}
	}
}

// Describe implements prometheus.Collector: ports come and go.
func (t *Traffic) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (t *Traffic) Collect(out chan<- prometheus.Metric) {
	for name, p := range t.copy() {
		out <- portBytes.value(float64(p.rx.Bytes), name, "rx")
		out <- portBytes.value(float64(p.tx.Bytes), name, "tx")
		out <- portPkts.value(float64(p.rx.Packets), name, "rx")
		out <- portPkts.value(float64(p.tx.Packets), name, "tx")
	}
}

func (t *Traffic) copy() map[string]portTraffic {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make(map[string]portTraffic, len(t.ports))
	for name, p := range t.ports {
		list[name] = *p
	}
	return list
}
