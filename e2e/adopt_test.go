package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// adopting is a pair with a third machine C, and elephants from A to either, under
// an agent that will have a successor.
type adopting struct {
	*harness.Pair
	toC     *harness.Pair // the same, but C for B
	agent   *harness.Agent
	flags   []string
	peers   map[*harness.VM]*harness.Peer
	foreign string
}

func newAdopting(t *testing.T, flags ...string) *adopting {
	t.Helper()
	w := harness.SwitchedPair(t)
	c := w.AddVM("br0", "vm3", harness.VMConfig{})
	w.A.Ping(t, c.IP4)
	m := &adopting{Pair: w, toC: &harness.Pair{World: w.World, A: w.A, B: c, Zone: w.Zone}, flags: append(modest, flags...)}
	m.flags = append(m.flags, "--validate-within=10s") // an emulated switch traces slowly
	addForeign(w.World, w.A.Rep)
	m.foreign = foreigners(w.World, w.A.Rep)
	m.peers = map[*harness.VM]*harness.Peer{w.B: w.B.Listen(t, "tcp", 9000, false), c: c.Listen(t, "tcp", 9000, false)}
	return m
}

func (m *adopting) start() { m.agent = startAgent(m.World, m.flags...) }

// open opens an elephant to the pair's B.
func (m *adopting) open(w *harness.Pair, sport uint16) *running {
	m.T.Helper()
	return &running{elephantFlow(w, "tcp", sport), w, m.peers[w.B], nil}
}

// foreigners is what tc shows of the filters that addForeign made, without counters.
func foreigners(w *harness.World, dev string) (shown string) {
	w.T.Helper()
	for _, filter := range []string{"ingress pref 100", "ingress pref 30000", "egress"} {
		shown += w.Run(w.T, append(strings.Fields("tc -j filter show dev "+dev), strings.Fields(filter)...)...)
	}
	if strings.Count(shown, `"handle"`) != 3 {
		w.T.Fatalf("not three foreign filters: %s", shown)
	}
	return shown
}

func (m *adopting) foreignersStand() {
	m.T.Helper()
	if now := foreigners(m.World, m.A.Rep); now != m.foreign {
		m.T.Errorf("of others tc showed\n%s\nand now\n%s", m.foreign, now)
	}
}

// filtersOf are the rules of the connections with a source port, by where they stand.
func filtersOf(w *harness.World, sport uint16) map[string]harness.Filter {
	w.T.Helper()
	rules := make(map[string]harness.Filter)
	for _, r := range ourRules(w) {
		if r.Keys["src_port"] == float64(sport) || r.Keys["dst_port"] == float64(sport) {
			rules[fmt.Sprintf("%s pref %d handle %#x cookie %s", r.Dev, r.Pref, r.Handle, r.Cookie())] = r
		}
	}
	return rules
}

// unseen is an offloaded connection of which the slow path shall see nothing more.
type unseen struct {
	*running
	connection
	rules map[string]harness.Filter
	eyes  *onlooker
	ovs   [2]ovsSaw // from A, from B
}

type ovsSaw = map[string]uint64

func newUnseen(r *running, c connection) *unseen {
	r.w.T.Helper()
	u := &unseen{running: r, connection: c, rules: filtersOf(r.w.World, c.SrcPort), eyes: watchSlowPath(r.w.World, r.filter, c.SrcPort, 9000, r.w.A, r.w.B)}
	u.ovs = u.seen()
	if len(u.rules) != 2 {
		r.w.T.Fatalf("%s: rules %v", r.flow.tuple, u.rules)
	}
	return u
}

// seen is what OVS has seen of the connection; see ownMegaflows.
func (u *unseen) seen() [2]ovsSaw {
	u.w.T.Helper()
	return [2]ovsSaw{
		u.w.SlowPath(u.w.A, fmt.Sprintf("tcp(src=%d", u.SrcPort)),
		u.w.SlowPath(u.w.B, fmt.Sprintf("dst=%d", u.SrcPort)),
	}
}

// moves waits until a megabyte more has passed by.
func (u *unseen) moves() {
	u.w.T.Helper()
	start := bytesOf(filtersOf(u.w.World, u.SrcPort))
	harness.Within(u.w.T, patience, "a megabyte more", func() error {
		if n := bytesOf(filtersOf(u.w.World, u.SrcPort)); n < start+1e6 {
			return fmt.Errorf("%d bytes, then %d", start, n)
		}
		return nil
	})
}

func bytesOf(rules map[string]harness.Filter) (bytes uint64) {
	for _, r := range rules {
		bytes += r.Bytes()
	}
	return bytes
}

// check fails unless its session is what it was, and no packet took the slow path.
func (u *unseen) check() {
	t, w := u.w.T, u.w
	t.Helper()
	if now := offloaded(w.World, u.running.tuple); now.ID != u.ID || now.Offloaded < u.Offloaded {
		t.Errorf("was %+v, is %+v", u.connection, now)
	}
	u.moves()
	rules := filtersOf(w.World, u.SrcPort)
	if was, are := slices.Sorted(maps.Keys(u.rules)), slices.Sorted(maps.Keys(rules)); !slices.Equal(was, are) {
		t.Errorf("rules were\n%q, are\n%q", was, are)
	}
	for place, was := range u.rules {
		if now := rules[place]; now.Packets() <= was.Packets() || now.Bytes() <= was.Bytes() {
			t.Errorf("%s: counted %d packets and %d bytes, now %d and %d", place, was.Packets(), was.Bytes(), now.Packets(), now.Bytes())
		}
	}
	seen := u.seen()
	ovs := harness.Grown(u.ovs[0], seen[0]) + harness.Grown(u.ovs[1], seen[1])
	u.eyes.saw(0)
	if ovs != 0 {
		t.Errorf("OVS saw %d packets", ovs)
	}
}

