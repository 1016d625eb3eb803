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
	s.step(1, nil, s.leave(1), 0, 0)
	s.step(2, []message{s.change(1)}, s.leave(2), 1, 0)
	s.step(3, nil, s.leave(3), 1, 0)
	s.rules = map[flows.SessionID]bool{}
	s.step(4, nil, nil, 1, 0)
	s.want(t, "the engine is not finished")
	s.step(5, nil, s.leave(4), 1, 1)
	s.step(6, nil, s.leave(5), 1, 1) // for something else
	s.want(t, "rules are in")
	delete(s.rules, 4)
	s.step(7, nil, nil, 1, 1)
	s.want(t, "all are out", [2]int{1, 0})
}

// Changes are told of while the next ones come all the time, and with the last one of those
// that the engine was finished with while one was waited for.
func TestSettlingWithoutEnd(t *testing.T) {
	s := newSettled()
	for i := range 5 { // the engine is one behind
		s.step(flows.Instant(i), []message{s.change(i)}, s.leave(flows.SessionID(i)), uint64(i+1), uint64(i))
	}
	s.want(t, "none is out")
	delete(s.rules, 0)
	delete(s.rules, 1)
	s.step(6, nil, nil, 5, 4)
	s.want(t, "the first is out", [2]int{0, 0})
	s.rules = map[flows.SessionID]bool{}
	s.step(7, nil, nil, 5, 4)
	s.want(t, "all that the engine is finished with is out", [2]int{0, 0}, [2]int{3, 0})
	s.step(8, []message{{event: engine.PoliciesChanged{}}}, nil, 6, 4) // of which nobody wants to know
	s.want(t, "the engine is not finished with the last one", [2]int{0, 0}, [2]int{3, 0})
	s.step(9, nil, nil, 6, 6)
	s.want(t, "and so is the last one", [2]int{0, 0}, [2]int{3, 0}, [2]int{4, 0})
}

// Rules that do not come out hold nothing up for ever, and are counted once.
func TestSettlingInTime(t *testing.T) {
	s := newSettled()
	s.step(1, []message{s.change(1)}, s.leave(1, 2, 3, 2), 1, 1)
	delete(s.rules, 3)
	end := flows.Instant(1).Add(settleTime)
	s.step(end-1, nil, s.leave(2), 1, 1)
	s.want(t, "it is not over")
	s.step(end, nil, nil, 1, 1)
	s.want(t, "it is over", [2]int{1, 2})
	for i := range flows.SessionID(10_000) {
		s.step(end, nil, s.leave(10+i), 1, 1)
		delete(s.rules, 10+i)
	}
	if n := len(s.leaving); n > 2000 {
		t.Errorf("%d are remembered", n)
	}
}
