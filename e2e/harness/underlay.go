package harness

import (
	"fmt"
	"net/netip"
	"testing"
)

// Underlay is the physical network: one switch, in a namespace of its own, to which
// nodes and hosts outside are cabled. It passes any tags. Make it before the worlds that
// use it: it is removed after them.
type Underlay struct {
	*Namespace
	MTU int // of every device cabled to it from now on

	t      testing.TB
	cables int
}

// NewUnderlay makes an underlay, or skips the test where the machine cannot have one.
func NewUnderlay(t testing.TB) *Underlay {
	t.Helper()
	Require(t)
	ns, err := addNamespace("underlay")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ns.remove)
	u := &Underlay{Namespace: ns, MTU: 1500, t: t}
	// stations are looked for again at once when a machine has moved
	u.Feed(t, "link add switch type bridge forward_delay 0 mcast_snooping 0\nlink set switch up\n", "ip", "-batch", "-")
	return u
}

// Uplink is a device of a node, or of a host, and the underlay's end of its cable.
type Uplink struct {
	Dev string

	w *World // nil: a host's
	u *Underlay
	// far is the underlay's device.
	far string
}

// Uplink cables a node to the underlay, by a device of that name: an uplink of the
// world's NIC if it has one.
func (u *Underlay) Uplink(w *World, dev string) *Uplink {
	u.t.Helper()
	l := &Uplink{Dev: dev, w: w, u: u, far: u.port()}
	if w.NIC != nil {
		w.NIC.takeUplink(u.t, u.Namespace, dev, l.far)
	} else {
		u.cable(w.Namespace, dev, l.far)
	}
	u.Feed(u.t, fmt.Sprintf("link set %s mtu %d\nlink set %[1]s master switch\nlink set %[1]s up\n", l.far, u.MTU+tagRoom), "ip", "-batch", "-")
	w.Feed(u.t, fmt.Sprintf("link set %s mtu %d\nlink set %[1]s up\n", dev, u.MTU), "ip", "-batch", "-")
	w.rulePorts = append(w.rulePorts, dev)
	w.T.Cleanup(func() { _, _ = w.Try("ip", "link", "del", dev) }) // a NIC's goes with the NIC
	return l
}

// tagRoom is what the underlay carries on top of its MTU: a second tag, since that of
// the first needs no room.
const tagRoom = 4

func (u *Underlay) port() string {
	u.cables++
	return fmt.Sprint("port", u.cables)
}

func (u *Underlay) cable(to *Namespace, dev, far string) {
	u.t.Helper()
	u.Feed(u.t, fmt.Sprintf("link add %s type veth peer name %s netns %s\n", far, dev, to.Name), "ip", "-batch", "-")
}

// SetCarrier takes the link's carrier away, or gives it back.
func (l *Uplink) SetCarrier(t testing.TB, up bool) {
	t.Helper()
	l.u.Run(t, "ip", "link", "set", l.far, map[bool]string{true: "up", false: "down"}[up])
}

// Capture starts to capture what passes the uplink, both ways, until the test ends. Of
// packets in a tunnel it tells by what is inside.
func (l *Uplink) Capture(t testing.TB) *Capture {
	t.Helper()
	return l.u.capture(t, l.far, true)
}

// LACP makes the underlay take links for one, by 802.3ad.
func (u *Underlay) LACP(links ...*Uplink) {
	u.t.Helper()
	u.cables++
	bond := fmt.Sprint("lag", u.cables)
	batch := fmt.Sprintf("link add %s type bond mode 802.3ad miimon 100 lacp_rate fast\n", bond)
	for _, l := range links {
		batch += fmt.Sprintf("link set %s down\nlink set %[1]s nomaster\nlink set %[1]s master %s\n", l.far, bond)
	}
	batch += fmt.Sprintf("link set %s mtu %d\nlink set %[1]s master switch\nlink set %[1]s up\n", bond, u.MTU+tagRoom)
	for _, l := range links {
		batch += fmt.Sprintf("link set %s up\n", l.far)
	}
	u.Feed(u.t, batch, "ip", "-batch", "-")
}

// Tag is a VLAN tag.
type Tag struct {
	Proto string // as ip-link has it: 802.1Q, or 802.1ad
	ID    uint16
}

// AddHost adds a host outside: a machine cabled to the underlay, behind these tags,
// the outer one first. Its addresses are those of a virtual machine of that subnet and number.
func (u *Underlay) AddHost(name string, subnet, number byte, tags ...Tag) *VM {
	t := u.t
	t.Helper()
	ns, err := addNamespace(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ns.remove)
	h := newVM(ns, name, subnet, number)
	h.Rep = u.port()
	u.cable(ns, "eth0", h.Rep)
	u.Feed(t, fmt.Sprintf("link set %s mtu %d\nlink set %[1]s master switch\nlink set %[1]s up\n", h.Rep, u.MTU+tagRoom), "ip", "-batch", "-")
	batch, dev := fmt.Sprintf("link set eth0 address %s mtu %d\nlink set eth0 up\n", h.MAC, u.MTU+tagRoom), "eth0"
	for i, tag := range tags {
		outer := dev
		dev = fmt.Sprint("tag", i)
		batch += fmt.Sprintf("link add link %s name %s type vlan proto %s id %d\nlink set %[2]s up\n", outer, dev, tag.Proto, tag.ID)
	}
	batch += fmt.Sprintf("link set %s mtu %d\n", dev, u.MTU)
	h.Feed(t, batch+h.addresses(dev), "ip", "-batch", "-")
	for i := range tags {
		h.dropUntagged(t, below(i))
	}
	return h
}

// below is the device of a host below its tag number i.
func below(i int) string {
	if i == 0 {
		return "eth0"
	}
	return fmt.Sprint("tag", i-1)
}

// dropUntagged keeps a host from taking at a device what lacks the tag of the next: Linux
// takes what is for any address of its own, wherever that is.
func (vm *VM) dropUntagged(t testing.TB, dev string) {
	t.Helper()
	vm.Run(t, "tc", "qdisc", "add", "dev", dev, "clsact")
	for _, family := range []string{"ip", "ipv6"} {
		vm.Run(t, "tc", "filter", "add", "dev", dev, "ingress", "protocol", family, "flower", "skip_hw", "action", "drop")
	}
}

// Endpoints gives each node an address at which tunnels end, IPv6 if v6, by a device of
// its own on the underlay.
func (u *Underlay) Endpoints(v6 bool, nodes ...*World) {
	u.t.Helper()
	for i, w := range nodes {
		w.Tunnel = u.Uplink(w, "tun0")
		w.Endpoint = netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})
		length := 24
		if v6 {
			w.Endpoint, length = netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: byte(i + 1)}), 64
		}
		w.setEndpoint(length)
	}
}

func (w *World) setEndpoint(length int) {
	w.T.Helper()
	args := []string{"ip", "addr", "add", fmt.Sprintf("%s/%d", w.Endpoint, length), "dev", "tun0"}
	if w.Endpoint.Is6() {
		args = append(args, "nodad")
	}
	w.Run(w.T, args...)
}

// MoveEndpoint gives the node another address at which tunnels end.
func (w *World) MoveEndpoint(to netip.Addr) {
	w.T.Helper()
	w.Run(w.T, "ip", "addr", "flush", "dev", "tun0", "scope", "global")
	w.Endpoint = to
	w.setEndpoint(map[bool]int{true: 64, false: 24}[to.Is6()])
}
