package e2e

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// leg is what one node has of a connection, and the agent that looks after it there.
type leg struct {
	w     *harness.World
	agent *harness.Agent
	ports [2]string // where its packets come in: the client's first, then the server's
	tuple string    // as the agent calls it
}

// legOf starts an agent on a node.
func legOf(w *harness.World, client, server string, flags ...string) *leg {
	w.T.Helper()
	return &leg{w: w, agent: startAgent(w, append(flags, modest...)...), ports: [2]string{client, server}}
}

// next is the leg of another connection that goes the same way.
func (l *leg) next() *leg { return &leg{w: l.w, agent: l.agent, ports: l.ports} }

// journey is a connection that passes the nodes of its legs.
type journey struct {
	t      *testing.T
	client *harness.Peer
	server *harness.Peer
	conn   int // its number at the server
	sport  uint16
	legs   []*leg
}

// reach is how a client reaches a server.
type reach struct {
	from *harness.VM
	to   netip.Addr // whom the client calls
	at   *harness.Peer
	seen netip.Addr // whom the server sees
}

// setOut opens a connection, and sends at an elephant's rate.
func setOut(t *testing.T, r reach, sport uint16, legs ...*leg) *journey {
	t.Helper()
	to := netip.AddrPortFrom(r.to, transferPort)
	j := &journey{t: t, client: r.from.Dial(t, "tcp", to, sport, 1), server: r.at, sport: sport, legs: legs}
	j.conn = r.at.Conn(netip.AddrPortFrom(r.seen, sport))
	from := netip.AddrPortFrom(r.from.IP4, sport)
	if r.to.Is6() {
		from = netip.AddrPortFrom(r.from.IP6, sport)
	}
	for _, l := range legs {
		if l.tuple == "" {
			l.tuple = fmt.Sprintf("tcp,%v,%v", from, to)
		}
	}
	j.client.Do(1, fmt.Sprintf("send %d %d", endless, brisk))
	return j
}

// direct is how machines reach each other that know each other's addresses.
func direct(from, to *harness.VM, at *harness.Peer, v6 bool) reach {
	return reach{from, to.Addr(v6), at, from.Addr(v6)}
}

// brisk is the rate of journeys, in bytes per second.
const brisk = 1_000_000

// arrives ends what is being sent, and fails unless all of it has arrived as it was sent.
func (j *journey) arrives() {
	j.t.Helper()
	j.client.Do(1, "stop")
	j.whole(0)
}

// whole waits until the client has sent so many bytes, and the server has got all.
func (j *journey) whole(bytes int64) {
	j.t.Helper()
	harness.Within(j.t, 4*patience, "all has arrived", func() error {
		sent, got := j.client.Report(1), j.server.Report(j.conn)
		if sent.Sent < bytes || got.Received != sent.Sent || got.RecvCRC != sent.SentCRC {
			return fmt.Errorf("sent %+v, received %+v; want %d bytes", sent, got, bytes)
		}
		return nil
	})
}

// refused waits until each leg's agent, or that leg's only, has refused to offload the
// connection for one of some reasons.
func (j *journey) refused(reasons ...string) {
	j.t.Helper()
	for i, l := range j.legs {
		harness.Within(j.t, patience, fmt.Sprintf("node %d refuses %s", i, l.tuple), func() error {
			list := connections(l.w)
			n := slices.IndexFunc(list, func(c connection) bool { return c.Tuple == l.tuple })
			if n < 0 || list[n].State == "offloaded" || !slices.Contains(reasons, list[n].Reason) {
				return fmt.Errorf("%+v", list)
			}
			j.t.Logf("node %d: %s: %s %s", i, l.tuple, list[n].Reason, list[n].Detail)
			return nil
		})
	}
}

// offloaded waits until each node has the connection offloaded.
func (j *journey) offloaded() {
	j.t.Helper()
	for _, l := range j.legs {
		offloaded(l.w, l.tuple)
	}
}

// bypasses ends what is being sent, and sends more, of which neither OVS nor conntrack of any node may see a thing.
func (j *journey) bypasses() {
	t := j.t
	t.Helper()
	const size, most = 20_000_000, 3
	j.arrives()
	type seen struct {
		tracked uint64
		ovs     [2]map[string]uint64
		nic     harness.NICCounters
	}
	look := func(l *leg) (s seen) {
		entries, err := l.w.Conntrack("-p", "tcp", "--orig-port-src", fmt.Sprint(j.sport))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			s.tracked += e.Packets()
		}
		for i, port := range l.ports {
			s.ovs[i] = l.w.SlowPathAt(port)
		}
		if l.w.NIC != nil {
			s.nic = l.w.NIC.Counters(t)
		}
		return s
	}
	before := make([]seen, len(j.legs))
	for i, l := range j.legs {
		before[i] = look(l)
	}
	sent := j.client.Report(1).Sent
	j.client.Do(1, fmt.Sprintf("send %d", size))
	j.whole(sent + size)
	for i, l := range j.legs {
		now := look(l)
		if n := now.tracked - before[i].tracked; n > most {
			t.Errorf("node %d: conntrack saw %d packets, want at most %d", i, n, most)
		}
		for k, port := range l.ports {
			// what else comes in there are address resolution and BFD, a few packets
			if n := harness.Grown(before[i].ovs[k], now.ovs[k]); n > 20 {
				t.Errorf("node %d: OVS saw %d packets at %s", i, n, port)
			}
		}
		if l.w.NIC != nil {
			pastHost(t, fmt.Sprint("node ", i), before[i].nic, now.nic, size)
			onlyHardware(l.w)
		}
	}
}

// pastHost fails unless a NIC has taken so many bytes at least past the host, in packets of
// any size that a wire carries, and but for a few has left the host none.
func pastHost(t testing.TB, who string, before, now harness.NICCounters, bytes int) {
	t.Helper()
	hits, misses, dropped := now.Hits-before.Hits, now.Misses-before.Misses, now.Dropped-before.Dropped
	t.Logf("%s: the NIC took %d packets, left %d to the host and dropped %d", who, hits, misses, dropped)
	if hits < uint64(bytes)/1500 || misses > 100 || dropped > 0 {
		t.Errorf("%s: the NIC took %d packets of %d bytes, left %d to the host and dropped %d", who, hits, bytes, misses, dropped)
	}
}
