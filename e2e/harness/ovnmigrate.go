package harness

import (
	"encoding/hex"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Migrate moves the machine to another node of the network service while it runs, with
// all its connections, in the steps of Nova and Neutron: it is plugged there and both
// nodes are asked for, it stops here, goes on there and says so, and that node alone is
// asked for. Ordered is when it stopped.
func (p *LogicalPort) Migrate(to *World) Enforced {
	o, from, t := p.o, p.On, p.On.T
	t.Helper()
	p.Request(o.host(from), o.host(to))
	old, moved := p.VM, *p.VM
	to.devices(&moved, "eth1", "")
	to.vms = append(to.vms, &moved)
	to.Attach(Integration, &moved, append([]string{"iface-id=" + p.ID}, p.cfg.ExternalIDs...)...)
	to.Vsctl("wait-until", "interface", moved.Rep, "external_ids:ovn-installed=true")

	ordered := time.Now()
	from.Detach(old)
	from.Run(t, "ip", "link", "del", old.Rep)
	from.vms = slices.DeleteFunc(from.vms, func(vm *VM) bool { return vm == old })
	moved.Feed(t, "link set eth1 name eth0\n"+moved.addresses("eth0")+"link set eth0 up\n", "ip", "-batch", "-")
	to.settle(&moved, p.cfg)
	p.VM, p.On = &moved, to
	p.announce(t)
	p.Request(o.host(to))
	p.WaitInstalled()
	return Enforced{ordered, time.Now()}
}

// announce tells all switches where the machine is, by reverse ARP as QEMU does.
func (vm *VM) announce(t testing.TB) {
	t.Helper()
	mac := strings.ReplaceAll(vm.MAC, ":", "")
	const none = "00000000"
	frame, err := hex.DecodeString("ffffffffffff" + mac + "8035" + "0001080006040003" + mac + none + mac + none)
	if err != nil {
		t.Fatal(err)
	}
	err = vm.inside(func() error {
		link, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: link.Index})
	})
	if err != nil {
		t.Fatalf("%s announces itself: %v", vm.Name, err)
	}
}
