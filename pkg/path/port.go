package path

import (
	"maps"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// Port is what a resolver must know of one OVS port, flattened from its rows in
// Bridge, Port and Interface and from the state of its network device. It is
// comparable: a port that differs is worth a look at its sessions.
type Port struct {
	ID       flows.PortID
	Name     string
	Bridge   string
	Datapath string // of the bridge; "" is "system", the kernel's
	Type     string // of the Interface; "" is "system", a network device
	Ofport   uint32 // OpenFlow port number; 0 while OVS has not given one
	Ifindex  int32  // 0 when there is no network device

	AttachedMAC flows.MAC // external_ids:attached-mac; zero when it is not set
	Tag         uint16    // access VLAN; 0 is none

	Bond     string // the OVS port that it is one of several interfaces of; empty: none
	BondMode string // of that
	MTU      int    // of its device; 0: not known, or that of a tunnel, which says nothing
	Up       bool   // administratively up and with carrier
	Optout   bool   // external_ids:flowshunt=off
	Closed   bool   // at the end of a wire through which nothing passes, since its inspector is away
	Chosen   bool   // external_ids:flowshunt=on: as if Selection had it
	QoS      bool   // policing or QoS
	Mirrored bool   // a mirror selects it, or sFlow, NetFlow or IPFIX is on
	NotInHW  bool   // hardware is required, and none would execute its rules
	// AsFlows says that its rules are flows of its bridge, among those that OVS is asked about.
	AsFlows bool
	Owner   string // who removes flows from its bridge that he did not make, where rules would be such
}

// joined reports whether both are the same, or belong to one bond.
func (p *Port) joined(other *Port) bool {
	return p == other || p.ID == other.ID || p.Bond != "" && p.Bond == other.Bond && p.Bridge == other.Bridge
}

// IsTunnel reports whether packets that come in, or go out, are in a tunnel there. Such
// a port stands for the one device of all tunnels of its type and UDP port.
func (p *Port) IsTunnel() bool { return IsTunnel(p.Type) }

// IsTunnel reports whether interfaces of a type are tunnels that rules can enter and leave.
func IsTunnel(typ string) bool { return typ == "vxlan" || typ == "geneve" }

// Ports is an immutable set of ports.
type Ports struct {
	byID   map[flows.PortID]*Port
	byName map[string]*Port
	owners map[stationKey][]*Port
	joined map[string]bool // bridges with patch ports: packets go from one to another
}

// stationKey names a station in one layer 2 network of a bridge.
type stationKey struct {
	bridge string
	vlan   uint16
	mac    flows.MAC
}

// NewPorts returns the set of ports, which it copies.
func NewPorts(ports []Port) *Ports {
	s := &Ports{
		byID:   make(map[flows.PortID]*Port, len(ports)),
		byName: make(map[string]*Port, len(ports)),
		owners: make(map[stationKey][]*Port),
		joined: make(map[string]bool),
	}
	for _, p := range slices.Clone(ports) {
		s.byID[p.ID] = &p
		s.byName[p.Name] = &p
		if p.Type == "patch" {
			s.joined[p.Bridge] = true
		}
		if !p.AttachedMAC.IsZero() {
			key := stationKey{p.Bridge, p.Tag, p.AttachedMAC}
			s.owners[key] = append(s.owners[key], &p)
		}
	}
	return s
}

// Get returns the port with an id.
func (s *Ports) Get(id flows.PortID) (Port, bool) {
	p := s.byID[id]
	if p == nil {
		return Port{}, false
	}
	return *p, true
}

// name returns the name of a port, for messages.
func (s *Ports) name(id flows.PortID) string {
	if p := s.byID[id]; p != nil {
		return p.Name
	}
	return "a port that is not known"
}

// All returns the ports in the order of their ids.
func (s *Ports) All() []Port {
	all := make([]Port, 0, len(s.byID))
	for _, id := range slices.Sorted(maps.Keys(s.byID)) {
		all = append(all, *s.byID[id])
	}
	return all
}

// owner returns a port other than p that mac belongs to by attached-mac, in the
// network that packets with this VLAN are in at p.
func (s *Ports) owner(p *Port, vlan uint16, mac flows.MAC) *Port {
	for _, o := range s.owners[stationKey{p.Bridge, vlan, mac}] {
		if o.ID != p.ID {
			return o
		}
	}
	return nil
}
