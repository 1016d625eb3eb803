package harness

import (
	"fmt"
	"net/netip"
)

// Router is a logical router, with an interface in each of its networks: their Gateway.
type Router struct {
	Name string

	o        *OVN
	external *Network
}

// AddRouter adds a router between networks.
func (o *OVN) AddRouter(networks ...*Network) *Router {
	o.w.T.Helper()
	r := &Router{Name: "neutron-" + o.uuid(), o: o}
	o.Nbctl("lr-add", r.Name, "--", "set", "logical_router", r.Name, "enabled=true", "options:always_learn_from_arp_request=false", "options:dynamic_neigh_routers=true")
	for _, n := range networks {
		r.attach(n)
	}
	o.Sync()
	return r
}

// attach returns the name of the router's new interface.
func (r *Router) attach(n *Network, options ...string) (port string) {
	o := r.o
	o.w.T.Helper()
	id := o.uuid()
	port = "lrp-" + id
	gw4, gw6 := Gateway(n.Subnet)
	args := []string{"lrp-add", r.Name, port, fmt.Sprintf("fa:16:3e:01:%02x:fe", n.Subnet), gw4.String() + "/24", gw6.String() + "/64",
		"--", "--id=@p", "create", "logical_switch_port", "name=" + id, "type=router", "addresses=router", "enabled=true", "options:router-port=" + port}
	o.Nbctl(append(append(args, options...), "--", "add", "logical_switch", n.Name, "ports", "@p")...)
	return port
}

// SetGateway attaches the router to a provider network: what leaves by it does so at
// a node, but for those with a floating IP of their own node's.
func (r *Router) SetGateway(n *Network, at *World) {
	r.o.w.T.Helper()
	port := r.attach(n, "options:nat-addresses=router", "options:exclude-lb-vips-from-garp=true")
	r.external = n
	r.o.Nbctl("lrp-set-gateway-chassis", port, r.o.chassis(at), "1")
	r.o.Sync()
}

// SNAT lets machines of a network talk to the outside, by the router's own address, which it
// returns.
func (r *Router) SNAT(n *Network) netip.Addr {
	r.o.w.T.Helper()
	address, _ := Gateway(r.external.Subnet)
	r.o.Change("lr-nat-add", r.Name, "snat", address.String(), fmt.Sprintf("10.0.%d.0/24", n.Subnet))
	return address
}

// FloatingIP gives a port an address outside: distributed, at the node where its machine
// is; else at the router's gateway.
func (r *Router) FloatingIP(p *LogicalPort, distributed bool) netip.Addr {
	r.o.w.T.Helper()
	address := netip.AddrFrom4([4]byte{10, 0, r.external.Subnet, floatingNumber(p)})
	args := []string{"lr-nat-add", r.Name, "dnat_and_snat", address.String(), p.IP4.String()}
	if distributed {
		args = append(args, p.ID, r.FloatingMAC(p))
	}
	r.o.Change(args...)
	return address
}

// FloatingMAC is who answers for a port's floating IP that is distributed.
func (r *Router) FloatingMAC(p *LogicalPort) string {
	return fmt.Sprintf("fa:16:3e:02:%02x:%02x", r.external.Subnet, floatingNumber(p))
}

// floatingNumber is the last byte of a port's floating IP.
func floatingNumber(p *LogicalPort) byte { return p.IP4.As4()[3] + 100 }
