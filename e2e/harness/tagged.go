package harness

import (
	"fmt"
	"testing"
)

// Tagged gives the machine a device behind a VLAN tag, which takes its addresses over, and
// returns the machine as it is by that.
func (vm *VM) Tagged(t testing.TB, id uint16, mtu int) *VM {
	t.Helper()
	vm.Feed(t, fmt.Sprintf("addr flush dev eth0 scope global\nlink add link eth0 name tag0 type vlan id %d\nlink set tag0 mtu %d\nlink set tag0 up\n", id, mtu)+vm.addresses("tag0"), "ip", "-batch", "-")
	return vm
}

// VLANLimit makes OVS look behind so many tags, until the world ends. By default it is
// one: what is behind the second is nothing to it.
func (w *World) VLANLimit(tags int) {
	w.T.Helper()
	w.Vsctl("set", "open_vswitch", ".", fmt.Sprint("other_config:vlan-limit=", tags))
	w.T.Cleanup(func() { w.Vsctl("remove", "open_vswitch", ".", "other_config", "vlan-limit") })
}
