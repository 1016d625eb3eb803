package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// A restart of the database, which forgets the devices of all ports, is nobody's
// reason to leave; one of the switch costs at most a moment in the slow path.
func TestOVSRestarts(t *testing.T) {
	betterOnEswsim(t)
	w := harness.SwitchedPair(t)
	r, c := startRunning(w, 48200, "--confirm-every=1m") // a frozen switch confirms nothing
	eyes := watchSlowPath(w.World, r.filter, 48200, 9000, w.A, w.B)
	thaw := w.FreezeSwitch(t) // until all have seen what the new server knows
	t.Cleanup(thaw)
	w.KillDatabase(t)
	if err := w.StartDatabase(); err != nil {
		t.Fatal(err)
	}
	reported := func() error {
		for _, vm := range []*harness.VM{w.A, w.B} {
			if i := strings.TrimSpace(w.Run(t, "ovs-vsctl", "--no-wait", "--timeout=20", "get", "interface", vm.Rep, "ifindex")); i == "[]" {
				return fmt.Errorf("no ifindex of %s", vm.Rep)
			}
		}
		return nil
	}
	stays := func() {
		harness.Throughout(t, 2*time.Second, "still offloaded", func() error {
			for _, l := range r.agent.Log() {
				if l.Msg == "remove" {
					return fmt.Errorf("%+v", l)
				}
			}
			return nil
		})
	}
	stays()
	if reported() == nil {
		t.Error("the database knows devices that nobody told it: this test shows nothing")
	}
	thaw()
	harness.Within(t, patience, "OVS tells of the ports again", reported)
	stays()
	if now := becomes(w.World, 0, r.tuple, "offloaded", "elephant"); now.ID != c.ID {
		t.Errorf("was %+v, is %+v", c, now)
	}
	eyes.saw(0)
	pairs(t, w.World, 0)

	restartSwitch(w.World, "br0")
	pairs(t, w.World, 2*time.Second)
	// A new ovs-vswitchd knows no station, and does not learn from packets that match
	// flows of the old one: it would flood, until a station says something else.
	w.A.Ping(t, w.B.IP4)
	w.B.Ping(t, w.A.IP4)
	offloaded(w.World, r.tuple)
	pairs(t, w.World, 0)
	r.arrives()
}

// restartSwitch stops ovs-vswitchd and starts it again with its flows, as `ovs-ctl
// restart` does: the datapath forwards by what it has until they are back.
func restartSwitch(w *harness.World, bridge string) {
	w.T.Helper()
	set := func(args ...string) {
		w.Run(w.T, append([]string{"ovs-vsctl", "--no-wait", "--timeout=20"}, args...)...)
	}
	flows := w.Run(w.T, "ovs-ofctl", "--no-stats", "dump-flows", bridge)
	set("set", "open_vswitch", ".", "other_config:flow-restore-wait=true")
	w.StopSwitch()
	if err := w.StartSwitch(); err != nil {
		w.T.Fatal(err)
	}
	w.Feed(w.T, flows, "ovs-ofctl", "add-flows", bridge, "-")
	set("remove", "open_vswitch", ".", "other_config", "flow-restore-wait")
}
