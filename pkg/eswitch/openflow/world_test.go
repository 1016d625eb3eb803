package openflow

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/eswitchtest"
	"github.com/flowshunt/flowshunt/pkg/tc/tctest"
	"github.com/flowshunt/flowshunt/pkg/unixctl/ovstest"
)

// world is br0 of a real Open vSwitch with the ports p0 and p1, in a network namespace
// of this thread.
type world struct {
	*ovstest.OVS
	*eswitchtest.Rig
	t      testing.TB
	driver *Driver
}

func newWorld(t testing.TB, cfg Config) *world {
	t.Helper()
	ovs, _ := ovstest.StartAlone(t)
	w := &world{OVS: ovs, t: t}
	tctest.Veth(t, "p0", "q0")
	tctest.Veth(t, "p1", "q1")
	w.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "fail_mode=secure",
		"--", "add-port", "br0", "p0", "--", "add-port", "br0", "p1")
	w.driver = w.open(cfg)
	w.Rig = &eswitchtest.Rig{
		Driver: w.driver, Refuses: beyondOpenFlow,
		A: tctest.Index(t, "p0"), B: tctest.Index(t, "p1"),
		Gone:   func() { tctest.Run(t, "ip link del p1") },
		Vanish: func(f eswitch.Found) { w.ofctl("del-flows", fmt.Sprintf("cookie=%#x/-1", cookieOf(f.Ref.Handle))) },
	}
	return w
}

func (w *world) open(cfg Config) *Driver {
	w.t.Helper()
	cfg.Rundir = w.Rundir
	d, err := Open(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := d.Close(); err != nil {
			w.t.Error(err)
		}
	})
	return d
}

// ofctl runs a command of ovs-ofctl on br0.
func (w *world) ofctl(command string, args ...string) string {
	w.t.Helper()
	args = append([]string{"-O", "OpenFlow14", command, "unix:" + w.Rundir + "/br0.mgmt"}, args...)
	out, err := exec.Command("ovs-ofctl", args...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("ovs-ofctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// flows returns the flows of br0 as ovs-ofctl prints them.
func (w *world) flows() (list []string) {
	for line := range strings.Lines(w.ofctl("dump-flows", "--no-stats", "--no-names")) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "cookie=") || strings.HasPrefix(line, "priority=") {
			list = append(list, line)
		}
	}
	return list
}

// until waits for a condition.
func until(t testing.TB, within time.Duration, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(within); !is(); {
		select {
		case <-deadline:
			t.Fatalf("%s: not within %v", what, within)
		case <-tick.C:
		}
	}
}

// beyondOpenFlow are the shapes of which a match would see half.
func beyondOpenFlow(s eswitchtest.Shape) bool {
	for _, tags := range []flows.Tags{s.A, s.B} {
		if tags.Len() > 1 || tags[0].Type == flows.TagProvider {
			return true
		}
	}
	return s.Tunnel != flows.Tunnel{}
}
