package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// The source ports of these stories. A policy wants those from inspectedPort on inspected.
const (
	policedPort   = 48300
	inspectedPort = 48350
)

// inspectPolicy is that policy.
var inspectPolicy = []string{"add-policy", "look", "6000", "inspect", fmt.Sprintf("src_ports=%d-%d", inspectedPort, inspectedPort+9)}

// policed is an agent with a policy database, and elephants.
type policed struct {
	*harness.Pair
	ctl   func(args ...string) string
	call  func(args ...string) *harness.Process
	flags []string
	agent *harness.Agent
	sport uint16 // of the next elephant
}

func newPoliced(w *harness.Pair, remote string, ctl func(...string) string, call func(...string) *harness.Process) *policed {
	w.T.Helper()
	p := &policed{Pair: w, ctl: ctl, call: call, sport: policedPort,
		flags: []string{"--db=" + remote, "--validate-within=10s", "--security-groups-grace=" + policyGrace.String()}}
	p.ctl(append(inspectPolicy, "--", "set", "Offload_Policy", "elephants", "elephant_bytes=200000", "elephant_rate=50000")...) // as modest
	w.B.Listen(w.T, "tcp", 9000, false)
	p.agent = startAgent(w.World, p.flags...)
	return p
}

// policyGrace is how long an agent that starts without a word of the database keeps what it has adopted.
const policyGrace = 20 * time.Second

// elephant begins one that the shipped policies offload.
func (p *policed) elephant() *flow {
	p.T.Helper()
	p.sport++
	return elephantFlow(p.Pair, "tcp", p.sport-1)
}

// caughtUp waits until the agent's row says that it is well and has all changes, and that there is one.
func (p *policed) caughtUp(nextCfg int) {
	p.T.Helper()
	harness.Within(p.T, patience, "the node has caught up", func() error {
		row := strings.Fields(p.ctl("--bare", "--columns=cur_cfg,health,mode", "list", "Node"))
		if want := []string{fmt.Sprint(nextCfg), "ok", "enforce"}; fmt.Sprint(row) != fmt.Sprint(want) {
			return fmt.Errorf("%v, want %v", row, want)
		}
		return nil
	})
}

