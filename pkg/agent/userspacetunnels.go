package agent

import (
	"fmt"
	"maps"
	"net/netip"
	"strconv"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb"
	ofswitch "github.com/flowshunt/flowshunt/pkg/eswitch/openflow"
	"github.com/flowshunt/flowshunt/pkg/link"
	"github.com/flowshunt/flowshunt/pkg/path"
	"github.com/flowshunt/flowshunt/pkg/tap"
)

// tunnelPorts are the UDP ports of tunnels whose packets taps can look into, and the
// names that OVS's datapaths have for what stands for all tunnels of a port.
var tunnelPorts = map[string]struct {
	udp    uint16
	device string
}{
	"vxlan":  {tap.VXLANPort, "vxlan_sys_4789"},
	"geneve": {tap.GenevePort, "genev_sys_6081"},
}

// userspaceTunnels puts in place of the tunnels of bridges on the userspace datapath,
// which have no network device, a port of that datapath, as if it were one. It returns why
// those cannot be used of which there are several to one port of the datapath: nobody
// tells in which of them packets go.
func userspaceTunnels(rows []ovsdb.Port, links map[int32]link.State) (map[int32]link.State, map[flows.PortID]string) {
	first := make(map[string]int)
	refused := make(map[flows.PortID]string)
	for i := range rows {
		p := &rows[i]
		if !path.IsTunnel(p.Type) || p.DatapathType != userspace || p.OFPort == 0 {
			continue
		}
		kind := tunnelPorts[p.Type]
		if p.Tunnel.Port != "" && p.Tunnel.Port != fmt.Sprint(kind.udp) {
			refused[p.ID] = fmt.Sprintf("%s has the UDP port %s, of which nobody tells what is inside", p.Name, p.Tunnel.Port)
			continue
		}
		if other, shared := first[kind.device]; shared {
			detail := fmt.Sprintf("several tunnels are one port of the userspace datapath, %s", kind.device)
			refused[rows[other].ID], refused[p.ID] = detail, detail
			continue
		}
		first[kind.device] = i
	}
	if len(first) == 0 {
		return links, refused
	}
	all := maps.Clone(links)
	for device, i := range first {
		p := &rows[i]
		if refused[p.ID] != "" {
			continue
		}
		p.Name, p.Ifindex = device, ofswitch.TunnelLink(p.Bridge, p.OFPort)
		all[p.Ifindex] = link.State{Name: device, Admin: p.AdminUp, Carrier: p.LinkUp}
	}
	return all, refused
}

// underlayBridges returns the bridges by whose own port tunnels of the userspace datapath
// leave the host: what enters their other ports may be in one. Where OVS does not say, as
// of a tunnel to wherever its flows tell, it may be any but that of the tunnel itself.
func underlayBridges(rows []ovsdb.Port) map[string]bool {
	bridges := make(map[string]bool)
	for i := range rows {
		p := &rows[i]
		if !path.IsTunnel(p.Type) || p.DatapathType != userspace {
			continue
		}
		if p.Tunnel.Egress != "" {
			bridges[p.Tunnel.Egress] = true
			continue
		}
		for j := range rows {
			if other := &rows[j]; other.DatapathType == userspace && other.Bridge != p.Bridge {
				bridges[other.Bridge] = true
			}
		}
	}
	return bridges
}

// tunnelPort is a tunnel of the userspace datapath, with what its configuration demands of
// the packets that come in.
type tunnelPort struct {
	id            flows.PortID
	remote, local netip.Addr // invalid: any
	key           uint64     // anyKey: any
}

const anyKey = 1 << 63

// portTunnels are the tunnels of the userspace datapath, by UDP port.
type portTunnels map[uint16]tunnelPort

func tunnelsOf(list []portStatus) portTunnels {
	tunnels := make(portTunnels)
	for _, p := range list {
		if !p.IsTunnel() || p.Datapath != userspace || p.Ifindex <= 0 {
			continue
		}
		t := tunnelPort{id: p.ID, key: anyKey}
		t.remote, _ = netip.ParseAddr(p.tunnel.Remote) // "flow" is any
		t.local, _ = netip.ParseAddr(p.tunnel.Local)
		switch key, err := strconv.ParseUint(p.tunnel.Key, 0, 24); {
		case p.tunnel.Key == "":
			t.key = 0
		case err == nil:
			t.key = key
		}
		tunnels[tunnelPorts[p.Type].udp] = t
	}
	return tunnels
}

// arrival gives a packet that a tap saw inside of a tunnel, which was to the host, to the
// port of that tunnel; ok is false where there is none that takes it. The port that saw it
// answers for how many there are.
func (t portTunnels) arrival(s *tap.Sighting) (ok bool) {
	tunnel := s.Tunnel.Value()
	port, ok := t[tunnel.Port]
	if !ok || port.remote.IsValid() && port.remote != tunnel.Src || port.local.IsValid() && port.local != tunnel.Dst ||
		port.key != anyKey && port.key != uint64(tunnel.ID) {
		return false
	}
	tunnel.Port = 0 // that of the tunnel's port
	s.Port, s.Seen, s.Tunnel = port.id, s.Port, flows.RefTo(tunnel)
	return true
}
