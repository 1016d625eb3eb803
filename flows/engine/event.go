package engine

import (
	"net/netip"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// Event is something that happened outside. The engine keeps no reference to an
// event's slices after Step returned.
type Event interface{ event() }

// EntriesRead carries conntrack entries as they were at or after At: from a
// dump, say. Entries followed already by a later read are ignored, so late
// deliveries do no harm.
type EntriesRead struct {
	At      flows.Instant // before the read was begun
	Entries []flows.Entry
}

// EntriesAppeared carries entries that a NEW event told of: as they were when they
// were made, without counters. Those followed already are passed over, since what is
// known of them is newer.
type EntriesAppeared struct {
	At      flows.Instant
	Entries []flows.Entry
}

// EntriesGone names entries that were destroyed.
type EntriesGone struct{ Keys []flows.EntryKey }

// DumpDone says that a dump begun at Began has ended. Complete means that it saw
// every entry that existed all the time; only then is an unseen entry forgotten.
type DumpDone struct {
	Began    flows.Instant
	Complete bool
}

// Lost says that events were dropped on the way: what is offloaded is read again.
type Lost struct{}

// Hint says that a FIN or RST of this tuple was seen on a port: in either direction, as it
// came in or went out. It may be forged and is only a reason to read conntrack at once.
type Hint struct{ Tuple flows.Tuple }

// Sighted says that new evidence about the path of a connection exists, by any of its
// tuples.
type Sighted struct{ Tuple flows.Tuple }

// PathResolved answers Resolve. Reason is empty on success.
type PathResolved struct {
	Session flows.SessionID
	Op      uint64
	Paths   flows.Paths
	// Tuples say, by Dir, how packets are addressed when they come in at the ports. Where
	// nothing is translated, that is the tuple of the entry and its reverse; else packets of
	// each direction must go out, by Path.Addressed, as the other one's come in, reversed.
	Tuples [2]flows.Tuple
	// Stands are the entries by which the path leads, each once, in any order: one of them
	// that of Resolve, and all of one orientation. They must explain the translation: from
	// Tuples[Orig] on, each is met by the tuple that the one before it gave to the packet, and
	// the last one gives that by which the packet goes out. Empty means that no zone is
	// known; then the connection must stand in one zone only.
	Stands []flows.Stand
	// Plain means that nothing on the way changes what a PacketMatch looks at, so that
	// a doubt about other packets is none about these.
	Plain bool
	// Inspected means that it leads by way of the inspector of a wire, and that Stands are on
	// both sides of that.
	Inspected bool
	// DSCP is that of packets of the original direction as they come in, by the last one that
	// was seen; 0: none was.
	DSCP   flows.DSCP
	Reason flows.Reason
	Detail string
}

// PathsDoubted says that OVS may treat some packets differently now than it did. What
// it may touch is validated in time, or leaves.
type PathsDoubted struct {
	// Ports are those whose packets may be concerned, because the change is on the way
	// that they take; nil means all.
	Ports []flows.PortID
	// Matches and Stations narrow that further for sessions whose path is plain: to
	// packets that one of the Matches has, or that are addressed to one of the Stations.
	// With neither, every packet is meant.
	Matches  []flows.PacketMatch
	Stations map[flows.MAC]bool
	// Within is the time for it; 0 means Config.ValidateWithin. A doubt that nothing has
	// caused leaves more, so that many sessions need not leave for want of answers.
	Within time.Duration
}

// anyPacket reports whether the doubt is not narrowed.
func (ev *PathsDoubted) anyPacket() bool { return ev.Matches == nil && ev.Stations == nil }

// Pause says that nothing more is admitted, while what is there goes on.
type Pause struct{}

// Validated answers Validate. Without a Reason, OVS would do with packets of the session,
// at a moment after Validate was ordered, what its rules do.
type Validated struct {
	Session flows.SessionID
	Op      uint64        // of the Validate
	Stands  []flows.Stand // as in PathResolved; the tuples at the ports are those of the Validate
	Plain   bool          // likewise
	Reason  flows.Reason
	Detail  string
}

// RulesFound tells, once and before anything is installed, which complete sessions of an
// earlier agent the eswitch has. It comes after the ports and a complete dump, by which
// they are judged: those whose connection is not there any more, or may not be offloaded,
// are removed.
type RulesFound struct{ Sessions []FoundSession }

// FoundSession is one of them. A port that no OVS port stands for is 0.
type FoundSession struct {
	ID     flows.SessionID
	Tuples [2]flows.Tuple // as in PathResolved
	Paths  flows.Paths
	Count  [2]flows.Counters // by Dir, since the rules were installed
	InHW   bool
}

// MACAgeing says that OVS has not seen a packet from a station for so long that it will
// forget where it is. One session that comes from there is led through OVS. A router is a
// station, too: OVS learns its MAC from packets that it has made them leave with.
type MACAgeing struct {
	Port flows.PortID // where packets from there come in, or go out
	MAC  flows.MAC
}

// Relaxed answers Relax.
type Relaxed struct {
	Session flows.SessionID
	Op      uint64
	Err     error
}

// Installed answers Install. Reason is empty when all rules are in; else none is.
type Installed struct {
	Session flows.SessionID
	Op      uint64
	InHW    bool // hardware has all of them
	Reason  flows.Reason
	Detail  string
	Took    time.Duration // by the driver for this session alone; 0: not known
}

// Removed answers Remove. With an Err, rules may still be there.
type Removed struct {
	Session flows.SessionID
	Op      uint64
	Err     error
}

// SessionRead answers Read and KeepAlive: the state of a session's conntrack
// entries at or after At. Err says that reading, or keeping alive, failed.
type SessionRead struct {
	Session flows.SessionID
	Op      uint64
	At      flows.Instant
	Found   []flows.Entry
	Missing []flows.EntryKey
	Err     error
}

// Counted carries the eswitch's counters, which only grow while a session lives.
type Counted struct{ Sessions []flows.SessionCounters }

// RulesVanished names sessions that lost a rule without our doing.
type RulesVanished struct{ Sessions []flows.SessionID }

// PortState is a port with the reason why nothing may be offloaded on it, or none.
type PortState struct {
	ID      flows.PortID
	Eswitch flows.EswitchID // which executes rules for packets that come in there
	Reason  flows.Reason
	// Logical is the port whose security groups must permit what passes it; empty: none.
	Logical flows.LogicalPort
	Zone    flows.Zone // in which the cloud's network service tracks its connections
	HasZone bool       // that is known
}

// PermissionsChanged carries what security groups permit from now on, and says which of the
// connections that were permitted may not be any more; see secgroup.Change.
type PermissionsChanged struct {
	Source      int // which of Config.PermissionSources tells
	Permissions Permissions
	Ports       []flows.LogicalPort
	Rules       []flows.RuleRef
	Addrs       []netip.Addr
	// Revision is the first PermissionsEnforced.Revision that says that the slow path enforces
	// this too; 0: none will.
	Revision uint64
	Label    bool          // the network service denies by bit 0 of the conntrack label, not of the mark
	At       flows.Instant // when the agent was told, for those who look on; 0: it is no news
}

// PermissionsStale says that what a source has told may be behind. The next PermissionsChanged ends
// that.
type PermissionsStale struct {
	Source int
	Why    string
}

// PermissionsEnforced says that the slow path enforces all that a source has told up to a
// revision.
type PermissionsEnforced struct {
	Source   int
	Revision uint64
}

// PoliciesChanged carries what an operator wants from now on. Concerns reports whether that
// may be another thing than before for a connection about which a policy decided (0: none
// did); nil: for all.
type PoliciesChanged struct {
	Policies Policies
	Concerns func(flows.PolicyRef, *flows.Subject) bool
}

// EswitchReset says that an eswitch may have lost all of its rules, although tc still
// lists them.
type EswitchReset struct{ Eswitch flows.EswitchID }

// PortsChanged carries the state of all ports. A port that is not listed is gone.
type PortsChanged struct{ Ports []PortState }

// ModeChanged switches between enforce and observe; Reason says why observe is
// forced (ovs-hw-offload), if it is.
type ModeChanged struct {
	Enforce bool
	Reason  flows.Reason
}

// Stop begins the end: nothing is admitted any more, every session is removed.
type Stop struct{}

func (EntriesRead) event()         {}
func (EntriesAppeared) event()     {}
func (EntriesGone) event()         {}
func (DumpDone) event()            {}
func (Lost) event()                {}
func (Hint) event()                {}
func (Sighted) event()             {}
func (PathResolved) event()        {}
func (PathsDoubted) event()        {}
func (Validated) event()           {}
func (Pause) event()               {}
func (RulesFound) event()          {}
func (MACAgeing) event()           {}
func (Relaxed) event()             {}
func (Installed) event()           {}
func (Removed) event()             {}
func (SessionRead) event()         {}
func (Counted) event()             {}
func (RulesVanished) event()       {}
func (EswitchReset) event()        {}
func (PortsChanged) event()        {}
func (ModeChanged) event()         {}
func (PermissionsChanged) event()  {}
func (PermissionsStale) event()    {}
func (PoliciesChanged) event()     {}
func (PermissionsEnforced) event() {}
func (Stop) event()                {}