// ownMegaflows waits until OVS has megaflows of a connection's own, without which nothing
// would be shown by their counting nothing.
func (m *adopting) ownMegaflows(r *running, sport uint16) {
	m.T.Helper()
	u := unseen{running: r, connection: connection{SrcPort: sport}}
	harness.Within(m.T, patience, "megaflows of its own", func() error {
		if seen := u.seen(); len(seen[0]) == 0 || len(seen[1]) == 0 {
			return fmt.Errorf("%v", seen)
		}
		return nil
	})
}

// What a killed agent left is its successor's, as far as it would still be allowed:
// whole sessions go on without a packet in the slow path, all else comes out.
func TestAdoptKilled(t *testing.T) {
	betterOnEswsim(t)
	m := newAdopting(t)
	const stays, ends, drops, halved, doubled, off = 46000, 46001, 46002, 46003, 46004, 46005
	ownMegaflows(m.Pair, stays)
	r, c := make(map[uint16]*running), make(map[uint16]connection)
	for _, sport := range []uint16{stays, ends, drops, halved, doubled} {
		r[sport] = m.open(m.Pair, sport)
	}
	r[off] = m.open(m.toC, off)
	m.ownMegaflows(r[stays], stays)
	m.start()
	for sport := range r {
		c[sport] = offloaded(m.World, r[sport].tuple)
	}
	ourRulesWithin(m.World, 0, 12)
	u := newUnseen(r[stays], c[stays])
	kill(t, m.agent, syscall.SIGKILL, -int(syscall.SIGKILL))

	r[ends].Do(1, "fin")
	r[ends].arrived()
	m.Run(t, "ovs-ofctl", "add-flow", "br0", fmt.Sprintf("table=0,priority=300,tcp,tp_src=%d,actions=drop", drops))
	m.Vsctl("set", "interface", m.toC.B.Rep, "external_ids:flowshunt=off")
	m.deleteOne(halved)
	m.duplicate(doubled)
	u.moves()

	m.start()
	u.check()
	mustMatch(t, m.agent.Output(), `msg="removed rules that an earlier agent left half done" rules=4\n`)
	for sport, cause := range map[uint16]string{ends: "closing", drops: "path-dropped", off: "port-off"} {
		left(t, m.agent, c[sport], cause)
	}
	for _, sport := range []uint16{halved, doubled} {
		if now := offloaded(m.World, r[sport].tuple); now.ID == c[sport].ID {
			t.Errorf("%+v lives on", now)
		}
	}
	pairs(t, m.World, 0)
	ourRulesWithin(m.World, 0, 6)
	u.check()
	for _, sport := range []uint16{stays, halved, doubled, off} {
		r[sport].arrives()
	}
	ourRulesWithin(m.World, patience, 0)
	m.foreignersStand()
}

// deleteOne deletes one of a connection's two rules.
func (m *adopting) deleteOne(sport uint16) {
	m.T.Helper()
	for _, f := range filtersOf(m.World, sport) {
		m.Run(m.T, "tc", "filter", "del", "dev", f.Dev, "ingress", "pref", fmt.Sprint(f.Pref), "protocol", f.Protocol,
			"handle", fmt.Sprintf("%#x", f.Handle), "flower")
		return
	}
}

// duplicate adds a filter with the cookie of a connection's rule that takes the same
// packets, and those with FIN too.
func (m *adopting) duplicate(sport uint16) {
	m.T.Helper()
	for _, f := range filtersOf(m.World, sport) {
		if f.Dev != m.A.Rep {
			continue
		}
		m.Run(m.T, strings.Fields(fmt.Sprintf("tc filter add dev %s ingress pref %d protocol ip handle %#x flower %s"+
			" src_mac %s dst_mac %s ip_proto tcp ip_flags nofrag src_ip %s dst_ip %s src_port %d dst_port 9000"+
			" action mirred egress redirect dev %s cookie %s",
			f.Dev, f.Pref, f.Handle+1<<16, skip(m.World), m.A.MAC, m.B.MAC, m.A.IP4, m.B.IP4, sport, m.B.Rep, f.Cookie()))...)
	}
}

// An agent that is replaced, for an upgrade, costs no packet its bypass.
func TestAdoptKeep(t *testing.T) {
	betterOnEswsim(t)
	m := newAdopting(t, "--on-exit=keep")
	const stays, ends = 46100, 46101
	ownMegaflows(m.Pair, stays)
	r, ending := m.open(m.Pair, stays), m.open(m.Pair, ends)
	m.ownMegaflows(r, stays)
	m.start()
	offloaded(m.World, ending.tuple)
	u := newUnseen(r, offloaded(m.World, r.tuple))
	kill(t, m.agent, syscall.SIGTERM, 0)
	mustAudit(m.World, 4, false)
	ending.Do(1, "fin")
	ending.arrived()
	u.moves()
	m.start()
	u.check()
	ourRulesWithin(m.World, patience, 2)
	kill(t, m.agent, syscall.SIGTERM, 0)
	m.start() // and once more, rules that are older than both
	u.check()
	mustAudit(m.World, 2, true)
	r.arrives()
	ourRulesWithin(m.World, patience, 0)
	m.foreignersStand()
}
