package agent

import (
	"slices"

	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/policy"
)

// changeOf is the change of policies from one table to another; without a first one all is
// decided anew.
func changeOf(from, to *policy.Table) engine.PoliciesChanged {
	ev := engine.PoliciesChanged{Policies: to}
	if from != nil {
		ev.Concerns = policy.Diff(from, to).Concerns
	}
	return ev
}

func isChange(m message) bool {
	_, ok := m.event.(engine.PoliciesChanged)
	return ok
}

// oneChange makes one of all changes of policies in a list: each makes the engine look at every
// session.
func oneChange(list []message) []message {
	first := slices.IndexFunc(list, isChange)
	if first < 0 {
		return list
	}
	rest := list[:first+1]
	for _, m := range list[first+1:] {
		if isChange(m) {
			rest[first] = together(rest[first], m)
		} else {
			rest = append(rest, m)
		}
	}
	clear(list[len(rest):])
	return rest
}

// together is a change of policies and the next one together.
func together(m, next message) message {
	ev := next.event.(engine.PoliciesChanged)
	ev.Concerns = nil
	if to, ok := ev.Policies.(*policy.Table); ok {
		ev = changeOf(m.from, to)
	}
	m.event = ev
	if next.settled != nil { // says what the one before would, and more
		m.settled = next.settled
	}
	return m
}
