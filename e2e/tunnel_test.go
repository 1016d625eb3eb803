package e2e

import (
	"testing"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// tunnelMTU is that of machines whose packets fit into a tunnel of an underlay of 1500.
const tunnelMTU = 1400

// geneve are a machine of each node in one network whose packets travel in Geneve.
type geneve struct {
	*harness.Cluster
	ovn  *harness.OVN
	net  *harness.Network
	a, b *harness.LogicalPort
}

func newOverlay(t *testing.T, v6 bool) *geneve {
	t.Helper()
	c := harness.NewCluster(t)
	// Wide, as a cloud's is: what comes from a physical network of 1500 fits into a tunnel.
	narrow := c.MTU
	c.MTU = 1600
	c.Endpoints(v6, c.Nodes()...)
	c.MTU = narrow
	x := &geneve{Cluster: c, ovn: c.A.OVN()}
	x.ovn.Join(c.B, "compute-2")
	open := openGroup(x.ovn)
	x.net = x.ovn.AddNetwork(1)
	x.a = x.net.AddVM(c.A, "vm1", harness.VMConfig{MTU: tunnelMTU, Routed: true}, open)
	x.b = x.net.AddVM(c.B, "vm2", harness.VMConfig{MTU: tunnelMTU, Routed: true}, open)
	return x
}

// Machines of two nodes in one network of OVN's.
func TestGeneve(t *testing.T) {
	if !harness.Modelled() {
		slowly(t)
	}
	newOverlay(t, false).journey(t, false, 50000).bypasses()
}

func TestGeneveIPv6(t *testing.T) {
	slowly(t)
	for name, tt := range map[string]struct{ outside, inside bool }{
		"inside": {false, true}, "outside": {true, false}, "both": {true, true},
	} {
		t.Run(name, func(t *testing.T) { newOverlay(t, tt.outside).journey(t, tt.inside, 50000).bypasses() })
	}
}

// Machines of two nodes in one network of Neutron's Open vSwitch agent.
func TestVXLAN(t *testing.T) {
	slowly(t)
	c := harness.NewCluster(t)
	c.Endpoints(false, c.Nodes()...)
	net := harness.ML2Network{Subnet: 3, Segment: 291}
	nodes := []*harness.ML2{c.A.ML2("", 1, []*harness.World{c.B}, net), c.B.ML2("", 5, []*harness.World{c.A}, net)}
	a := nodes[0].AddVM("vm1", net, harness.VMConfig{MTU: tunnelMTU})
	b := nodes[1].AddVM("vm2", net, harness.VMConfig{MTU: tunnelMTU})
	a.Ping(t, b.IP4)
	at := b.Listen(t, "tcp", transferPort, false)
	legs := []*leg{legOf(c.A, a.Rep, harness.VXLAN, "--trust-ovs"), legOf(c.B, harness.VXLAN, b.Rep, "--trust-ovs")}
	j := setOut(t, direct(a, b, at, false), 50000, legs...)
	j.offloaded()
	j.bypasses()
}
