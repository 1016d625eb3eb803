package megaflow

import "github.com/flowshunt/flowshunt/flows"

// Flow is what a datapath does with all packets that match.
type Flow struct {
	Match   Match
	Actions []Action // none: the packets are dropped
	// Unknown names what else is matched on, or is true of the flow, that is not
	// understood: it may or may not match a packet that Match matches. Empty: nothing.
	Unknown string
	Packets uint64
	Bytes   uint64
}

// Action is one step: one of the types below, comparable with ==. Those that a rule cannot repeat are Unsupported, by name.
type Action interface{ action() }

// Output sends the packet, as it is now, to a port of the datapath.
type Output struct{ Port uint32 }

// Recirc matches the packet anew among the flows of a recirculation id. Nothing
// follows it that is still about this packet.
type Recirc struct{ ID uint32 }

// CT sends the packet through conntrack.
type CT struct {
	Zone     flows.Zone
	Commit   bool // with Force: also when the entry stands in the other orientation
	Force    bool
	NAT      bool   // nat(...), with or without a range
	NATRange bool   // src or dst is given: new connections would be translated
	Helper   string // application-layer helper
	// What a commit writes: bits under the mask. Labels have their most significant
	// byte first, as in a Key.
	Mark, MarkMask     uint32
	Labels, LabelsMask [16]byte
}

// CTClear makes the packet one that was never tracked.
type CTClear struct{}

// Unsupported is an action that stands in the way of a rule; Reason says which.
type Unsupported struct {
	Reason flows.Reason // of the family path-unsupported; flows.PathDropped for an explicit drop
	Name   string       // as ovs-dpctl(8) writes it: "push_vlan(vid=7)"
}

func (Output) action()      {}
func (Recirc) action()      {}
func (CT) action()          {}
func (CTClear) action()     {}
func (Unsupported) action() {}
