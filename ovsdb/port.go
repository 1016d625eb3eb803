package ovsdb

import (
	"github.com/flowshunt/flowshunt/flows"
)

// Port is one row of table Interface together with what its Port and its Bridge
// say about it. A bond is several Ports with one PortName.
type Port struct {
	// ID is new when the Interface row, the bridge or its datapath, the type or
	// the ifindex is another one than before. It stays as long as they do, also
	// while the ifindex is not known, and across reconnects and restarts of the
	// database. (The name of an Interface row cannot change.)
	ID flows.PortID

	Name         string // Interface.name, also of the network device
	PortName     string // Port.name; another one than Name for bonds
	Bridge       string // Bridge.name
	DatapathType string // Bridge.datapath_type: "system" (the kernel), "netdev", ...
	Type         string // Interface.type: "system", "internal", "patch", "vxlan", ...

	OFPort  uint32    // OpenFlow port number; 0 = none (yet)
	Ifindex int32     // of the network device; 0 = none (yet), as some time after a restart of the database (Config.Hold)
	MAC     flows.MAC // mac_in_use: of the device on this host, not of the guest
	AdminUp bool      // admin_state is "up"; unknown counts as down
	LinkUp  bool      // link_state is "up"; unknown counts as down
	Error   string    // Interface.error: why OVS could not open it
	Peer    string    // options:peer: of a patch port, the name of the other end
	Tunnel  Tunnel

	AttachedMAC flows.MAC // external_ids:attached-mac: of the guest
	IfaceID     string    // external_ids:iface-id: Neutron's and OVN's name of the port
	VMUUID      string    // external_ids:vm-uuid
	Wish        Wish      // external_ids:flowshunt
	// OVNInstalled says that ovn-controller's flows for the port are in
	// (external_ids:ovn-installed).
	OVNInstalled bool

	// OVNZone is the conntrack zone that ovn-controller gave this port, from
	// Bridge.external_ids:ct-zone-<iface-id>. Zones are reused for other ports.
	OVNZone OptionalZone
	// LocalVLANZone is the zone that Neutron's ML2/OVS firewall would use for
	// this port, its local VLAN (shared by all ports of the network). It is a
	// candidate only: the database does not say which firewall is in use.
	LocalVLANZone OptionalZone

	VLAN VLAN
	// Protected ports exchange no packets with each other.
	Protected bool
	Bond      Bond
	Policing  Policing
	QoS       string // type of the Port's QoS row, "unknown" if it has none; empty = no QoS
	Mirror    Mirroring
	Sampling  Sampling // of the bridge

	// Problems lists what could not be understood; those fields are not set.
	Problems []string
}

// Tunnel describes the interface of a tunnel, in the words of ovs-vswitchd.conf.db(5),
// "Tunnel Options". Zero for all others.
type Tunnel struct {
	Remote, Local, Port string // options: remote_ip, local_ip, dst_port; "flow": the pipeline says it
	Key                 string // options: in_key, or else key: of what comes in; "flow" as above. What leaves has the one that OVS says in a trace.
	Egress              string // status:tunnel_egress_iface: the device of the underlay; empty where it is not known
}

// OptionalZone is a conntrack zone that may be unknown, as the zero value is.
type OptionalZone struct {
	Zone  flows.Zone
	Known bool
}

// Wish is what external_ids:flowshunt of a port asks for.
type Wish uint8

// The wishes. Off wins where the rows Interface and Port differ, and a value
// that is neither "on" nor "off" counts as off: someone wanted something.
const (
	WishNone Wish = iota
	WishOn
	WishOff
)

// String returns "on", "off" or, without a wish, "none".
func (w Wish) String() string {
	switch w {
	case WishOn:
		return "on"
	case WishOff:
		return "off"
	default:
		return "none"
	}
}

// VLAN is how a Port row treats VLANs (ovs-vswitchd.conf.db(5), "VLAN
// Configuration").
type VLAN struct {
	// Mode is "access", "trunk", "native-tagged", "native-untagged" or
	// "dot1q-tunnel": as configured, else what OVS infers from the tag.
	Mode   string
	Tag    uint16   // 1 to 4095, 0 = none (also a tag of 0, which means none on the wire)
	HasTag bool     // Port.tag is set, be it 0
	Trunks []uint16 // sorted; empty = all VLANs, where Mode is a trunk's
}

// Bond describes the Port row of a bonded interface. Zero for a single one.
type Bond struct {
	Members int // interfaces of the Port, 2 or more; 0 = no bond
	Mode    string
	Active  flows.MAC // bond_active_slave: of the member that OVS uses; zero where it does not say
}

// Policing is the ingress policing of an interface. Zero means none.
type Policing struct {
	RateKbps, BurstKb        int // kbit/s and kbit
	RateKpkts, BurstKpackets int // thousand packets/s and thousand packets
}

// Active reports whether OVS drops packets beyond a rate.
func (p Policing) Active() bool { return p.RateKbps > 0 || p.RateKpkts > 0 }

// Mirroring says which mirrors of the bridge concern a port.
type Mirroring struct {
	In     bool // packets that arrive on it are mirrored (select_src_port)
	Out    bool // packets that leave through it are mirrored (select_dst_port)
	All    bool // a mirror selects all packets of the bridge (select_all)
	Target bool // it is where a mirror sends its copies (output_port)
}

// Watched reports whether packets of the port are copied to a mirror. A
// restriction to VLANs (select_vlan) is not taken into account.
func (m Mirroring) Watched() bool { return m.In || m.Out || m.All }

// Sampling says which samplers look at the packets of a bridge.
type Sampling struct {
	SFlow, NetFlow, IPFIX bool
	FlowSample            bool // a Flow_Sample_Collector_Set for sample actions in flows
}

// Active reports whether any sampler is configured.
func (s Sampling) Active() bool { return s != Sampling{} }
