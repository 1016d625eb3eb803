package e2e

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// talkPort is where the server of a talk listens, for TCP and for UDP.
const talkPort = 9000

// kind is what is said on a connection, in the words of e2e/traffic.
type kind struct {
	name, network string
	client        string // what it says; empty: nothing, once the talk is under way
	server        string
}

// greeting is what the end of a UDP talk says that has nothing to say: who never heard
// it, conntrack and the agent included, knows nothing of an answer.
const greeting = "chat 250"

// kinds are all that differ in who says something, since only what a client says can
// make the slow path deny a connection.
var kinds = []kind{
	{"upload", "tcp", fmt.Sprintf("send %d %d", endless, paced), ""},
	{"download", "tcp", "", fmt.Sprintf("send %d %d", endless, paced)},
	{"server push", "tcp", "", "chat 50"},
	{"idle chat", "tcp", "chat 1000", "chat 1000"},
	{"udp both ways", "udp", "chat 20", "chat 20"},
	{"udp to the server", "udp", "chat 20", ""},
	{"udp to the client", "udp", "", "chat 20"},
}

// talkative are thresholds that all kinds pass.
var talkative = []string{"--elephant-rate=40", "--elephant-bytes=400", "--leave-rate=1"}

// talks are connections between two machines, and what arrives there.
type talks struct {
	w                  *harness.World
	client, server     *harness.VM
	listen             map[string]*harness.Peer // by network
	atClient, atServer *harness.Capture
}

// newTalks makes a machine ready to answer another one.
func newTalks(w *harness.World, client, server *harness.VM) *talks {
	w.T.Helper()
	return &talks{
		w: w, client: client, server: server,
		listen:   map[string]*harness.Peer{"tcp": server.Listen(w.T, "tcp", talkPort, false), "udp": server.Listen(w.T, "udp", talkPort, false)},
		atClient: client.Capture(w.T, "eth0"), atServer: server.Capture(w.T, "eth0"),
	}
}

// talk is one of them.
type talk struct {
	kind
	*flow
	of *talks
	n  int // of the connection, at the server
}

// begin opens a connection and lets both ends say what is theirs to say.
func (s *talks) begin(k kind, sport uint16) *talk {
	t := s.w.T
	t.Helper()
	from, to := netip.AddrPortFrom(s.client.IP4, sport), netip.AddrPortFrom(s.server.IP4, talkPort)
	c := &talk{kind: k, of: s, flow: &flow{
		Peer: s.client.Dial(t, k.network, to, sport, 1), from: from, tuple: fmt.Sprintf("%s,%v,%v", k.network, from, to),
		filter: []string{"-p", k.network, "--orig-port-src", fmt.Sprint(sport)},
	}}
	say := func(order string, do func(string)) {
		if order == "" && k.network == "udp" {
			order = greeting
		}
		if order != "" {
			do(order)
		}
	}
	say(k.client, func(order string) { c.Do(1, order) })
	c.n = s.listen[k.network].Conn(from)
	say(k.server, func(order string) { s.listen[k.network].Do(c.n, order) })
	return c
}

// hush ends the greeting of an end that has nothing else to say.
func (c *talk) hush() {
	if c.network != "udp" {
		return
	}
	if c.client == "" {
		c.Do(1, "stop")
	}
	if c.server == "" {
		c.of.listen["udp"].Do(c.n, "stop")
	}
}

// beginAll begins one talk of each of some kinds, with source ports from sport on, and waits
// until something has arrived of each.
func (s *talks) beginAll(sport uint16, kinds ...kind) (all []*talk) {
	s.w.T.Helper()
	for i, k := range kinds {
		all = append(all, s.begin(k, sport+uint16(i)))
	}
	for _, c := range all {
		harness.Within(s.w.T, patience, c.name+" is under way", func() error {
			if there, back := c.heard(); there.Payload+back.Payload < 500 {
				return fmt.Errorf("%d bytes there, %d back", there.Payload, back.Payload)
			}
			return nil
		})
	}
	return all
}

// heard is what has arrived at the server, and at the client.
func (c *talk) heard() (there, back harness.Captured) {
	t := c.of.w.T
	t.Helper()
	sport := c.from.Port()
	return c.of.atServer.Of(t, sport, talkPort), c.of.atClient.Of(t, talkPort, sport)
}

// last is when the last byte of payload arrived, at whichever end.
func (c *talk) last() time.Time {
	c.of.w.T.Helper()
	there, back := c.heard()
	if there.LastPayload.After(back.LastPayload) {
		return there.LastPayload
	}
	return back.LastPayload
}

// silent watches for a time that no byte of payload of these talks arrives at either
// end later than so long after a moment, and returns for each when the last one came.
func silent(t *testing.T, all []*talk, since time.Time, grace, during time.Duration) (last []time.Duration) {
	t.Helper()
	harness.Throughout(t, time.Until(since.Add(during)), "silence", func() error {
		for _, c := range all {
			if late := c.last().Sub(since); late > grace {
				return fmt.Errorf("%s: a byte %v after it was denied, at %v", c.name, late, c.last())
			}
		}
		return nil
	})
	for _, c := range all {
		last = append(last, c.last().Sub(since))
	}
	return last
}

// goesOn watches that something arrives of each connection, and tells of the longest
// time in which nothing did, which may not exceed gap.
func goesOn(t *testing.T, all []*talk, during time.Duration) {
	t.Helper()
	const gap = 3 * time.Second
	var longest time.Duration
	harness.Throughout(t, during, "traffic", func() error {
		for _, c := range all {
			since := time.Since(c.last())
			if longest = max(longest, since); since > gap {
				return fmt.Errorf("%s: nothing since %v", c.name, since)
			}
		}
		return nil
	})
	t.Logf("nothing for at most %v", longest.Round(10*time.Millisecond))
}
