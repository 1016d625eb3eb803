package e2e

import (
	"fmt"
	"testing"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// uplink is the node's way to the physical network, in all stories that have one.
const uplink = "up0"

// A machine in a VLAN of the physical network, and a host there.
func TestVLAN(t *testing.T) {
	slowly(t)
	u := harness.NewUnderlay(t)
	w := harness.New(t)
	o := w.OVN()
	u.Uplink(w, uplink)
	o.Provide(w, uplink)
	net := o.AddProvider(4, 100)
	vm := net.AddVM(w, "vm1", harness.VMConfig{}, openGroup(o))
	host := u.AddHost("host", 4, 50, harness.Tag{Proto: "802.1Q", ID: 100})
	at := host.Listen(t, "tcp", transferPort, false)
	l := legOf(w, vm.Rep, uplink)
	for i, v6 := range []bool{false, true} {
		vm.Ping(t, host.Addr(v6))
		j := setOut(t, direct(vm.VM, host, at, v6), uint16(50000+i), l.next())
		j.offloaded()
		j.bypasses()
	}
}

// outside is an overlay with a way out: each node has an uplink to a physical network,
// where a host is, and the router's gateway is at the first node.
type outside struct {
	*geneve
	router *harness.Router
	host   *harness.VM
}

func newOutside(t *testing.T) *outside {
	t.Helper()
	x := &outside{geneve: newOverlay(t, false)}
	for _, w := range x.Nodes() {
		x.Uplink(w, uplink)
		x.ovn.Provide(w, uplink)
	}
	public := x.ovn.AddProvider(5, 0)
	x.router = x.ovn.AddRouter(x.net)
	x.router.SetGateway(public, x.A)
	x.host = x.AddHost("host", 5, 50)
	return x
}

// A host outside calls a machine by its floating IP, which its own node translates.
func TestFloatingIP(t *testing.T) {
	slowly(t)
	x := newOutside(t)
	address := x.router.FloatingIP(x.b, true)
	x.host.Ping(t, address)
	at := x.b.Listen(t, "tcp", transferPort, false)
	l := legOf(x.B, uplink, x.b.Rep)
	j := setOut(t, reach{x.host, address, at, x.host.IP4}, 50000, l)
	j.offloaded()
	j.bypasses()
}

// A machine calls a host outside by the router's address, from the gateway's node and
// from another one.
func TestSNAT(t *testing.T) {
	x := newOutside(t)
	address := x.router.SNAT(x.net)
	for _, vm := range []*harness.LogicalPort{x.a, x.b} {
		vm.Ping(t, x.host.IP4)
	}
	at := x.host.Listen(t, "tcp", transferPort, false)
	a, b := startAgent(x.A, modest...), startAgent(x.B, modest...)
	seen := func(vm *harness.LogicalPort) reach { return reach{vm.VM, x.host.IP4, at, address} }
	near := setOut(t, seen(x.a), 50000, &leg{w: x.A, agent: a, ports: [2]string{x.a.Rep, uplink}})
	near.offloaded()
	near.bypasses()
	far := setOut(t, seen(x.b), 50001, &leg{w: x.B, agent: b, ports: [2]string{x.b.Rep, harness.Geneve}}, &leg{w: x.A, agent: a, ports: [2]string{harness.Geneve, uplink}})
	far.offloaded()
	far.bypasses()
}

// A machine behind a bond of uplinks, and a host outside. Where one member carries all,
// that is known, and the connection lives on when it fails, in hardware again by the other one. Where a hash
// decides, nobody can tell by which member a packet will go. A bond of the kernel's is one device, and lives on by itself.
func TestBond(t *testing.T) {
	slowly(t)
	for mode, reason := range map[string]string{
		"active-backup": "", "balance-slb": "path-unsupported/bond", "balance-tcp": "path-unsupported/bond", "linux": "",
	} {
		t.Run(mode, func(t *testing.T) {
			u := harness.NewUnderlay(t)
			w := harness.New(t)
			w.Bridge("br0")
			vm := w.AddVM("br0", "vm1", harness.VMConfig{})
			links := []*harness.Uplink{u.Uplink(w, "up0"), u.Uplink(w, "up1")}
			port := "up0"
			switch mode {
			case "linux":
				port = "bond1"
				u.LACP(links...)
				w.LinuxBond("br0", port, links)
			case "balance-tcp":
				u.LACP(links...)
				w.Bond("br0", "bond0", links, "bond_mode="+mode, "lacp=active", "other_config:lacp-time=fast")
			default:
				w.Bond("br0", "bond0", links, "bond_mode="+mode)
			}
			w.Switch("br0", harness.Pipeline{Zone: harness.PairZone})
			host := u.AddHost("host", 0, 50)
			vm.Ping(t, host.IP4)
			at := host.Listen(t, "tcp", transferPort, false)
			l := legOf(w, vm.Rep, port)
			j := setOut(t, direct(vm, host, at, false), 50000, l)
			switch {
			case reason != "":
				j.refused(reason)
				j.arrives()
			case mode == "linux":
				j.offloaded()
				links[0].SetCarrier(t, false)
				j.bypasses()
			default:
				failsOver(w, j, links)
			}
		})
	}
}

// failsOver takes the carrier of the member that carries an offloaded connection.
func failsOver(w *harness.World, j *journey, links []*harness.Uplink) {
	t := j.t
	t.Helper()
	l := j.legs[0]
	c := offloaded(w, l.tuple)
	active := w.ActiveMember("bond0", links)
	if c.In != active.Dev && c.Out != active.Dev {
		t.Fatalf("%+v is not by %s", c, active.Dev)
	}
	active.SetCarrier(t, false)
	harness.Within(t, patience, "no rule by the member that is down", func() error {
		for _, now := range connections(w) {
			if now.Tuple == l.tuple && now.State == "offloaded" && (now.In == active.Dev || now.Out == active.Dev) {
				return fmt.Errorf("%+v", now)
			}
		}
		return nil
	})
	j.offloaded()
	j.bypasses()
}

// A machine that tags its packets, at a port that adds another tag.
func TestQinQ(t *testing.T) {
	u := harness.NewUnderlay(t)
	w := harness.New(t)
	w.VLANLimit(2)
	w.Bridge("br0")
	vm := w.AddVM("br0", "vm1", harness.VMConfig{})
	inner := vm.Tagged(t, 30, u.MTU)
	u.MTU += 4 // what OVS lets out: the first tag needs no room, the second does
	w.Vsctl("add-port", "br0", u.Uplink(w, uplink).Dev)
	u.MTU -= 4
	w.Vsctl("set", "port", vm.Rep, "vlan_mode=dot1q-tunnel", "tag=300", "other_config:qinq-ethtype=802.1ad")
	host := u.AddHost("host", 0, 50, harness.Tag{Proto: "802.1ad", ID: 300}, harness.Tag{Proto: "802.1Q", ID: 30})
	w.Switch("br0", harness.Pipeline{Zone: harness.PairZone})
	inner.Ping(t, host.IP4)
	at := host.Listen(t, "tcp", transferPort, false)
	l := legOf(w, vm.Rep, uplink)
	j := setOut(t, direct(inner, host, at, false), 50000, l)
	j.offloaded()
	j.bypasses()
}

// Large packets pass where they fit, and nobody drops silently those that do not: where a
// machine could send what is too long for the way out, the slow path judges each packet.
func TestMTU(t *testing.T) {
	for _, underlay := range []int{9000, 1500} {
		t.Run(fmt.Sprint("9000 to ", underlay), func(t *testing.T) {
			u := harness.NewUnderlay(t)
			u.MTU = underlay
			w := harness.New(t)
			w.Bridge("br0")
			vm := w.AddVM("br0", "vm1", harness.VMConfig{MTU: 9000, NoOffload: true})
			w.Vsctl("add-port", "br0", u.Uplink(w, uplink).Dev)
			w.Switch("br0", harness.Pipeline{Zone: harness.PairZone})
			host := u.AddHost("host", 0, 50)
			vm.Ping(t, host.IP4)
			at := host.Listen(t, "tcp", transferPort, false)
			l := legOf(w, vm.Rep, uplink)
			j := setOut(t, direct(vm, host, at, false), 50000, l)
			if underlay < 9000 {
				j.refused("path-unsupported/mtu")
				j.arrives()
				return
			}
			j.offloaded()
			j.bypasses()
		})
	}
}
