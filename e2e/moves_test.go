package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// Whatever is done to ports and their devices under a running connection: there are
// two rules for it, on its own two devices, or none; and it comes back.
func TestPortsMove(t *testing.T) {
	slowly(t)
	w := harness.SwitchedPair(t)
	w.Vsctl("add-port", "br0", "span", "--", "set", "interface", "span", "type=internal")
	w.Bridge("br1")
	w.Switch("br1", harness.Pipeline{Zone: w.Zone})
	r, c := startRunning(w, 48300)
	out := func(cause string) func() {
		return func() {
			left(t, r.agent, c, cause)
			mustAudit(w.World, 0, true)
		}
	}
	var thaw func()
	stays := func() { pairs(t, w.World, backWithin) }
	type step struct {
		name     string
		replaces bool // the device, by one that anybody can make
		do       func()
		then     func()
		after    func() // brings it back; nil: nothing is needed
	}
	steps := []step{
		{"mirrored", false,
			func() {
				w.Vsctl("--", "--id=@p", "get", "port", w.A.Rep, "--", "--id=@s", "get", "port", "span",
					"--", "--id=@m", "create", "mirror", "name=m", "select_src_port=@p", "output_port=@s", "--", "set", "bridge", "br0", "mirrors=@m")
			}, out("port-mirrored"),
			func() { w.Vsctl("clear", "bridge", "br0", "mirrors") }},
		{"another MTU", false,
			func() {
				for _, vm := range []*harness.VM{w.A, w.B} {
					w.Run(t, "ip", "link", "set", vm.Rep, "mtu", "2000")
				}
			}, stays, nil},
		{"port deleted and added", false,
			func() { w.Detach(w.B) }, out("port-gone|path-changed|path-unknown|path-unsupported/outputs"), func() { w.Attach("br0", w.B) }},
		{"port deleted and added at once", false,
			func() { w.Detach(w.A); w.Attach("br0", w.A) }, stays, nil},
		{"device renamed", false,
			func() { w.Rename(w.A, "rep-renamed") }, func() { c.leaves(t, r.agent); mustAudit(w.World, 0, true) },
			func() {
				// OVS does not follow: it leaves the kernel's end of the old port behind
				number := regexp.MustCompile(`port (\d+): rep-(renamed|vm1)\b`).FindStringSubmatch(w.Run(t, "ovs-appctl", "dpctl/show"))
				if number == nil {
					t.Fatal("no port to remove")
				}
				w.Run(t, "ovs-appctl", "dpctl/del-if", "ovs-system", number[1])
				w.Vsctl("del-port", "rep-vm1")
				w.Attach("br0", w.A)
			}},
		{"moved to another bridge", false,
			func() { w.Detach(w.A); w.Attach("br1", w.A) }, func() { c.leaves(t, r.agent); mustAudit(w.World, 0, true) },
			func() { w.Detach(w.B); w.Attach("br1", w.B) }},
		{"ifindex used again", true,
			func() {
				thaw = w.FreezeSwitch(t) // the database goes on naming the old device
				t.Cleanup(thaw)
				w.Replace(w.A, "rep-again")
			},
			func() {
				c.leaves(t, r.agent)
				harness.Throughout(t, time.Second, "a device that is no port has nothing of ours", func() error {
					if tc := listing(w.World, w.A.Rep); strings.Contains(tc, "clsact") {
						return fmt.Errorf("%s", tc)
					}
					return nil
				})
				mustAudit(w.World, 0, true)
			},
			func() { thaw(); w.Vsctl("del-port", "rep-renamed"); w.Attach("br1", w.A) }},
		{"device replaced at once", true,
			func() { w.Replace(w.A, w.A.Rep) }, stays, nil},
	}
	if w.NIC != nil { // nobody but its driver replaces a representor
		steps = slices.DeleteFunc(steps, func(s step) bool { return s.replaces })
	}
	for _, s := range steps {
		began := time.Now()
		s.do()
		s.then()
		away := time.Now()
		if s.after != nil {
			s.after()
		}
		c = becomes(w.World, 2*patience, r.tuple, "offloaded", "elephant")
		t.Logf("%s: %v, back after %v", s.name, away.Sub(began).Round(time.Millisecond), time.Since(away).Round(time.Millisecond))
		pairs(t, w.World, 0)
		onOwnPorts(w)
	}
	r.arrives()
}

// leaves waits until the session has left, for whatever cause.
func (c connection) leaves(t testing.TB, a *harness.Agent) {
	t.Helper()
	a.Logged(t, patience, "removed", "session", c.ID, "error", "<nil>")
}

// onOwnPorts fails unless the rules are on the two machines' devices, each to the
// other.
func onOwnPorts(w *harness.Pair) {
	w.T.Helper()
	harness.Within(w.T, patience, "rules on the right devices", func() error {
		lines, _ := audit(w.World)
		other := map[string]string{w.A.Rep: w.B.Rep, w.B.Rep: w.A.Rep}
		for _, l := range lines {
			to, ok := other[l.Port]
			if !ok || !strings.Contains(l.Rule+" ", "redirect to "+to+" ") {
				return fmt.Errorf("%+v", l)
			}
		}
		if len(lines) != 2 {
			return fmt.Errorf("%+v", lines)
		}
		return nil
	})
}
