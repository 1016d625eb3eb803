package harness

import (
	"fmt"
	"net/http"
)

// AddVM adds a machine to the node of an OVN and a port for it to one of the server's
// networks, in security groups, and waits until it may talk.
func (s *NeutronServer) AddVM(o *OVN, network, name string, groups ...string) *LogicalPort {
	s.t.Helper()
	vm := o.w.AddVM(Integration, name, VMConfig{})
	port := s.Port(NeutronPort{
		Network: network, Groups: groups, Host: Host, Owner: "compute:nova",
		MAC: vm.MAC, FixedIPs: []NeutronFixedIP{{IP: vm.IP4.String()}},
	})
	if port.VIFType != "ovs" {
		s.t.Fatalf("the port of %s is not bound to %s: %+v", name, Host, port)
	}
	o.w.Vsctl("set", "interface", vm.Rep, "external_ids:iface-id="+port.ID, "external_ids:iface-status=active")
	p := &LogicalPort{VM: vm, On: o.w, ID: port.ID, o: o}
	p.WaitInstalled()
	s.waitActive(p)
	return p
}

// waitActive waits until the server knows that a port is up, and has written that.
func (s *NeutronServer) waitActive(p *LogicalPort) {
	s.t.Helper()
	Within(s.t, neutronLimit, p.Name+" is active", func() error {
		var port NeutronPort
		s.must(http.MethodGet, "ports/"+p.ID, nil, &port)
		if port.Status != "ACTIVE" {
			return fmt.Errorf("it is %s", port.Status)
		}
		return nil
	})
	p.o.Sync()
}
