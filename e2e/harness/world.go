package harness

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// World is what one test has on a node: bridges and virtual machines, all
// removed at the end of the test together with every conntrack entry.
type World struct {
	*Node
	T testing.TB
	// Endpoint is where the node's tunnels end, if it has any: see Underlay.Endpoints.
	Endpoint netip.Addr
	Tunnel   *Uplink // the device that has it
	NIC      *Eswsim // whose virtual functions the machines have; nil: they have veth devices

	bridges   []string
	vms       []*VM
	first     byte // number of the first machine; 0: 1
	nics      []*Eswsim
	rulePorts []string // devices that may have rules, beside the machines' ports
}

// New returns an empty world on the shared node, or skips the test where the
// machine cannot have one.
func New(t testing.TB) *World {
	t.Helper()
	Require(t)
	return On(t, sharedNode(t))
}

// On returns an empty world on a node of the test's own.
func On(t testing.TB, n *Node) *World {
	t.Helper()
	w := &World{Node: n, T: t}
	w.checkWarnings()
	w.checkKernel()
	t.Cleanup(w.clear)
	w.reportOnFailure()
	if modelled {
		w.NIC = w.NewEswsim(fmt.Sprintf("vfs=%d uplinks=%d", vfs, uplinks))
	}
	return w
}

// Bridge adds an OVS bridge without any flow: it forwards nothing until
// Switch or Wire.
func (w *World) Bridge(name string) {
	w.T.Helper()
	w.bridges = append(w.bridges, name)
	w.Run(w.T, "ovs-vsctl", "--timeout=20", "add-br", name, "--", "set", "bridge", name, "fail_mode=secure")
}

// UserspaceBridge is Bridge on the datapath that ovs-vswitchd itself is.
func (w *World) UserspaceBridge(name string) {
	w.T.Helper()
	w.bridges = append(w.bridges, name)
	w.Run(w.T, "ovs-vsctl", "--timeout=20", "add-br", name, "--", "set", "bridge", name, "fail_mode=secure", "datapath_type=netdev")
}

// Flows replaces a bridge's OpenFlow flows.
func (w *World) Flows(bridge string, flows ...string) {
	w.T.Helper()
	w.Feed(w.T, strings.Join(flows, "\n")+"\n", "ovs-ofctl", "--bundle", "replace-flows", bridge, "-")
}

// Vsctl runs ovs-vsctl.
func (w *World) Vsctl(args ...string) string {
	w.T.Helper()
	return w.Run(w.T, append([]string{"ovs-vsctl", "--timeout=20"}, args...)...)
}

// VM returns the world's virtual machine of that name.
func (w *World) VM(name string) *VM {
	w.T.Helper()
	i := slices.IndexFunc(w.vms, func(vm *VM) bool { return vm.Name == name })
	if i < 0 {
		w.T.Fatalf("no virtual machine %q", name)
	}
	return w.vms[i]
}

func (w *World) clear() {
	var errs []string
	try := func(args ...string) {
		if _, err := w.Try(args...); err != nil {
			errs = append(errs, err.Error())
		}
	}
	for _, n := range w.nics { // before the namespaces: their devices would move to the host's
		if err := n.delete(); err != nil {
			errs = append(errs, err.Error())
		}
	}
	for _, vm := range w.vms {
		// The kernel removes a namespace's links some time after it is gone; the next
		// test wants the name at once.
		_, _ = w.Try("ip", "link", "del", vm.Rep)
		vm.remove()
	}
	for _, b := range w.bridges {
		try("ovs-vsctl", "--timeout=20", "--if-exists", "del-br", b)
	}
	try("conntrack", "-F")
	if len(errs) > 0 {
		w.T.Errorf("clean up: %s", strings.Join(errs, "; "))
	}
}

// reportOnFailure writes what the kernel and OVS said during a test to its
// log, if it failed.
func (w *World) reportOnFailure() {
	kernel := kernelLog()
	ovs := fileSize(w.log("ovs-vswitchd"))
	w.T.Cleanup(func() {
		if !w.T.Failed() {
			return
		}
		w.T.Logf("kernel log:\n%s", tail(newKernelLog(kernel, kernelLog())))
		w.T.Logf("ovs-vswitchd.log:\n%s", tail(fileFrom(w.log("ovs-vswitchd"), ovs)))
		for _, b := range w.bridges {
			for _, args := range [][]string{{"ovs-appctl", "fdb/show", b}, {"ovs-appctl", "fdb/stats-show", b}, {"ovs-ofctl", "--no-stats", "dump-flows", b}} {
				if out, err := w.Try(args...); err == nil {
					w.T.Logf("%s:\n%s", strings.Join(args, " "), tail(out))
				}
			}
		}
		for _, args := range [][]string{{"conntrack", "-L", "-o", "extended,id"}, {"ovs-appctl", "dpctl/dump-flows", "-m"}, {"tc", "-s", "filter", "show"}} {
			if out, err := w.Try(args...); err == nil {
				w.T.Logf("%s:\n%s", strings.Join(args, " "), tail(out))
			}
		}
		for _, vm := range w.vms {
			if out, err := w.Filters(vm.Rep); err == nil && len(out) > 0 {
				w.T.Logf("filters of %s: %s", vm.Rep, fmt.Sprint(out))
			}
		}
	})
}
