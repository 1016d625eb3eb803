package engine

import (
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// Effect is something to be done. Each is answered by one event that repeats
// Session and Op. Install and Remove of one session are carried out in the order in
// which they were returned, except that a Remove may overtake, and then cancels, an
// Install that was not begun; that one needs no answer. All others may be carried
// out at any time, also beside those.
type Effect interface{ effect() }

// Resolve asks for the ports and MAC addresses of both directions; answered by PathResolved.
type Resolve struct {
	Session flows.SessionID
	Op      uint64
	Entry   flows.EntryKey
	Reply   flows.Tuple // of Entry
	// States are of all entries that are not closing and may belong to the connection, that of
	// Entry among them: those with a tuple of it in either orientation, those with a tuple of
	// these, and so on. Which of them do belong to it, the answer tells.
	States []flows.ZoneState
	Silent [2]bool // by Dir: no packet of it was counted for some seconds
}

// Validate asks whether OVS would do with packets of a session what its rules do;
// answered by Validated. Its Op counts apart from that of the other effects. It must not be
// answered from knowledge that is older than the last PathsDoubted before it.
type Validate struct {
	Session flows.SessionID
	Op      uint64
	Tuples  [2]flows.Tuple // by Dir, as packets arrive
	Paths   flows.Paths
	States  []flows.ZoneState // as in Resolve
	Within  time.Duration     // after that no answer is waited for
}

// Relax changes the TCP window checks of all entries of a session; answered by Relaxed.
type Relax struct {
	Session flows.SessionID
	Op      uint64
	Entries []flows.EntryKey
	Step    RelaxStep
}

// RelaxStep is a step of the order in which conntrack's TCP checks are relaxed.
type RelaxStep uint8

const (
	// SetLiberal keeps out-of-window packets from being invalid. It comes before
	// the rules.
	SetLiberal RelaxStep = iota
	// ClearMaxAck makes a RST acceptable although conntrack missed the ACKs before
	// it. It comes after the rules, and again after every packet that conntrack saw,
	// because each ACK sets the flag again.
	ClearMaxAck
)

// Install asks for the rules of both directions; answered by Installed.
type Install struct {
	Session flows.SessionID
	Op      uint64
	Eswitch flows.EswitchID // of the port where the original direction comes in
	Tuples  [2]flows.Tuple  // by Dir, as packets arrive
	Paths   flows.Paths
}

// Remove asks for the end of all rules of a session, whether or not they are
// there; answered by Removed.
type Remove struct {
	Session flows.SessionID
	Op      uint64
	Eswitch flows.EswitchID // as in Install
	Cause   flows.Reason    // for the log
}

// Read asks for the present state of conntrack entries; answered by SessionRead.
type Read struct {
	Session flows.SessionID
	Op      uint64
	Entries []flows.EntryKey
}

// KeepAlive asks that the entries do not expire within Timeout seconds. It must
// never create an entry, shorten a timeout, or touch one that is closing; answered
// by SessionRead with the entries as they are after that.
type KeepAlive struct {
	Session flows.SessionID
	Op      uint64
	Entries []flows.EntryKey
	Timeout uint32
}

// Deny asks that the cloud's network service's own bit for denied connections is set in
// entries, and no other. It is not answered: what became of it shows when they are read.
type Deny struct{ Entries []DenyEntry }

// DenyEntry is one of them.
type DenyEntry struct {
	Key   flows.EntryKey
	Label bool // bit 0 of the label, instead of the mark's
}

func (Deny) effect()      {}
func (Resolve) effect()   {}
func (Validate) effect()  {}
func (Relax) effect()     {}
func (Install) effect()   {}
func (Remove) effect()    {}
func (Read) effect()      {}
func (KeepAlive) effect() {}
