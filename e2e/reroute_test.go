package e2e

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// oldWay is one by which packets of a journey go, and later must not.
type oldWay struct {
	name string
	last func() time.Time // when one was last seen there
}

// inTunnel is a way into, or out of, a tunnel with that end.
func inTunnel(t testing.TB, c *harness.Capture, name string, end netip.Addr, from bool, src, dst uint16) oldWay {
	return oldWay{name, func() time.Time { return c.LastTunnelled(t, end, from, src, dst) }}
}

// leaves makes a change that takes packets off ways that they go, and fails if one goes
// there later than driftWithin after the change stands. It returns when that was.
func (j *journey) leaves(change func() harness.Enforced, ways ...oldWay) harness.Enforced {
	t := j.t
	t.Helper()
	for _, w := range ways {
		harness.Within(t, patience, "packets "+w.name+", else this would show nothing", func() error {
			if since := time.Since(w.last()); since > driftWithin/2 {
				return fmt.Errorf("the last was %v ago", since)
			}
			return nil
		})
	}
	e := change()
	harness.Throughout(t, 2*driftWithin, "nothing goes the old way", func() error {
		for _, w := range ways {
			if late := w.last().Sub(e.Stands); late > driftWithin {
				return fmt.Errorf("a packet %s %v after the change", w.name, late)
			}
		}
		return nil
	})
	for _, w := range ways {
		t.Logf("last packet %s %v after the change was ordered, which stood after %v", w.name,
			w.last().Sub(e.Ordered).Round(time.Millisecond), e.Stands.Sub(e.Ordered).Round(time.Millisecond))
	}
	return e
}

// goesOn waits until more has arrived than was there.
func (j *journey) goesOn(since harness.Enforced) {
	j.t.Helper()
	before := j.server.Report(j.conn).Received
	harness.Within(j.t, patience, "data goes on", func() error {
		if now := j.server.Report(j.conn).Received; now < before+brisk/2 {
			return fmt.Errorf("%d bytes, before %d", now, before)
		}
		return nil
	})
	j.t.Logf("went on within %v", time.Since(since.Stands).Round(time.Millisecond))
}

// againWithin bounds how long after a change each node has the connection in hardware again.
const againWithin = 10 * time.Second

// returns waits until each node has the connection in hardware again, and returns how long
// after the change the last one had it there.
func (j *journey) returns(since harness.Enforced) time.Duration {
	t := j.t
	t.Helper()
	j.goesOn(since)
	j.offloaded()
	var back time.Duration
	for i, l := range j.legs {
		for _, line := range l.agent.Log() {
			if line.Time.Before(since.Ordered) || !slices.Contains([]string{"remove", "no path", "installed"}, line.Msg) {
				continue
			}
			if line.Msg == "installed" {
				back = max(back, line.Time.Sub(since.Stands))
			}
			t.Logf("node %d, %v: %s %s%s %s", i, line.Time.Sub(since.Ordered).Round(time.Millisecond), line.Msg, line.Attrs["cause"], line.Attrs["reason"], line.Attrs["detail"])
		}
	}
	t.Logf("in hardware again %v after the change stood", back.Round(time.Millisecond))
	if back > againWithin {
		t.Errorf("in hardware again %v after the change", back)
	}
	return back
}

// moves is how often what can be moved to and fro is moved.
const moves = 5

// rests leaves a connection in hardware for as long as shows that the next change has nothing
// to do with the last one: what moves to and fro is made to wait.
func (j *journey) rests() {
	j.t.Helper()
	harness.Throughout(j.t, 11*time.Second, "the connection stays in hardware", func() error {
		for _, l := range j.legs {
			for _, c := range connections(l.w) {
				if c.Tuple == l.tuple && c.State != "offloaded" {
					return fmt.Errorf("%+v", c)
				}
			}
		}
		return nil
	})
}

func tellMedian(t *testing.T, back []time.Duration) {
	t.Helper()
	slices.Sort(back)
	t.Logf("in hardware again: p50 %v, most %v, of %d", back[len(back)/2].Round(time.Millisecond), back[len(back)-1].Round(time.Millisecond), len(back))
}

// ordered makes a change whose command does not wait for anybody.
func ordered(change func()) func() harness.Enforced {
	return func() harness.Enforced {
		began := time.Now()
		change()
		return harness.Enforced{Ordered: began, Stands: time.Now()}
	}
}

// journey is an elephant from the first node's machine to the other's, in hardware on both nodes.
func (x *geneve) journey(t *testing.T, v6 bool, sport uint16) *journey {
	t.Helper()
	x.a.Ping(t, x.b.Addr(v6))
	at := x.b.Listen(t, "tcp", transferPort, false)
	legs := []*leg{legOf(x.A, x.a.Rep, harness.Geneve), legOf(x.B, harness.Geneve, x.b.Rep)}
	j := setOut(t, direct(x.a.VM, x.b.VM, at, v6), sport, legs...)
	j.offloaded()
	return j
}

