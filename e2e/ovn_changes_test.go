package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// change is a way in which the network service takes a permission back.
type change struct {
	name   string
	cause  string
	before func(p *neutronPair) // makes the permission what is taken back then
	deny   func(p *neutronPair) harness.Enforced
	after  func(p *neutronPair) // permits again
	fast   bool                 // told always
	gone   bool                 // the port is, and OVN empties its zone
}

// elsewhere is a host that nobody runs.
const elsewhere = "compute-2"

// changes are all but the deletion of a rule.
func changes() []change {
	var rule harness.Rule
	var others *harness.Group
	var addresses *harness.AddressGroup
	only := func(p *neutronPair, permitted harness.Rule) {
		rule = p.servers.Add(permitted)
		p.servers.Remove(p.rule)
	}
	back := func(p *neutronPair) {
		p.permit()
		p.servers.Remove(rule)
	}
	return []change{{
		name: "the server leaves its group", cause: "sg-denied", fast: true,
		deny:  func(p *neutronPair) harness.Enforced { return p.b.SetGroups() },
		after: func(p *neutronPair) { p.b.SetGroups(p.servers) },
	}, {
		name: "the client leaves the remote group of a rule", cause: "sg-denied", fast: true,
		before: func(p *neutronPair) {
			others = p.ovn.AddGroup()
			only(p, harness.Rule{Remote: p.clients})
		},
		deny: func(p *neutronPair) harness.Enforced { return p.a.SetGroups(others) },
		after: func(p *neutronPair) {
			p.a.SetGroups(p.clients)
			back(p)
		},
	}, {
		name: "the client's address leaves an address group", cause: "sg-denied",
		before: func(p *neutronPair) {
			addresses = p.ovn.AddAddressGroup("198.51.100.0/24", p.A.IP4.String()+"/32")
			only(p, harness.Rule{Addresses: addresses})
		},
		deny:  func(p *neutronPair) harness.Enforced { return addresses.Remove(p.A.IP4.String() + "/32") },
		after: back,
	}, {
		name: "the client may no longer send", cause: "sg-denied",
		deny:  func(p *neutronPair) harness.Enforced { return p.clients.Remove(p.clients.Own[0]) },
		after: func(p *neutronPair) { p.clients.Own[0] = p.clients.Add(p.clients.Own[0]) },
	}, {
		name: "port security is switched on", cause: "sg-denied",
		before: func(p *neutronPair) { p.b.SecurityOff() },
		deny:   func(p *neutronPair) harness.Enforced { return p.b.SecurityOn() },
		after:  func(p *neutronPair) { p.b.SetGroups(p.servers) },
	}, {
		name: "the server is unplugged", cause: "port-unbound|port-gone|path-dropped|path-changed", gone: true,
		deny:  func(p *neutronPair) harness.Enforced { return p.b.Unplug() },
		after: func(p *neutronPair) { p.b.Plug() },
	}, {
		name: "the server is to be at another host", cause: "port-unbound|port-migrating|gone", gone: true,
		before: func(p *neutronPair) { p.ovn.AddHost(elsewhere) },
		deny:   func(p *neutronPair) harness.Enforced { return p.b.Unbind(elsewhere) },
		after: func(p *neutronPair) {
			p.b.Request(harness.Host)
			p.b.WaitInstalled()
			p.ovn.RemoveHost(elsewhere)
		},
	}}
}

// Whatever else takes a permission back does it like the deletion of a rule.
func TestOVNChanges(t *testing.T) {
	r := newRevocation(newNeutronPair(t))
	during := 5 * time.Second
	if slow() {
		during = silence
	}
	for _, c := range changes() {
		if !c.fast && !slow() {
			continue
		}
		if c.before != nil {
			c.before(r.neutronPair)
		}
		r.ovn.Sync()
		all := r.begin(kinds[0], kinds[2], kinds[6])
		e := c.deny(r.neutronPair)
		zones := 2
		if c.gone {
			zones = 1
		}
		d := r.denied(all, e, c.cause)
		d.lastByte = r.quiet(all, e, during, zones)
		t.Logf("%s: %v", c.name, d)
		r.stop(all)
		c.after(r.neutronPair)
		r.ovn.Sync()
	}
	r.begin(kinds[0])
}

// A port that is to migrate is no longer offloaded, before it goes; what it says goes on
// in the slow path, and past it again when it stays after all.
func TestOVNMigration(t *testing.T) {
	slowly(t)
	r := newRevocation(newNeutronPair(t))
	r.ovn.AddHost(elsewhere)
	all := r.begin(kinds[0], kinds[2])
	e := r.b.Request(harness.Host, elsewhere)
	t.Log(r.denied(all, e, "port-migrating"))
	goesOn(t, all, 3*time.Second)
	if rules := r.Rules(); len(rules) != 0 {
		t.Errorf("rules while it migrates: %v", rules)
	}
	r.b.Request(harness.Host)
	r.offloaded(all)
	goesOn(t, all, 3*time.Second)
}

// Switching port security off permits everything: nothing that was permitted ends.
func TestOVNSecurityOff(t *testing.T) {
	slowly(t)
	r := newRevocation(newNeutronPair(t))
	all := r.begin(kinds[0], kinds[2])
	r.b.SecurityOff()
	goesOn(t, all, 3*time.Second)
	r.offloaded(all)
	r.servers.Remove(r.rule) // whose rules are not the port's any more
	goesOn(t, all, 3*time.Second)
	r.offloaded(all)
}

// Stateless groups are not offloaded per connection: no connection is tracked by which
// replies are known.
func TestOVNStateless(t *testing.T) {
	slowly(t)
	p := newNeutronPair(t)
	p.servers.Add(harness.Rule{Stateless: true, Proto: "tcp"})
	p.servers.Add(harness.Rule{Stateless: true, Egress: true, Proto: "tcp"})
	p.ovn.Sync()
	r := newRevocation(p)
	all := r.talks.beginAll(r.sport, kinds[0])
	r.become(all, "candidate", "sg-stateless")
	nothingOffloaded(r.World, 5*time.Second)
}

// nothingOffloaded watches that there are no rules.
func nothingOffloaded(w *harness.World, during time.Duration) {
	w.T.Helper()
	harness.Throughout(w.T, during, "nothing is offloaded", func() error {
		if rules := w.Rules(); len(rules) > 0 {
			return fmt.Errorf("%v", rules)
		}
		return nil
	})
}

// removals are the sessions that left since a moment, by cause.
func (r *revocation) removals(since time.Time) (causes []string) {
	for _, l := range r.agent.Log() {
		if l.Msg == "remove" && !l.Time.Before(since) {
			causes = append(causes, l.Attrs["cause"])
		}
	}
	slices.Sort(causes)
	return causes
}
