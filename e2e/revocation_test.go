package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// byGroups are the flags of an agent that asks OVN what security groups permit. An
// emulated switch traces slowly, and what paths have to say is told elsewhere.
var byGroups = append([]string{"--security-groups=ovn", "--validate-within=10s"}, talkative...)

// deniedWithin is how long after the network service has said that a change stands a
// byte of what it denies may still arrive: what the emulated machine takes for a packet
// that is under way, and the agent for marking what no packet of the opener condemns.
const deniedWithin = 2 * time.Second

// revocation is a machine that talks with another one past the slow path, and everybody
// who sees when that ends.
type revocation struct {
	*neutronPair
	t      *testing.T
	talks  *talks
	agent  *harness.Agent
	nb, sb *harness.Updates
	tc     *harness.Deletions
	sport  uint16 // of the next connection
}

func newRevocation(p *neutronPair, flags ...string) *revocation {
	t := p.T.(*testing.T)
	t.Helper()
	return &revocation{
		neutronPair: p, t: t, talks: newTalks(p.World, p.A, p.B), agent: startAgent(p.World, append(byGroups, flags...)...),
		nb: p.ovn.WatchNB(), sb: p.ovn.WatchSB(), tc: p.Deletions(), sport: 46000,
	}
}

// begin begins connections of some kinds, and waits until all are offloaded.
func (r *revocation) begin(kinds ...kind) (all []*talk) {
	r.t.Helper()
	all = r.talks.beginAll(r.sport, kinds...)
	r.sport += uint16(len(kinds))
	r.offloaded(all)
	for _, c := range all {
		c.hush()
	}
	return all
}

// offloaded waits until all are offloaded.
func (r *revocation) offloaded(all []*talk) {
	r.t.Helper()
	r.become(all, "offloaded", "elephant")
	onlyHardware(r.World)
}

// become waits until all are in a state, for a reason if one is given.
func (r *revocation) become(all []*talk, state, reason string) {
	r.t.Helper()
	harness.Within(r.t, patience, fmt.Sprintf("%d connections: %s %s", len(all), state, reason), func() error {
		list := connections(r.World)
		for _, c := range all {
			i := slices.IndexFunc(list, func(x connection) bool { return x.Tuple == c.tuple })
			if i < 0 {
				return fmt.Errorf("%s: not followed", c.name)
			}
			if now := list[i]; now.State != state || reason != "" && now.Reason != reason {
				return fmt.Errorf("%s: %+v", c.name, now)
			}
		}
		return nil
	})
}

// took is how long a revocation took, from several points of view.
type took struct {
	order, nb, sb time.Duration // from the command, the Northbound update and the Southbound one to the last deletion in tc
	stands        time.Duration // from the command to its return
	lastByte      time.Duration // from that return to the last byte of payload; negative: none after it
}

// denied waits until no rule of these connections is left, says how long that took,
// and fails unless they left for a cause. Nothing else may be deleted meanwhile.
func (r *revocation) denied(all []*talk, e harness.Enforced, cause string) (d took) {
	t := r.t
	t.Helper()
	var last time.Time
	harness.Within(t, patience, fmt.Sprintf("%d rules are deleted", 2*len(all)), func() error {
		gone := slices.DeleteFunc(r.tc.Since(e.Ordered), func(d harness.Deleted) bool { return d.Handle == 0 || d.Pref>>4 != 0x4000>>4 })
		if len(gone) < 2*len(all) {
			return fmt.Errorf("%d", len(gone))
		}
		last = gone[len(gone)-1].At
		return nil
	})
	if rules := r.Rules(); len(rules) != 0 {
		t.Errorf("rules left: %v", rules)
	}
	for _, c := range all {
		removed := r.agent.Logged(t, patience, "remove", "session", r.session(c))
		switch got := removed.Attrs["cause"]; {
		case slices.Contains(strings.Split(cause, "|"), got):
		case cause == "sg-denied" && strings.HasPrefix(got, "path-"): // OVS has told sooner: it refuses
			t.Logf("%s left for %s", c.name, got)
		default:
			t.Errorf("%s left for %s, want %s", c.name, got, cause)
		}
	}
	if cause == "sg-denied" {
		r.become(all, "following", cause)
	}
	d = took{order: last.Sub(e.Ordered), stands: e.Stands.Sub(e.Ordered)}
	if u := r.nb.Since(e.Ordered); len(u) > 0 {
		d.nb = last.Sub(u[0].At)
	}
	if u := r.sb.Since(e.Ordered); len(u) > 0 {
		d.sb = last.Sub(u[0].At)
	}
	return d
}

// session is the id of a connection's last session.
func (r *revocation) session(c *talk) (id string) {
	r.t.Helper()
	for _, l := range r.agent.Log() {
		if l.Msg == "install" && l.Attrs["connection"] == c.tuple {
			id = l.Attrs["session"]
		}
	}
	if id == "" {
		r.t.Fatalf("%s was never installed", c.name)
	}
	return id
}

// quiet watches that nothing arrives of what was denied, that it stays out of the
// eswitch, and that its entries are kept in so many zones.
func (r *revocation) quiet(all []*talk, e harness.Enforced, during time.Duration, zones int) (lastByte time.Duration) {
	t := r.t
	t.Helper()
	for i, late := range silent(t, all, e.Stands, deniedWithin, during) {
		lastByte = max(lastByte, late)
		if i == 0 {
			lastByte = late
		}
	}
	for _, c := range all {
		n := 0
		for _, l := range r.agent.Log() {
			if l.Msg == "install" && l.Attrs["connection"] == c.tuple && l.Time.After(e.Stands) {
				n++
			}
		}
		entries, err := r.Conntrack(c.filter...)
		if err != nil || n > 0 || len(entries) != zones {
			t.Errorf("%s: installed %d times after it was denied; entries %v %v", c.name, n, entries, err)
		}
	}
	return lastByte
}

// stop ends connections, and waits until nothing is left of them.
func (r *revocation) stop(all []*talk) {
	r.t.Helper()
	for _, c := range all {
		c.Stop()
	}
	rulesWithin(r.t, r.World, patience, 0)
}

func (d took) String() string {
	ms := func(d time.Duration) string { return d.Round(time.Millisecond).String() }
	return fmt.Sprintf("last deletion %s after the command, %s after the NB update, %s after the SB update; stood after %s; last byte %s after that",
		ms(d.order), ms(d.nb), ms(d.sb), ms(d.stands), ms(d.lastByte))
}

// spread prints the median and the 95th percentile of durations, and returns them.
func spread(t *testing.T, what string, all []took, of func(took) time.Duration) (p50, p95 time.Duration) {
	t.Helper()
	var list []time.Duration
	for _, d := range all {
		list = append(list, of(d))
	}
	slices.Sort(list)
	at := func(percent int) time.Duration { return list[(len(list)*percent+99)/100-1] } // the nearest rank
	p50, p95 = at(50), at(95)
	t.Logf("%-45s p50 %v, p95 %v, most %v, of %d", what, p50.Round(time.Millisecond), p95.Round(time.Millisecond), list[len(list)-1].Round(time.Millisecond), len(list))
	return p50, p95
}
