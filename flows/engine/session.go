package engine

import "github.com/flowshunt/flowshunt/flows"

// State is where a session stands; see the package comment.
type State uint8

// The states of a session.
const (
	Resolving State = iota
	Observed
	Relaxing
	Installing
	Adopting
	Verifying
	Offloaded
	Removing
)

var stateNames = [...]string{"resolving", "observed", "relaxing", "installing", "adopting", "verifying", "offloaded", "removing"}

// String returns the lower-case name.
func (s State) String() string { return stateNames[s] }

// hasRules reports whether rules of a session in this state may exist.
func (s State) hasRules() bool { return s >= Installing }

// allRules reports whether all rules of a session in this state are in, as far as is known.
func (s State) allRules() bool { return s >= Adopting }

// session is a connection that is, or is about to be, offloaded.
type session struct {
	id       flows.SessionID
	op       uint64 // of the effect that is awaited; results with another are stale
	state    State
	since    flows.Instant // of state
	tuple    flows.Tuple   // of the original direction: as the entry has it, then as packets come in
	entries  []*entry      // one for each zone; the first is the one that was judged
	zoned    bool          // zones were told by ports, not assumed
	claims   bool          // made by an earlier agent: nobody else may have entries with its tuple
	nominal  bool          // its one entry is none that was read, but stands in for those that it claims
	paths    flows.Paths
	plain    bool // as PathResolved.Plain
	dscp     flows.DSCP
	doubt    doubt
	standing standing
	home     home            // whose table its rules stand in; expected until its path is known
	stage    stage           // there
	eswitch  flows.EswitchID // where its Install was sent to
	changes  uint64          // PathsDoubted until its path was asked for
	policy   flows.PolicyRef // that wants it offloaded; 0: none does
	reason   flows.Reason    // why it is offloaded
	cause    flows.Reason    // why it leaves, once it does
	denied   bool            // it leaves because it was revoked
	refuted  bool            // it leaves because its path, on which it had rules, is another one
	dead     bool            // left; lists skip it
	index    int             // in Engine.list

	installedAt flows.Instant
	inHW        bool              // hardware has all of its rules
	hw          [2]flows.Counters // by Dir, as counted by the eswitch
	hwSampled   flows.Instant
	hwBytes     uint64
	rate        float64
	slowSince   flows.Instant    // since when the rate is below the leave rate; 0: it is not
	hitAt       [2]flows.Instant // by Dir, when the eswitch's counter last grew
	ctAtHit     [2]uint64        // conntrack's packets when they were first read after that
	hitSince    [2]bool          // ... which they were not yet
	missedAt    [2]flows.Instant // since when more was seen than can be without a hit; 0: it was not
	keptAt      flows.Instant    // hits up to here are accounted for by a keepalive
	ctPackets   uint64           // conntrack's packets when MAXACK_SET was last cleared
	slowSeen    [2]uint64        // by Dir, conntrack's packets when last looked at
	slowAt      [2]flows.Instant // when they were last found to have grown
	unmoved     [2]uint8         // by Dir, readings of the eswitch's counter since it last grew

	testified  flows.Instant // when the next three were taken
	slowThen   uint64        // packets that conntrack saw,
	hitsThen   uint64        // and the eswitch
	slowFirst  uint64        // packets that conntrack had seen when the rules were in
	evidenceOf uint32        // run of evidence that it has added to

	reading   bool          // a Read or KeepAlive is on its way
	readAgain bool          // a hint came meanwhile
	retryAt   flows.Instant // next attempt of a failed removal
	retries   uint8
}

func (s *session) primary() *entry { return s.entries[0] }

func (s *session) isTCP() bool { return s.tuple.Proto == flows.TCP }

// bound reports whether the session has a path that counts.
func (s *session) bound() bool { return s.state != Resolving && s.state != Removing }

func (s *session) keys() []flows.EntryKey {
	keys := make([]flows.EntryKey, len(s.entries))
	for i, e := range s.entries {
		keys[i] = e.key
	}
	return keys
}

func (s *session) value() value { return value{s.asked(), s.rate} }

// readSince reports whether all entries were read at or after an instant.
func (s *session) readSince(at flows.Instant) bool {
	for _, e := range s.entries {
		if e.seen < at {
			return false
		}
	}
	return true
}

// lastHit returns when a packet of either direction was last seen in the eswitch.
func (s *session) lastHit() flows.Instant { return max(s.hitAt[0], s.hitAt[1]) }

// tuples returns how packets are addressed when they come in at the ports, by Dir.
func (s *session) tuples() [2]flows.Tuple {
	return [2]flows.Tuple{flows.Orig: s.tuple, flows.Reply: s.paths[flows.Orig].Addressed(s.tuple).Reverse()}
}

// keep adds a session to those that there are.
func (g *Engine) keep(s *session) {
	s.index = len(g.list)
	g.list = append(g.list, s)
	g.sessions[s.id] = s
	g.states[s.state]++
}

// drop takes it away.
func (g *Engine) drop(s *session) {
	last := len(g.list) - 1
	moved := g.list[last]
	g.list[s.index], moved.index = moved, s.index
	g.list[last] = nil
	g.list = g.list[:last]
	delete(g.sessions, s.id)
	g.states[s.state]--
}
