package agent

import (
	"slices"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
)

// settled are changes as they are told, with how many sessions had rules then.
type settled struct {
	*settling
	rules map[flows.SessionID]bool
	told  [][2]int
}

func newSettled() *settled {
	s := &settled{rules: map[flows.SessionID]bool{}}
	s.settling = newSettling(func(id flows.SessionID) bool { return s.rules[id] })
	return s
}

func (s *settled) change(n int) message {
	return message{event: engine.PoliciesChanged{}, settled: func(left int) { s.told = append(s.told, [2]int{n, left}) }}
}

// leave has sessions leave.
func (s *settled) leave(list ...flows.SessionID) (effects []engine.Effect) {
	for _, id := range list {
		s.rules[id] = true
		effects = append(effects, engine.Remove{Session: id})
	}
	return effects
}

func (s *settled) want(t *testing.T, what string, want ...[2]int) {
	t.Helper()
	if !slices.Equal(s.told, want) {
		t.Fatalf("%s: told %v, want %v", what, s.told, want)
	}
}

func TestSettling(t *testing.T) {
	s := newSettled()
	s.step(1, nil, s.leave(1), false)
	s.step(2, []message{s.change(1)}, s.leave(2), true)
	s.step(3, nil, s.leave(3), true)
	s.rules = map[flows.SessionID]bool{}
	s.step(4, nil, nil, true)
	s.want(t, "the engine is not finished")
	s.step(5, nil, s.leave(4), false)
	s.step(6, nil, s.leave(5), false) // for something else
	s.want(t, "rules are in")
	delete(s.rules, 4)
	s.step(7, nil, nil, false)
	s.want(t, "all are out", [2]int{1, 0})
}

// A change after which the next ones come at once is told of as well, and with the last one
// of those that came while it was waited for.
func TestSettlingWithoutEnd(t *testing.T) {
	s := newSettled()
	for i := range 5 {
		s.step(flows.Instant(i), []message{s.change(i)}, s.leave(flows.SessionID(i)), true)
	}
	s.want(t, "none is out")
	delete(s.rules, 0)
	delete(s.rules, 1)
	s.step(6, nil, nil, true)
	s.want(t, "the first is out", [2]int{0, 0})
	s.rules = map[flows.SessionID]bool{}
	s.step(7, nil, nil, true)
	s.want(t, "all that was sifted is out", [2]int{0, 0}, [2]int{3, 0})
	s.step(8, []message{{event: engine.PoliciesChanged{}}}, nil, true) // of which nobody wants to know
	s.want(t, "and so is the last one", [2]int{0, 0}, [2]int{3, 0}, [2]int{4, 0})
}

// Rules that do not come out hold nothing up for ever, and are counted once.
func TestSettlingInTime(t *testing.T) {
	s := newSettled()
	s.step(1, []message{s.change(1)}, s.leave(1, 2, 3, 2), false)
	delete(s.rules, 3)
	end := flows.Instant(1).Add(settleTime)
	s.step(end-1, nil, s.leave(2), false)
	s.want(t, "it is not over")
	s.step(end, nil, nil, false)
	s.want(t, "it is over", [2]int{1, 2})
	for i := range flows.SessionID(10_000) {
		s.step(end, nil, s.leave(10+i), false)
		delete(s.rules, 10+i)
	}
	if n := len(s.leaving); n > 2000 {
		t.Errorf("%d are remembered", n)
	}
}
