package harness

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// ovnHost is a node as the network service knows it.
type ovnHost struct {
	w          *World
	name       string
	controller string // name of its daemon
}

// Join makes another node a host of the network service, by that name. Both must have
// an Endpoint.
func (o *OVN) Join(w *World, name string) {
	w.T.Helper()
	h := &ovnHost{w, name, controller + "-" + name}
	o.hosts = append(o.hosts, h)
	o.enlist(w, name, "chassis-of-"+name)
	o.startOn(w, h.controller, controller, w.OVSDB())
	o.Sync()
	for _, h := range o.hosts {
		Within(w.T, commandLimit, h.name+" has a tunnel", func() error {
			_, err := h.w.Try("ip", "link", "show", "dev", Geneve)
			return err
		})
		h.w.rulePorts = append(h.w.rulePorts, Geneve)
	}
}

// MoveEndpoint gives a host another address at which its tunnels end, and waits until all
// others send there.
func (o *OVN) MoveEndpoint(w *World, to netip.Addr) Enforced {
	w.T.Helper()
	ordered := time.Now()
	w.MoveEndpoint(to)
	w.Vsctl("set", "open_vswitch", ".", `external_ids:ovn-encap-ip="`+to.String()+`"`)
	for _, h := range o.hosts {
		if h.w == w {
			continue
		}
		Within(w.T, 20*time.Second, h.name+" has heard of the address", func() error {
			// the host tells it to others by the Southbound database, which Sync does not wait for
			if firstLine(h.w.Vsctl("--bare", "--columns=name", "find", "interface", `options:remote_ip="`+to.String()+`"`)) == "" {
				return errors.New("no tunnel leads there")
			}
			return nil
		})
	}
	o.Sync()
	return Enforced{ordered, time.Now()}
}

// Geneve and VXLAN are the devices by which all tunnels of a kind come in and go out.
const (
	Geneve = "genev_sys_6081"
	VXLAN  = "vxlan_sys_4789"
)

func (o *OVN) host(w *World) string {
	w.T.Helper()
	for _, h := range o.hosts {
		if h.w == w {
			return h.name
		}
	}
	w.T.Fatalf("%s is no host of the network service", w.Node.Name)
	return ""
}

// chassis is the name that the Southbound database has for a node.
func (o *OVN) chassis(w *World) string {
	w.T.Helper()
	return firstLine(o.Sbctl("--bare", "--columns=name", "find", "chassis", "hostname="+o.host(w)))
}

// Provide makes a link of the node the way to the physical network, by a bridge that
// does as it likes.
func (o *OVN) Provide(w *World, port string) {
	w.T.Helper()
	w.Bridge(External)
	w.Flows(External, "table=0,priority=0,actions=NORMAL")
	if port != "" {
		w.Vsctl("add-port", External, port)
	}
	w.Vsctl("set", "open_vswitch", ".", fmt.Sprintf("external_ids:ovn-bridge-mappings=%s:%s", physical, External))
}

// External is the bridge that leads to the physical network, and physical the name by
// which the network service knows that.
const (
	External = "br-ex"
	physical = "physnet1"
)
