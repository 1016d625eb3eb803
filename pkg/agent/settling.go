package agent

import (
	"maps"
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
)

// settleTime is how long a change of policies waits for rules that do not come out.
const settleTime = 10 * time.Second

// settling knows when a change of policies is in force: the engine has looked at all sessions,
// and the rules of those that were leaving by then are out of the eswitch, or settleTime is
// over. Those with which the engine is finished meanwhile are told with the last of them.
// Sessions that leave for other reasons are waited for as well: a policy may want them out too.
type settling struct {
	hasRules func(flows.SessionID) bool

	leaving map[flows.SessionID]struct{} // are to be removed; some may be gone already
	kept    int                          // were not, when that was looked at last

	sifting []change // the engine is not finished with them
	// message.settled of changes; nil: there is none.
	sifted   func(left int) // the engine is finished with it
	clearing func(left int) // waits for the rules of rest
	rest     []flows.SessionID
	until    flows.Instant
}

// change is one that is waited for.
type change struct {
	number  uint64 // of Engine.PoliciesTold
	settled func(left int)
}

func newSettling(hasRules func(flows.SessionID) bool) *settling {
	return &settling{hasRules: hasRules, leaving: map[flows.SessionID]struct{}{}}
}

// step takes note of a step of the engine, which was told so many changes and is finished with
// so many (Engine.PoliciesTold). Of several changes in one step the last one counts.
func (s *settling) step(now flows.Instant, messages []message, effects []engine.Effect, told, done uint64) {
	s.follow(effects)
	for _, m := range messages {
		if m.settled != nil {
			s.sifting = append(s.sifting, change{told, m.settled})
		}
	}
	n := 0
	for ; n < len(s.sifting) && s.sifting[n].number <= done; n++ {
		s.sifted = s.sifting[n].settled
	}
	s.sifting = slices.Delete(s.sifting, 0, n)
	for s.clear(now) {
	}
}

// follow notes who leaves, and forgets who has left as often as they become twice as many.
func (s *settling) follow(effects []engine.Effect) {
	for _, e := range effects {
		if e, ok := e.(engine.Remove); ok {
			s.leaving[e.Session] = struct{}{}
		}
	}
	if len(s.leaving) > 2*s.kept+1024 {
		maps.DeleteFunc(s.leaving, func(id flows.SessionID, _ struct{}) bool { return !s.hasRules(id) })
		s.kept = len(s.leaving)
	}
}

// clear tells of a change that is in force, and reports whether there was one. It looks at
// each session that has left once.
func (s *settling) clear(now flows.Instant) bool {
	if s.clearing == nil {
		if s.sifted == nil {
			return false
		}
		s.clearing, s.sifted = s.sifted, nil
		s.rest, s.until = slices.Collect(maps.Keys(s.leaving)), now.Add(settleTime)
	}
	n := len(s.rest)
	for n > 0 && !s.hasRules(s.rest[n-1]) {
		n--
	}
	if s.rest = s.rest[:n]; n > 0 && now < s.until {
		return false
	}
	left := 0
	for _, id := range s.rest {
		if s.hasRules(id) {
			left++
		}
	}
	s.clearing(left)
	s.clearing, s.rest = nil, nil
	return true
}
