package harness

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// VM is a virtual machine as OVS sees it: a namespace whose eth0 is the other
// end of a port on a bridge: a virtual function of the world's NIC, whose port is its
// representor, or one of a pair of veth devices, whose other one plays that.
type VM struct {
	*Namespace        // its own name carries a prefix; see VM.Name
	Name       string // as the test calls it
	Rep        string // name of the port on the bridge
	MAC        string
	IP4, IP6   netip.Addr
}

// VMConfig says what a virtual machine is like. The zero value is usual.
type VMConfig struct {
	IfaceID string // external_ids:iface-id of the port; empty: none
	// ExternalIDs of the port on top, as key=value.
	ExternalIDs []string
	// Subnet is the third byte of the machine's IPv4 address, and the fourth group of the
	// IPv6 one; Number is the last byte of both, if it is not to be by order of addition.
	Subnet, Number byte
	// Routed gives it default routes, by the subnet's Gateway.
	Routed bool
	MTU    int // of eth0; 0: as it comes
	// NoOffload turns segmentation offloads of eth0 off, so that packets have
	// the size they would have on a wire.
	NoOffload bool
}

// AddVM adds a virtual machine to a bridge. Its subnet, 0 usually, and its number, from 1 up
// by order of addition, make its addresses: 10.0.S.N/24, fd00:0:0:S::N/64, fa:16:3e:00:SS:NN.
func (w *World) AddVM(bridge, name string, cfg VMConfig) *VM {
	t := w.T
	t.Helper()
	ns, err := addNamespace(name)
	if err != nil {
		t.Fatal(err)
	}
	vm := newVM(ns, name, cfg.Subnet, cmp.Or(cfg.Number, byte(len(w.vms))+max(w.first, 1)))
	w.vms = append(w.vms, vm)
	w.cable(vm, "")
	w.settle(vm, cfg)
	ids := cfg.ExternalIDs
	if cfg.IfaceID != "" {
		ids = append([]string{"iface-id=" + cfg.IfaceID}, ids...)
	}
	w.Attach(bridge, vm, ids...)
	return vm
}

// settle makes the machine's device, and its port's, what the config says.
func (w *World) settle(vm *VM, cfg VMConfig) {
	t := w.T
	t.Helper()
	if cfg.MTU != 0 {
		vm.Run(t, "ip", "link", "set", "eth0", "mtu", strconv.Itoa(cfg.MTU))
		w.Run(t, "ip", "link", "set", vm.Rep, "mtu", strconv.Itoa(cfg.MTU)) // as os-vif does
	}
	if cfg.Routed {
		gw4, gw6 := Gateway(cfg.Subnet)
		vm.Feed(t, fmt.Sprintf("route add default via %s\nroute add default via %s\n", gw4, gw6), "ip", "-batch", "-")
	}
	if cfg.NoOffload {
		vm.Run(t, "ethtool", "-K", "eth0", "tx", "off", "tso", "off", "gso", "off", "gro", "off")
	}
}

func newVM(ns *Namespace, name string, subnet, number byte) *VM {
	return &VM{
		Namespace: ns, Name: name, Rep: "rep-" + name,
		MAC: fmt.Sprintf("fa:16:3e:00:%02x:%02x", subnet, number),
		IP4: netip.AddrFrom4([4]byte{10, 0, subnet, number}),
		IP6: netip.AddrFrom16([16]byte{0: 0xfd, 7: subnet, 15: number}),
	}
}

// Gateway is the router of a subnet, if it has one.
func Gateway(subnet byte) (ip4, ip6 netip.Addr) {
	const last = 254
	return netip.AddrFrom4([4]byte{10, 0, subnet, last}), netip.AddrFrom16([16]byte{0: 0xfd, 7: subnet, 15: last})
}

// cable gives the machine eth0 and the world its port; more is what else ip-link shall
// know of the port's device.
func (w *World) cable(vm *VM, more string) {
	w.T.Helper()
	w.devices(vm, "eth0", more)
	vm.Feed(w.T, vm.addresses("eth0")+"link set eth0 up\n", "ip", "-batch", "-")
}

// addresses gives a device the machine's addresses, in the words of `ip -batch -`.
func (vm *VM) addresses(dev string) string {
	return fmt.Sprintf("addr add %s/24 dev %s\naddr add %s/64 dev %[2]s nodad\n", vm.IP4, dev, vm.IP6)
}

// devices makes a machine's device and its port: a pair of veth devices, or a virtual
// function of the world's NIC and its representor.
func (w *World) devices(vm *VM, dev, more string) {
	w.T.Helper()
	if w.NIC != nil {
		w.NIC.takeVF(w.T, vm, dev)
		return
	}
	w.Feed(w.T, fmt.Sprintf("link add %s %s type veth peer name %s address %s netns %s\nlink set %[1]s up\n", vm.Rep, more, dev, vm.MAC, vm.Namespace.Name), "ip", "-batch", "-")
}

// Attach makes the machine's device a port of a bridge, with external_ids given as
// key=value.
func (w *World) Attach(bridge string, vm *VM, ids ...string) {
	w.T.Helper()
	args := []string{"add-port", bridge, vm.Rep, "--", "set", "interface", vm.Rep, `external_ids:attached-mac="` + vm.MAC + `"`}
	for _, id := range ids {
		args = append(args, "external_ids:"+id)
	}
	w.Vsctl(args...)
}

// Detach undoes Attach.
func (w *World) Detach(vm *VM) {
	w.T.Helper()
	w.Vsctl("del-port", vm.Rep)
}

// Rename gives the machine's device another name; OVS is not told.
func (w *World) Rename(vm *VM, name string) {
	w.T.Helper()
	w.Feed(w.T, fmt.Sprintf("link set %s down\nlink set %[1]s name %s\nlink set %[2]s up\n", vm.Rep, name), "ip", "-batch", "-")
	vm.Rep = name
}

// Replace deletes the machine's device and makes another one of that name with the
// same ifindex; OVS is not told. Connections of the machine live on. A NIC's devices
// are its driver's: there it fails.
func (w *World) Replace(vm *VM, name string) {
	w.T.Helper()
	if w.NIC != nil {
		w.T.Fatalf("%s is a representor of %s", vm.Rep, w.NIC.Name)
	}
	index := w.Ifindex(vm)
	w.Run(w.T, "ip", "link", "del", vm.Rep)
	vm.Rep = name
	w.cable(vm, fmt.Sprint("index ", index))
	if now := w.Ifindex(vm); now != index {
		w.T.Fatalf("%s has ifindex %d, want %d again", name, now, index)
	}
}

// Ifindex is the index of the machine's device.
func (w *World) Ifindex(vm *VM) int {
	w.T.Helper()
	line := w.Run(w.T, "ip", "-o", "link", "show", "dev", vm.Rep)
	first, _, _ := strings.Cut(line, ":")
	index, err := strconv.Atoi(first)
	if err != nil {
		w.T.Fatalf("%v in %q", err, line)
	}
	return index
}

// OFPort is the OpenFlow number of the VM's port.
func (w *World) OFPort(vm *VM) string {
	w.T.Helper()
	return strings.TrimSpace(w.Vsctl("get", "interface", vm.Rep, "ofport"))
}

// Addr is the VM's address of the family that fits like.
func (vm *VM) Addr(v6 bool) netip.Addr {
	if v6 {
		return vm.IP6
	}
	return vm.IP4
}
