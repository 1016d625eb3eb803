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
	before func(r *revocation) // makes the permission what is taken back then
	deny   func(r *revocation) harness.Enforced
	after  func(r *revocation) // permits again
	fast   bool                // told always
}

// elsewhere is a host that nobody runs.
const elsewhere = "compute-2"

// changes are all but the deletion of a rule.
func changes() []change {
	var rule harness.Rule
	var others *harness.Group
	var addresses *harness.AddressGroup
	only := func(r *revocation, permitted harness.Rule) {
		rule = r.servers.Add(permitted)
		r.servers.Remove(r.rule)
	}
	back := func(r *revocation) {
		r.permit()
		r.servers.Remove(rule)
	}
	return []change{{
		name: "the server leaves its group", cause: "sg-denied", fast: true,
		deny:  func(r *revocation) harness.Enforced { return r.b.SetGroups() },
		after: func(r *revocation) { r.b.SetGroups(r.servers) },
	}, {
		name: "the client leaves the remote group of a rule", cause: "sg-denied", fast: true,
		before: func(r *revocation) {
			others = r.ovn.AddGroup()
			only(r, harness.Rule{Remote: r.clients})
		},
		deny: func(r *revocation) harness.Enforced { return r.a.SetGroups(others) },
		after: func(r *revocation) {
			r.a.SetGroups(r.clients)
			back(r)
		},
	}, {
		name: "the client's address leaves an address group", cause: "sg-denied",
		before: func(r *revocation) {
			addresses = r.ovn.AddAddressGroup("198.51.100.0/24", r.A.IP4.String()+"/32")
			only(r, harness.Rule{Addresses: addresses})
		},
		deny:  func(r *revocation) harness.Enforced { return addresses.Remove(r.A.IP4.String() + "/32") },
		after: back,
	}, {
		name: "the client may no longer send", cause: "sg-denied",
		deny:  func(r *revocation) harness.Enforced { return r.clients.Remove(r.clients.Own[0]) },
		after: func(r *revocation) { r.clients.Own[0] = r.clients.Add(r.clients.Own[0]) },
	}, {
		name: "port security is switched on", cause: "sg-denied",
		before: func(r *revocation) { r.b.SecurityOff() },
		deny:   func(r *revocation) harness.Enforced { return r.b.SecurityOn() },
		after:  func(r *revocation) { r.b.SetGroups(r.servers) },
	}, {
		name: "the server is unplugged", cause: "port-unbound|port-gone|path-dropped|path-changed",
		deny:  func(r *revocation) harness.Enforced { return r.b.Unplug() },
		after: func(r *revocation) { r.b.Plug() },
	}, {
		name: "the server is to be at another host", cause: "port-unbound|port-migrating",
		before: func(r *revocation) { r.ovn.AddHost(elsewhere) },
		deny:   func(r *revocation) harness.Enforced { return r.b.Unbind(elsewhere) },
		after: func(r *revocation) {
			r.b.Request(harness.Host)
			r.b.WaitInstalled()
			r.ovn.RemoveHost(elsewhere)
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
			c.before(r)
		}
		r.ovn.Sync()
		all := r.begin(kinds[0], kinds[2], kinds[6])
		e := c.deny(r)
		d := r.denied(all, e, c.cause)
		d.lastByte = r.quiet(all, e, during)
		t.Logf("%s: %v", c.name, d)
		r.stop(all)
		c.after(r)
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
	r.goesOn(all, 3*time.Second)
	if rules := r.Rules(); len(rules) != 0 {
		t.Errorf("rules while it migrates: %v", rules)
	}
	r.b.Request(harness.Host)
	r.offloaded(all)
	r.goesOn(all, 3*time.Second)
}

// Switching port security off permits everything: nothing that was permitted ends.
func TestOVNSecurityOff(t *testing.T) {
	slowly(t)
	r := newRevocation(newNeutronPair(t))
	all := r.begin(kinds[0], kinds[2])
	r.b.SecurityOff()
	r.goesOn(all, 3*time.Second)
	r.offloaded(all)
	r.servers.Remove(r.rule) // whose rules are not the port's any more
	r.goesOn(all, 3*time.Second)
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
	harness.Throughout(t, 5*time.Second, "nothing is offloaded", func() error { return traces(r.World) })
	for _, c := range connections(r.World) {
		if c.Tuple == all[0].tuple && c.Reason != "sg-stateless" {
			t.Errorf("%+v", c)
		}
	}
}

// goesOn watches that something arrives of each connection, at no time later than a
// second and a half after what came before.
func (r *revocation) goesOn(all []*talk, during time.Duration) {
	r.t.Helper()
	harness.Throughout(r.t, during, "traffic", func() error {
		for _, c := range all {
			if since := time.Since(c.last()); since > 1500*time.Millisecond {
				return fmt.Errorf("%s: nothing since %v", c.name, since)
			}
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
