package flows

import "fmt"

// SessionID names a session for the life of the agent and in the cookie of its
// rules. Zero means "none".
type SessionID uint64

// String returns 16 hexadecimal digits.
func (id SessionID) String() string { return fmt.Sprintf("%016x", uint64(id)) }

// Rule is what one tc filter must match and do: packets of one direction of one
// connection, from one port to another. That SYN, FIN and RST, fragments, and packets
// with too few hops left do not match is true of every rule and therefore not part of it.
type Rule struct {
	Dir     Dir
	In, Out int32 // ifindex; where packets come in in a tunnel, or leave in one, of its device
	Frame         // as the packets arrive on In
	Tuple   Tuple // likewise
	Change  Ref[Change]
}

// Session is the desired state of one offloaded connection in the eswitch: all
// of its rules or none.
type Session struct {
	ID SessionID
	// Eswitch is the one that shall execute the rules while it has room: where it has
	// none they shall not be executed in software instead. Empty: there is none.
	Eswitch EswitchID
	Rules   []Rule
}

// SessionCounters are what the eswitch counted for one session, by Dir.
// Bytes count as the eswitch counts them: tc leaves the Ethernet header out in
// software, some NICs count it.
type SessionCounters struct {
	ID    SessionID
	Count [2]Counters
	InHW  bool // hardware has all of its rules
}
