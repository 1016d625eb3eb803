package e2e

import (
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// anomalies are mishaps of OVN's databases that have happened to people.
var anomalies = []struct {
	name       string
	wipe, mend func(*harness.OVN)
}{
	{"the drop group has no rules", (*harness.OVN).ClearDropRules, (*harness.OVN).RestoreDropGroup},
	{"the drop group has no members", (*harness.OVN).ClearDropMembers, (*harness.OVN).RestoreDropGroup},
	{"the drop group is gone", (*harness.OVN).DestroyDropGroup, (*harness.OVN).RestoreDropGroup},
	{"the southbound database is empty", (*harness.OVN).WipeSB, (*harness.OVN).RefillSB},
}

// What no network service would say in earnest is not believed: a drop group that is
// gone or has lost its rules or members would permit everything. What is offloaded leaves, since
// nobody knows what it may do, and is back when all is as it was.
func TestOVNAnomaly(t *testing.T) {
	slowly(t)
	r := newRevocation(newNeutronPair(t), "--security-groups-grace="+groupsGrace.String())
	all := r.begin(kinds[0], kinds[2])
	for _, c := range anomalies {
		at := time.Now()
		c.wipe(r.ovn)
		rulesWithin(t, r.World, groupsGrace+patience, 0)
		causes := r.removals(at)
		t.Logf("%s: %d sessions left within %v for %v", c.name, len(causes), time.Since(at).Round(100*time.Millisecond), causes)
		for _, cause := range causes {
			if cause != "sg-unknown" && cause != "port-unbound" {
				t.Errorf("left for %s", cause)
			}
		}
		nothingOffloaded(r.World, 3*time.Second)
		c.mend(r.ovn)
		r.offloaded(all)
	}
}

// While one host of the network service cannot mask marks, all deny connections by the
// label: so does the agent.
func TestOVNLabel(t *testing.T) {
	slowly(t)
	p := newNeutronPair(t)
	p.ovn.AddOldHost("compute-0")
	r := newRevocation(p)
	all := r.begin(kinds...)
	e := r.servers.Remove(r.rule)
	d := r.denied(all, e, "sg-denied")
	d.lastByte = r.quiet(all, e, 10*time.Second, 2)
	t.Log(d)
	for _, c := range all {
		if client, server := r.marks(c); client != 0 || server != 0 {
			t.Errorf("%s: mark %d at the client's port and %d at the server's, want none", c.name, client, server)
		}
	}
}
