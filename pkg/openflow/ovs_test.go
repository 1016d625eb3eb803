package openflow

import (
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vishvananda/netns"

	"github.com/flowshunt/flowshunt/pkg/unixctl/ovstest"
)

// bridge is br0 of a real Open vSwitch.
type bridge struct {
	*ovstest.OVS
	t  testing.TB
	ns netns.NsHandle

	settled uint16 // priority of the last flow that settle added
}

// newBridge starts Open vSwitch in a network namespace of this thread and makes
// br0, which has no flow and allows every version.
func newBridge(t testing.TB) *bridge {
	t.Helper()
	ovs, ns := ovstest.StartAlone(t)
	b := &bridge{OVS: ovs, t: t, ns: ns}
	b.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "fail_mode=secure",
		"protocols=OpenFlow10,OpenFlow11,OpenFlow12,OpenFlow13,OpenFlow14,OpenFlow15")
	return b
}

func (b *bridge) socket() string { return SocketPath(b.Rundir, "br0") }

// ofctl runs ovs-ofctl; "br0" among the arguments becomes the bridge's socket.
func (b *bridge) ofctl(args ...string) string {
	b.t.Helper()
	for i, arg := range args {
		if arg == "br0" {
			args[i] = "unix:" + b.socket()
			break
		}
	}
	out, err := exec.Command("ovs-ofctl", args...).CombinedOutput()
	if err != nil {
		b.t.Fatalf("ovs-ofctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// protocols lets the bridge speak these versions only.
func (b *bridge) protocols(versions ...Version) {
	b.t.Helper()
	var names []string
	for _, v := range slices.Compact(versions) {
		names = append(names, v.String())
	}
	b.Vsctl("set", "bridge", "br0", "protocols="+strings.Join(names, ","))
}

// pid returns the process id of ovs-vswitchd.
func (b *bridge) pid() int {
	b.t.Helper()
	text, err := os.ReadFile(b.Rundir + "/ovs-vswitchd.pid")
	if err != nil {
		b.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		b.t.Fatal(err)
	}
	return pid
}
