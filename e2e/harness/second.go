package harness

import (
	"fmt"
	"testing"
)

// SecondPort gives a machine another device, eth1, with the same MAC, at a port of its
// own: the machine takes what comes in there, and sends by it only what SendBy says. It
// returns the machine as seen at that port.
func (w *World) SecondPort(bridge string, vm *VM) *VM {
	t := w.T
	t.Helper()
	second := *vm
	second.Name, second.Rep = vm.Name+"b", vm.Rep+"b"
	w.vms = append(w.vms, &second)
	w.devices(&second, "eth1", "")
	// what eth1 says by itself would move the MAC
	vm.Feed(t, "link set eth1 arp off addrgenmode none\nlink set eth1 up\n", "ip", "-batch", "-")
	w.Attach(bridge, &second)
	return &second
}

// SendBy makes the machine send to another one by eth1, or by eth0 again.
func (vm *VM) SendBy(t testing.TB, dev string, to *VM) {
	t.Helper()
	if dev == "eth0" {
		vm.Run(t, "ip", "route", "del", to.IP4.String()+"/32")
		return
	}
	vm.Feed(t, fmt.Sprintf("neigh replace %s lladdr %s nud permanent dev %s\nroute replace %[1]s/32 dev %[3]s src %s\n", to.IP4, to.MAC, dev, vm.IP4), "ip", "-batch", "-")
}
