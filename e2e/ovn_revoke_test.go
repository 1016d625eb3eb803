package e2e

import (
	"fmt"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// A rule of a security group is deleted: whatever it permitted is over, whoever talks,
// and stays over, although nobody but the agent can stop some of it. Put back, it
// permits new connections.
func TestOVNRevoke(t *testing.T) {
	betterOnEswsim(t)
	r := newRevocation(newNeutronPair(t))
	all := r.begin(kinds...)
	e := r.servers.Remove(r.rule)
	d := r.denied(all, e, "sg-denied")
	d.lastByte = r.quiet(all, e, silence, 2)
	t.Log(d)
	for _, c := range all {
		if client, server := r.marks(c); client != 0 || server != 1 {
			t.Errorf("%s: mark %d at the client's port and %d at the server's, want 0 and 1", c.name, client, server)
		}
	}
	r.permit()
	r.begin(kinds[0])
}

// The same many times, to see how long it takes, by the Southbound database alone.
func TestOVNRevokeTimes(t *testing.T) {
	slowly(t)
	revokeTimes(t, newRevocation(newNeutronPair(t)))
}

// The Northbound database tells earlier, and names Neutron's rules.
func TestOVNNorthbound(t *testing.T) {
	slowly(t)
	p := newNeutronPair(t)
	r := newRevocation(p, "--ovn-nb="+p.ovn.NB())
	all := r.begin(kinds[0])
	mustMatch(t, whyText(r.World, all[0].tuple), `is OFFLOADED`, regexp.QuoteMeta(r.rule.ID), regexp.QuoteMeta(r.clients.Own[0].ID))
	r.denied(all, r.servers.Remove(r.rule), "sg-denied")
	mustMatch(t, whyText(r.World, all[0].tuple), `is NOT OFFLOADED: sg-denied`, regexp.QuoteMeta(r.rule.ID))
	r.permit()
	revokeTimes(t, r)
}

func revokeTimes(t *testing.T, r *revocation) {
	const times = 20
	var all []took
	for range times {
		list := r.begin(kinds[0], kinds[2], kinds[6])
		e := r.servers.Remove(r.rule)
		d := r.denied(list, e, "sg-denied")
		d.lastByte = r.quiet(list, e, 2*time.Second, 2)
		all = append(all, d)
		r.stop(list)
		r.permit()
	}
	spread(t, "command to last deletion", all, func(d took) time.Duration { return d.order })
	spread(t, "command to its return", all, func(d took) time.Duration { return d.stands })
	spread(t, "Northbound update to last deletion", all, func(d took) time.Duration { return d.nb })
	southboundInTime(t, all)
	spread(t, "return of the command to last byte", all, func(d took) time.Duration { return d.lastByte })
}

// southboundInTime fails where the agent, told by the Southbound database, took longer
// than it may.
func southboundInTime(t *testing.T, all []took) {
	t.Helper()
	const usual, worst = 100 * time.Millisecond * emulated, 2 * time.Second
	p50, p95 := spread(t, "Southbound update to last deletion", all, func(d took) time.Duration { return d.sb })
	if p50 > usual || p95 > worst {
		t.Errorf("from the Southbound update to the last deletion: p50 %v, p95 %v; want at most %v and %v", p50, p95, usual, worst)
	}
}

// emulated is how many times slower than a real machine the one of these stories is, at
// least, where nobody else uses its host.
const emulated = 5

// A rule is deleted while the agent is about to offload what it permits, sooner or
// later each time: in the end nothing is offloaded, and nothing arrives.
func TestOVNRace(t *testing.T) {
	slowly(t)
	r := newRevocation(newNeutronPair(t))
	for i := range 15 {
		all := r.talks.beginAll(r.sport, kinds[0], kinds[2])
		r.sport += 2
		<-time.After(time.Duration(i) * 200 * time.Millisecond)
		e := r.servers.Remove(r.rule)
		harness.Within(t, deniedWithin, "no rule", func() error {
			if rules := r.Rules(); len(rules) > 0 {
				return fmt.Errorf("%v", rules)
			}
			return nil
		})
		r.quiet(all, e, 3*time.Second, 2)
		t.Logf("%v after the beginning: sessions left for %v", time.Duration(i)*200*time.Millisecond, r.removals(e.Ordered))
		r.stop(all)
		r.permit()
	}
}

// whyText is what flowshuntctl why prints, whatever that is.
func whyText(w *harness.World, tuple string) string {
	w.T.Helper()
	text, _ := tryCtl(w, "why", tuple)
	return text
}

// A rule is deleted while no agent is alive, and the rules of the dead one forward what
// it permitted: its successor ends that, and offloads the rest as before.
func TestOVNDeadAgent(t *testing.T) {
	slowly(t)
	p := newNeutronPair(t)
	tcp := p.servers.Add(harness.Rule{CIDR: "0.0.0.0/0", Proto: "tcp", Ports: [2]uint16{talkPort, talkPort}})
	r := newRevocation(p)
	p.servers.Remove(p.rule)
	udp := p.servers.Add(harness.Rule{CIDR: "10.0.0.0/24", Proto: "udp", Ports: [2]uint16{1, 65534}})
	p.ovn.Sync()
	denied, kept := r.begin(kinds[0], kinds[2]), r.begin(kinds[4])
	r.agent.Signal(t, syscall.SIGKILL)
	r.agent.Wait(t, patience)
	p.servers.Remove(tcp)
	goesOn(t, append(denied, kept...), 2*time.Second) // nobody is there to end it
	r.agent = startAgent(p.World, byGroups...)
	ready := time.Now()
	rulesWithin(t, p.World, patience, 2)
	t.Logf("only what is permitted is offloaded %v after the new agent was ready", time.Since(ready).Round(time.Millisecond))
	silent(t, denied, time.Now(), deniedWithin, 10*time.Second)
	goesOn(t, kept, time.Second)
	r.offloaded(kept)
	r.servers.Remove(udp)
	rulesWithin(t, p.World, patience, 0)
}