// missed waits until the agent knows that the database is away.
func (p *policed) missed() {
	p.T.Helper()
	harness.Within(p.T, patience, "the agent misses the database", func() error {
		if out, _ := tryCtl(p.World, "show", "--format=csv"); !strings.Contains(out, "policies,health,failed") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
}

// While the policy database is away, its server frozen or gone, the last policies stay in force:
// what is offloaded stays, what comes new is judged by them. What was changed meanwhile is in
// force when it is back, and the agent's row catches up. An agent that starts meanwhile
// keeps what it adopts for a while, and offloads nothing new.
func TestPolicyOutage(t *testing.T) {
	betterOnEswsim(t)
	policyOutage(t)
}

func TestPolicyOutageEswsim(t *testing.T) {
	slowly(t)
	harness.OnEswsim(t)
	policyOutage(t)
}

func policyOutage(t *testing.T) {
	for _, c := range []struct {
		name string
		gone func(*harness.PolicyDatabase) (back func())
	}{
		{"gone", func(d *harness.PolicyDatabase) func() { d.Kill(); return d.Begin }},
		{"frozen", func(d *harness.PolicyDatabase) func() { d.Freeze(); return d.Thaw }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "frozen" {
				slowly(t)
			}
			w := harness.SwitchedPair(t)
			d := w.PolicyDatabase()
			p := newPoliced(w, d.Endpoint(), d.Ctl, d.Call)
			p.outage(func() func() { return c.gone(d) })
			p.restartedAgent(func() func() { return c.gone(d) })
		})
	}
}

// away is how long the database is.
func away() time.Duration {
	if slow() {
		return time.Minute
	}
	return 10 * time.Second
}

func (p *policed) outage(gone func() (back func())) {
	p.T.Helper()
	inspected := elephantFlow(p.Pair, "tcp", inspectedPort)
	old := p.elephant()
	before := offloaded(p.World, old.tuple)
	becomes(p.World, patience, inspected.tuple, "following", "policy-inspect")
	p.caughtUp(0)

	began := time.Now()
	back := gone()
	change := p.call("--retry", "--timeout=300", "--wait=all", "del-policy", "look")
	fresh, alike := p.elephant(), elephantFlow(p.Pair, "tcp", inspectedPort+1)
	p.missed()
	missed := time.Since(began)
	during := offloaded(p.World, fresh.tuple)
	became := time.Since(began)
	becomes(p.World, patience, alike.tuple, "following", "policy-inspect")
	harness.Throughout(p.T, max(0, away()-time.Since(began)), "the last policies are in force", func() error {
		return p.stand(before, during)
	})
	if out, _ := tryCtl(p.World, "why", inspected.tuple); strings.Contains(out, "is OFFLOADED") {
		p.T.Errorf("offloaded against a policy: %s", out)
	}
	length := time.Since(began)
	returned := time.Now()
	back()
	if code := change.Wait(p.T, 2*patience); code != 0 {
		p.T.Errorf("the change: exit code %d, %s", code, change.Output())
	}
	inForce := time.Since(returned)
	offloaded(p.World, inspected.tuple)
	p.T.Logf("away for %v, missed after %v, a new elephant was offloaded after %v; back: a change was in force, and told so, after %v, what it frees was offloaded after %v",
		length.Round(time.Second), missed.Round(time.Millisecond), became.Round(time.Millisecond), inForce.Round(time.Millisecond), time.Since(returned).Round(time.Millisecond))
	offloaded(p.World, alike.tuple)
	if err := p.stand(before, during); err != nil {
		p.T.Error(err)
	}
	p.caughtUp(1)
	for _, f := range []*flow{inspected, alike, fresh} {
		f.Do(1, "rst")
	}
	ourRulesWithin(p.World, patience, 2)
}

// stand wants sessions to be the same as they were.
func (p *policed) stand(all ...connection) error {
	now := map[string]connection{}
	for _, c := range connections(p.World) {
		now[c.Tuple] = c
	}
	for _, c := range all {
		if n := now[c.Tuple]; n.State != "offloaded" || n.ID != c.ID {
			return fmt.Errorf("%+v, was %+v", n, c)
		}
	}
	return nil
}

func (p *policed) restartedAgent(gone func() (back func())) {
	p.T.Helper()
	old := p.elephant()
	before := offloaded(p.World, old.tuple)
	rules := len(ourRules(p.World))
	back := gone()
	kill(p.T, p.agent, syscall.SIGKILL, -int(syscall.SIGKILL))
	p.agent = startAgent(p.World, p.flags...)
	fresh := p.elephant()
	becomes(p.World, patience, fresh.tuple, "following", "policy-unknown")
	if now := becomes(p.World, patience, old.tuple, "offloaded", "elephant"); now.ID != before.ID { // adopted without a word of wires
		p.T.Errorf("was %+v, is %+v", before, now)
	}
	if n := len(ourRules(p.World)); n != rules {
		p.T.Errorf("%d rules, were %d", n, rules)
	}
	if slow() { // it is not kept for ever
		becomes(p.World, policyGrace+patience, old.tuple, "following", "policy-unknown")
		ourRulesWithin(p.World, patience, 0)
	}
	back()
	offloaded(p.World, fresh.tuple)
	if now := offloaded(p.World, old.tuple); !slow() && now.ID != before.ID {
		p.T.Errorf("was %+v, is %+v", before, now)
	}
	p.caughtUp(1)
}

// An ovsdb-server that is started anew forgets the policy database that was added to it, until
// init is called again: the last policies stay in force meanwhile.
func TestPolicyRestart(t *testing.T) {
	slowly(t)
	w := harness.SwitchedPair(t)
	w.ServePolicies()
	noAgent := func(args []string) []string {
		return append([]string{"--socket=" + w.Dir + "/no-agent.sock"}, args...)
	}
	p := newPoliced(w, w.OVSDB(), func(args ...string) string { return w.Ctl(noAgent(args)...) }, func(args ...string) *harness.Process {
		return w.Start(t, append([]string{harness.Binary(t, "flowshuntctl")}, noAgent(args)...)...)
	})
	p.outage(func() func() {
		thaw := w.FreezeSwitch(t) // what it knows of ports it tells the new server later
		w.KillDatabase(t)
		if err := w.StartDatabase(); err != nil {
			t.Fatal(err)
		}
		thaw()
		return func() { w.Ctl("init") }
	})
}
