package harness

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// Must says that a missing feature is a failure, not a reason to skip: the
// caller chose a kernel that has everything.
func Must() bool { return os.Getenv("FLOWSHUNT_E2E") == "must" }

// Require skips a test where something is missing that the harness needs, or
// fails it if Must.
func Require(t testing.TB) {
	t.Helper()
	missing := Missing()
	switch {
	case len(missing) == 0:
	case Must():
		t.Fatalf("missing: %s", strings.Join(missing, ", "))
	default:
		t.Skipf("missing: %s (make e2e runs this in a virtual machine)", strings.Join(missing, ", "))
	}
}

// Missing names what the harness needs and this machine has not: privileges,
// programs, kernel features. Empty: stories can run here.
var Missing = sync.OnceValue(func() []string {
	var missing []string
	for _, p := range []string{
		"ip", "tc", "genl", "ovs-vswitchd", "ovsdb-server", "ovsdb-tool", "ovs-vsctl", "ovs-ofctl", "ovs-appctl",
		"conntrack", "iperf3", "ping", "curl", "sysctl", "busybox",
	} {
		if _, err := exec.LookPath(p); err != nil {
			missing = append(missing, p)
		}
	}
	if os.Geteuid() != 0 {
		missing = append(missing, "root")
	}
	if len(missing) > 0 {
		return missing // the kernel cannot be asked
	}
	return kernelMissing()
})

// kernelMissing tries each feature in a scratch namespace: a module's name says
// nothing about a kernel that has it built in.
func kernelMissing() []string {
	for _, m := range []string{"openvswitch", "cls_flower", "act_mirred", "sch_ingress", "veth", "nf_conntrack_netlink"} {
		_ = exec.Command("modprobe", "-q", m).Run() // built in, perhaps
	}
	ns, err := addNamespace("probe")
	if err != nil {
		return []string{fmt.Sprintf("network namespaces (%v)", err)}
	}
	defer ns.remove()
	var missing []string
	for _, f := range []struct {
		name string
		args string
	}{
		{"openvswitch", "genl ctrl get name ovs_datapath"},
		{"veth", "ip link add probe0 type veth peer name probe1"},
		{"sch_ingress", "tc qdisc add dev probe0 clsact"},
		{"cls_flower with act_mirred", "tc filter add dev probe0 ingress protocol ip flower ip_proto tcp tcp_flags 0x0/0x7 action mirred egress redirect dev probe1"},
		{"nf_conntrack_netlink", "conntrack -L"},
	} {
		if _, err := ns.Try(strings.Fields(f.args)...); err != nil {
			missing = append(missing, f.name)
		}
	}
	return missing
}
