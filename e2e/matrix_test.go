package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// agreesWithin is how soon after a restart rules and sessions are the same again, and
// what has changed meanwhile is revoked.
const agreesWithin = 2 * time.Second

// restarting is a node a part of which is away.
type restarting struct {
	*adopting
	flows   string // of br0, for ovs-vswitchd to get when it is back; "" while it is there
	offline bool   // ovsdb-server is away
}

// restart is what restarts: stop takes it away, start returns when it answers again.
type restart struct {
	name        string
	slow        bool // not in every run
	stop, start func(*restarting)
}

var restartMatrix = []restart{
	{"agent killed", true, // TestAdoptKilled has more of it
		func(m *restarting) { kill(m.T, m.agent, syscall.SIGKILL, -int(syscall.SIGKILL)) },
		func(m *restarting) { m.adopting.start() }},
	{"agent kept", true,
		func(m *restarting) { kill(m.T, m.agent, syscall.SIGTERM, 0) },
		func(m *restarting) { m.adopting.start() }},
	{"ovs-vswitchd", true,
		func(m *restarting) { m.holdFlows(); m.stopSwitch() },
		func(m *restarting) { m.startSwitch(); m.restoreFlows(); m.releaseFlows() }},
	{"ovs-vswitchd, controller", false, // no flow-restore-wait: a controller brings the flows when it can
		(*restarting).stopSwitch,
		func(m *restarting) { m.startSwitch(); m.restoreFlows() }},
	{"ovsdb-server", true, // ovs-vswitchd serves no OpenFlow without it
		func(m *restarting) { m.saveFlows(); m.stopDatabase() },
		func(m *restarting) { m.startDatabase(); m.restoreFlows() }},
	{"both", false,
		func(m *restarting) { m.holdFlows(); m.stopSwitch(); m.stopDatabase() },
		func(m *restarting) { m.startDatabase(); m.startSwitch(); m.restoreFlows(); m.releaseFlows() }},
}

// Whatever restarts, and whatever happens meanwhile to a connection: the rules are
// those of the sessions that are shown, and of no connection that has ended or that
// OVS or an operator would not have offloaded any more.
func TestRestartMatrix(t *testing.T) {
	betterOnEswsim(t)
	for i, r := range restartMatrix {
		if r.slow && !slow() {
			continue
		}
		t.Run(strings.ReplaceAll(r.name, " ", "-"), func(t *testing.T) {
			m := &restarting{adopting: newAdopting(t, "--on-exit=keep")}
			m.through(r, 47000+uint16(10*i))
		})
	}
}

func (m *restarting) through(restart restart, sport uint16) {
	t := m.T
	t.Helper()
	runs, ends, drops, off := sport, sport+1, sport+2, sport+3
	r, c := make(map[uint16]*running), make(map[uint16]connection)
	for _, sport := range []uint16{runs, ends, drops} {
		r[sport] = m.open(m.Pair, sport)
	}
	r[off] = m.open(m.toC, off)
	m.adopting.start()
	for sport := range r {
		c[sport] = offloaded(m.World, r[sport].tuple)
	}
	pairs(t, m.World, 0)

	restart.stop(m)
	r[ends].Do(1, "fin")
	m.drop(drops)
	revoked := []uint16{drops}
	if !m.offline { // or nobody can be told
		m.Run(t, "ovs-vsctl", "--no-wait", "--timeout=20", "set", "interface", m.toC.B.Rep, "external_ids:flowshunt=off")
		revoked = append(revoked, off)
	}
	restart.start(m)
	answered := time.Now()
	pairs(t, m.World, agreesWithin)
	for _, sport := range revoked {
		l := m.agent.Logged(t, patience, "remove", "session", c[sport].ID)
		gone := m.agent.Logged(t, patience, "removed", "session", c[sport].ID, "error", "<nil>").Time
		if late := gone.Sub(answered); late > agreesWithin {
			t.Errorf("%s left for %s %v after the restart", c[sport].Tuple, l.Attrs["cause"], late)
		} else {
			t.Logf("%s left for %s %v after the restart", c[sport].Tuple, l.Attrs["cause"], late.Round(time.Millisecond))
		}
	}
	r[ends].arrived()
	now := offloaded(m.World, r[runs].tuple)
	t.Logf("%s was session %s, is %s", now.Tuple, c[runs].ID, now.ID)
	for _, sport := range append(revoked, ends) {
		if rules := filtersOf(m.World, sport); len(rules) != 0 {
			t.Errorf("port %d: %v", sport, rules)
		}
	}
	pairs(t, m.World, 0)
	m.foreignersStand()
	r[runs].arrives()
	r[off].arrives()
	ourRulesWithin(m.World, patience, 0)
}

// drop has OVS drop what one side of a connection sends, as soon as it can be told.
func (m *restarting) drop(sport uint16) {
	m.T.Helper()
	flow := fmt.Sprintf("table=0,priority=300,tcp,tp_src=%d,actions=drop", sport)
	if m.flows != "" {
		m.flows += flow + "\n"
		return
	}
	m.Run(m.T, "ovs-ofctl", "add-flow", "br0", flow)
}

func (m *restarting) stopSwitch() {
	m.T.Helper()
	m.saveFlows()
	m.StopSwitch()
}

func (m *restarting) saveFlows() {
	m.T.Helper()
	m.flows = m.Run(m.T, "ovs-ofctl", "--no-stats", "dump-flows", "br0")
}

func (m *restarting) startSwitch() {
	m.T.Helper()
	if err := m.StartSwitch(); err != nil {
		m.T.Fatal(err)
	}
}

func (m *restarting) restoreFlows() {
	m.T.Helper()
	harness.Within(m.T, patience, "the bridge takes flows", func() error {
		_, err := m.Try("ovs-ofctl", "dump-desc", "br0")
		return err
	})
	m.Feed(m.T, m.flows, "ovs-ofctl", "add-flows", "br0", "-")
	m.flows = ""
}

// holdFlows has OVS forward by the datapath's flows until releaseFlows, as `ovs-ctl
// restart` does.
func (m *restarting) holdFlows() {
	m.T.Helper()
	m.Run(m.T, "ovs-vsctl", "--no-wait", "--timeout=20", "set", "open_vswitch", ".", "other_config:flow-restore-wait=true")
}

func (m *restarting) releaseFlows() {
	m.T.Helper()
	m.Run(m.T, "ovs-vsctl", "--no-wait", "--timeout=20", "remove", "open_vswitch", ".", "other_config", "flow-restore-wait")
}

func (m *restarting) stopDatabase() {
	m.T.Helper()
	m.offline = true
	m.KillDatabase(m.T)
	m.T.Cleanup(func() {
		if m.offline { // the next test needs it
			_ = m.StartDatabase()
		}
	})
}

func (m *restarting) startDatabase() {
	m.T.Helper()
	if err := m.StartDatabase(); err != nil {
		m.T.Fatal(err)
	}
	m.offline = false
}
