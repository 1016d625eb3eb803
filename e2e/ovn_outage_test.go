package e2e

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// groupsGrace is how long sessions live on without a word of the database, in these
// stories.
const groupsGrace = 6 * time.Second

// restarts are those of OVN's daemons.
var restarts = []struct {
	name    string
	restart func(*harness.OVN)
	stay    bool // sessions have no reason to leave
}{
	{"northbound server", func(o *harness.OVN) { o.KillNB(); o.StartNB() }, true},
	{"southbound server", func(o *harness.OVN) { o.KillSB(); o.StartSB() }, true},
	{"ovn-controller", func(o *harness.OVN) { o.StopController(); o.StartController() }, false},
}

// A restart of any daemon of OVN takes no permission away: what it does to sessions is
// over soon, none leaves as denied, and afterwards a rule that is deleted denies as
// before.
func TestOVNRestarts(t *testing.T) {
	slowly(t)
	for _, c := range restarts {
		t.Run(c.name, func(t *testing.T) {
			r := newRevocation(newNeutronPair(t), "--security-groups-grace="+groupsGrace.String())
			all := r.begin(kinds[0], kinds[2], kinds[6])
			at := time.Now()
			c.restart(r.ovn)
			r.ovn.Sync()
			harness.Throughout(t, 2*groupsGrace, "no session leaves as denied", func() error {
				causes := r.removals(at)
				if slices.Contains(causes, "sg-denied") || c.stay && len(causes) > 0 {
					return fmt.Errorf("%v", causes)
				}
				return nil
			})
			t.Logf("sessions left: %v", r.removals(at))
			if len(all) == 3 && !c.stay { // what left was not heard from both sides since
				all = all[:2]
			}
			r.offloaded(all)
			r.nb, r.sb = r.ovn.WatchNB(), r.ovn.WatchSB()
			e := r.servers.Remove(r.rule)
			d := r.denied(all, e, "sg-denied")
			d.lastByte = r.quiet(all, e, 5*time.Second, 2)
			t.Log(d)
		})
	}
}

// When the database does not answer any more, what is offloaded leaves after the grace,
// nothing new comes, and all is as it was when it answers again.
func TestOVNUnreachable(t *testing.T) {
	slowly(t)
	for _, c := range []struct {
		name string
		gone func(o *harness.OVN) (back func())
		// noticed is how long it may take to know: the probe of a connection that is open
		noticed time.Duration
	}{
		{"its server stands still", func(o *harness.OVN) func() { return o.FreezeSB() }, 15 * time.Second},
		{"its server and its socket are gone", func(o *harness.OVN) func() {
			o.KillSB()
			show := o.HideSB()
			return func() {
				show()
				o.StartSB()
			}
		}, 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRevocation(newNeutronPair(t), "--security-groups-grace="+groupsGrace.String())
			all := r.begin(kinds[0], kinds[2])
			at := time.Now()
			back := sync.OnceFunc(c.gone(r.ovn))
			t.Cleanup(back)
			first := r.agent.Logged(t, groupsGrace+c.noticed+patience, "remove")
			after := first.Time.Sub(at)
			t.Logf("first session left after %v", after.Round(time.Millisecond))
			if after < groupsGrace || after > groupsGrace+c.noticed {
				t.Errorf("left after %v, want between %v and %v", after, groupsGrace, groupsGrace+c.noticed)
			}
			rulesWithin(t, r.World, time.Second, 0)
			for _, cause := range r.removals(at) {
				if cause != "sg-unknown" {
					t.Errorf("left for %s", cause)
				}
			}
			goesOn(t, all, 3*time.Second) // in the slow path, where OVN's flows still are
			fresh := r.talks.beginAll(r.sport+100, kinds[0])
			nothingOffloaded(r.World, 4*time.Second)
			r.become(fresh, "candidate", "sg-unknown")
			back()
			r.offloaded(append(all, fresh...))
		})
	}
}