// The other node's tunnels end elsewhere from one moment to the next.
func TestTunnelEndpointMoves(t *testing.T) {
	slowly(t)
	x := newOverlay(t, false)
	j := x.journey(t, false, 50000)
	c := x.A.Tunnel.Capture(t)
	here, there := x.B.Endpoint, netip.MustParseAddr("192.0.2.12")
	var back []time.Duration
	for range moves {
		e := j.leaves(func() harness.Enforced { return x.ovn.MoveEndpoint(x.B, there) },
			inTunnel(t, c, "to the old address", here, false, j.sport, transferPort),
			inTunnel(t, c, "from the old address", here, true, transferPort, j.sport))
		back = append(back, j.returns(e))
		j.rests()
		here, there = there, here
	}
	tellMedian(t, back)
	j.bypasses()
}

// The kernel's route to the other node changes.
func TestRouteChanges(t *testing.T) {
	slowly(t)
	x := newOverlay(t, false)
	j := x.journey(t, false, 50000)
	there := x.A.Tunnel.Capture(t)
	route := func(args ...string) func() harness.Enforced {
		args = append([]string{"ip", "route", "replace", x.B.Endpoint.String() + "/32"}, args...)
		return ordered(func() { x.A.Run(t, args...) })
	}
	source := x.A.Endpoint.String()

	second := x.Uplink(x.A, "tun1")
	elsewhere := second.Capture(t)
	by := func(c *harness.Capture, name string) oldWay {
		return inTunnel(t, c, name, x.B.Endpoint, false, j.sport, transferPort)
	}
	e := j.leaves(route("dev", "tun1", "src", source), by(there, "by the first link"))
	j.returns(e)
	e = j.leaves(route("dev", "tun0", "src", source), by(elsewhere, "by the second link"))
	j.returns(e)

	// The other node takes nothing from an address that it does not know, from OVS as from
	// us; that it comes from there at once is what is to be shown.
	const other = "192.0.2.21"
	x.A.Run(t, "ip", "addr", "add", other+"/24", "dev", "tun0")
	j.leaves(route("dev", "tun0", "src", other), inTunnel(t, there, "from the old address", x.A.Endpoint, true, j.sport, transferPort))
	if there.LastTunnelled(t, netip.MustParseAddr(other), true, j.sport, transferPort).IsZero() {
		t.Error("no packet from the new address")
	}
	j.returns(route("dev", "tun0", "src", source)())
	j.bypasses()
}

// A machine migrates to the node of the one that talks to it, with its connection: from
// then on there is no tunnel.
func TestMigration(t *testing.T) {
	slowly(t)
	x := newOverlay(t, false)
	j := x.journey(t, false, 50000)
	c := x.A.Tunnel.Capture(t)
	old := x.B.Endpoint
	e := j.leaves(func() harness.Enforced { return x.b.Migrate(x.A) },
		inTunnel(t, c, "to the node that it has left", old, false, j.sport, transferPort))
	near := j.legs[0]
	j.legs = []*leg{{w: x.A, agent: near.agent, ports: [2]string{x.a.Rep, x.b.Rep}, tuple: near.tuple}}
	j.returns(e)
	j.bypasses()
	if late := c.LastTunnelled(t, old, false, j.sport, transferPort).Sub(e.Stands); late > driftWithin {
		t.Errorf("a packet into the tunnel %v after the change", late)
	}
}

// A host outside, which a machine knows by a floating IP, turns up at another port of the
// bridge that leads there.
func TestRoutedFDBMoves(t *testing.T) {
	slowly(t)
	u := harness.NewUnderlay(t)
	w := harness.New(t)
	o := w.OVN()
	u.Uplink(w, uplink)
	o.Provide(w, uplink)
	public, net := o.AddProvider(5, 0), o.AddNetwork(1)
	router := o.AddRouter(net)
	router.SetGateway(public, w)
	vm := net.AddVM(w, "vm1", harness.VMConfig{Routed: true}, openGroup(o))
	host := u.AddHost("host", 5, 50)
	address := router.FloatingIP(vm, true)
	second := w.SecondPort(harness.External, host)
	w.Vsctl("remove", "interface", second.Rep, "external_ids", "attached-mac") // nobody knows who is there
	host.Run(t, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")           // its solicitations would move the MAC
	host.Ping(t, address)

	at := vm.Listen(t, "tcp", transferPort, false)
	l := legOf(w, uplink, vm.Rep)
	j := setOut(t, reach{host, address, at, host.IP4}, 50000, l)
	j.offloaded()
	first, other := host.Capture(t, "eth0"), host.Capture(t, "eth1")
	back := func(c *harness.Capture, name string) oldWay {
		return oldWay{name, func() time.Time { return c.Of(t, transferPort, j.sport).Last }}
	}
	ways := [2]oldWay{back(first, "back to the first port"), back(other, "back to the second port")}
	translated := &harness.VM{IP4: address, MAC: router.FloatingMAC(vm)}
	var returned []time.Duration
	for i := range moves {
		e := j.leaves(ordered(func() {
			if i%2 == 0 { // who has left a port says nothing there, not even by ARP
				host.SendBy(t, "eth1", translated)
				host.Run(t, "ip", "link", "set", "eth0", "arp", "off")
				return
			}
			host.Run(t, "ip", "link", "set", "eth0", "arp", "on")
			host.SendBy(t, "eth0", translated)
		}), ways[i%2])
		l.ports[0] = [2]string{second.Rep, uplink}[i%2]
		returned = append(returned, j.returns(e))
		j.rests()
	}
	tellMedian(t, returned)
	j.bypasses()
}
