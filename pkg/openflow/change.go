package openflow

import "github.com/flowshunt/flowshunt/flows"

// Kind says what happened.
type Kind uint8

// The kinds of change. Those of flows fill the fields of a flow, those of ports
// the field Port.
const (
	Other        Kind = iota // something that this package does not know closer
	FlowAdded                // also: a flow was replaced by an equal match
	FlowDeleted              // by whomever, or by a timeout
	FlowModified             // tells the flow as it is now, not as it was
	GroupChanged             // added, modified or deleted: some or all groups
	MeterChanged             // the same of meters
	PortAdded
	PortDeleted
	PortModified // its state or its configuration
)

var kindNames = [...]string{
	"other", "flow-added", "flow-deleted", "flow-modified", "group-changed", "meter-changed",
	"port-added", "port-deleted", "port-modified",
}

// String returns a short stable name, as for a metric: "flow-added".
func (k Kind) String() string {
	if int(k) >= len(kindNames) {
		return kindNames[Other]
	}
	return kindNames[k]
}

// Change is one change in a bridge. The zero Change concerns every packet.
type Change struct {
	Kind     Kind
	Table    uint8  // of a flow
	Priority uint16 // of a flow
	Cookie   uint64 // of a flow; after a modification the new one

	// NonIP means that the flow matches no packet of an IP connection: ARP, RARP
	// or LLDP. False means that it may.
	NonIP bool
	// InPort is the OpenFlow port that the flow matches, ports that are none
	// included (LOCAL is 0xfffffffe); 0 means any.
	InPort uint32
	// Match is a set that holds all packets of the flow as they are at that
	// table, with In left 0: see InPort.
	Match flows.PacketMatch

	Port Port // of kinds PortAdded, PortDeleted, PortModified
}

// Port is a port as the bridge describes it. Config and State are the bits of
// the connection's OpenFlow version; those below are the same in all.
type Port struct {
	Number uint32 // the OpenFlow port, in its 32-bit form; 0 is no port
	Name   string // at most 15 bytes, cut short by OVS where it is longer
	Config uint32 // what was asked for
	State  uint32 // what is
}

// Bits of Port.Config (ofp_port_config) and Port.State (ofp_port_state).
const (
	PortDown     = 1 << 0 // Config: administratively down
	PortNoRecv   = 1 << 2 // Config: what comes in is dropped
	PortNoFwd    = 1 << 5 // Config: what would go out is dropped
	PortLinkDown = 1 << 0 // State: no carrier
)
