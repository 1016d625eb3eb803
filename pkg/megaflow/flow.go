package megaflow

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// Flow is what a datapath does with all packets that match.
type Flow struct {
	Match   Match
	Actions []Action // none: the packets are dropped
	// Unknown names what else is matched on, or is true of the flow, that is not
	// understood: it may or may not match a packet that Match matches. Empty: nothing.
	Unknown string
	AnyTTL  bool // Relax took its condition on the TTL away: it holds for packets with more than flows.MaxHops
	Packets uint64
	Bytes   uint64
	Idle    time.Duration // since it handled a packet, when it was listed; the longest there is if it never did
}

// Action is one step: one of the types below, comparable with == but for CheckLength.
// Those that a rule cannot repeat are Unsupported, by name.
type Action interface{ action() }

// Output sends the packet, as it is now, to a port of the datapath.
type Output struct{ Port uint32 }

// Recirc matches the packet anew among the flows of a recirculation id. Nothing
// follows it that is still about this packet.
type Recirc struct{ ID uint32 }

// CT sends the packet through conntrack.
type CT struct {
	Zone   flows.Zone
	Commit bool // with Force: also when the entry stands in the other orientation
	Force  bool
	NAT    bool   // nat(...), with or without a range
	NATSrc bool   // nat(src...): the source of new connections would be translated
	NATDst bool   // nat(dst...)
	Helper string // application-layer helper
	// What a commit writes: bits under the mask. Labels have their most significant
	// byte first, as in a Key.
	Mark, MarkMask     uint32
	Labels, LabelsMask [16]byte
}

// CTClear makes the packet one that was never tracked.
type CTClear struct{}

// PushVLAN adds a tag outside of those that are there, and PopVLAN takes the outermost
// away, if there is one.
type (
	PushVLAN struct{ Tag flows.Tag }
	PopVLAN  struct{}
)

// Set overwrites bits of one field: those under the mask, as a Key has them, in the
// last bytes.
type Set struct {
	Field       Field
	Value, Mask [16]byte
}

// SetUint returns a Set of a field of at most 64 bits.
func SetUint(f Field, value, mask uint64) Set {
	s := Set{Field: f}
	binary.BigEndian.PutUint64(s.Value[8:], value&mask)
	binary.BigEndian.PutUint64(s.Mask[8:], mask)
	return s
}

// SetWide returns a Set of a field of 128 bits.
func SetWide(f Field, value, mask [16]byte) Set {
	for i := range value {
		value[i] &= mask[i]
	}
	return Set{f, value, mask}
}

// DecTTL takes N off the TTL. Datapaths do not say so: see Flow.Relax.
type DecTTL struct{ N uint8 }

// Encap says in which tunnel the packet goes when it is put out: set(tunnel(...)).
type Encap struct{ Tunnel flows.Ref[flows.Tunnel] }

// TunnelOutput sends the packet in a tunnel to a port of the datapath, as OVS does by
// itself where its datapath is in userspace: clone(tnl_push(...),...).
type TunnelOutput struct {
	Port   uint32
	Tunnel flows.Ref[flows.Tunnel]
}

// CheckLength goes on with one of two lists of actions. The length is that of the
// frame without its outermost tag, or, of what was put together for offload (GSO), of
// the frames that will leave (execute_check_pkt_len, net/openvswitch/actions.c).
type CheckLength struct {
	Size uint16
	*Branches
}

// Branches are what is done with frames of more than a size, and of at most that.
type Branches struct{ Longer, Fits []Action }

// Unsupported is an action that stands in the way of a rule; Reason says which.
type Unsupported struct {
	Reason flows.Reason // of the family path-unsupported; flows.PathDropped for an explicit drop
	Name   string       // as ovs-dpctl(8) writes it: "push_vlan(vid=7)"
}

func (Output) action()       {}
func (Recirc) action()       {}
func (CT) action()           {}
func (CTClear) action()      {}
func (PushVLAN) action()     {}
func (PopVLAN) action()      {}
func (Set) action()          {}
func (DecTTL) action()       {}
func (Encap) action()        {}
func (TunnelOutput) action() {}
func (CheckLength) action()  {}
func (Unsupported) action()  {}

// equal reports whether two lists do the same.
func equal(a, b []Action) bool { return slices.EqualFunc(a, b, same) }

func same(a, b Action) bool {
	x, ok := a.(CheckLength)
	if !ok {
		return a == b
	}
	y, ok := b.(CheckLength)
	return ok && x.Size == y.Size && equal(x.Longer, y.Longer) && equal(x.Fits, y.Fits)
}
