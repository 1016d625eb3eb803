package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
)

// known is a policy by its name.
type known struct {
	ref  flows.PolicyRef
	good *Policy // the last good form; nil: there was none
}

// Compile returns a table of what is written, with the ports of last, which may be nil, and
// what is wrong with it, in order.
//
// Policies keep their references by name. One that cannot be understood is replaced by its
// last good form; what has none is handled so that nothing is offloaded that would not be if
// it were understood: see docs/policy.md.
func Compile(policies []Spec, profiles []ProfileSpec, last *Table) (*Table, []Problem) {
	if last == nil {
		last = &Table{}
	}
	c := compilation{last: last, next: &Table{
		policies: make(map[string]*known, len(policies)), profile: make(map[string]*Profile, len(profiles)), lastRef: last.lastRef,
	}}
	for _, s := range sorted(policies, func(s Spec) string { return s.Name }) {
		c.policy(s)
	}
	for _, s := range sorted(profiles, func(s ProfileSpec) string { return s.Name }) {
		c.addProfile(s)
	}
	c.bound()
	t := c.next
	t.ruleset = newRuleset(c.rules, c.profiles)
	t.places = t.resolve(last.portsOf(), nil)
	return t, c.problems
}

func sorted[T any](list []T, name func(T) string) []T {
	return slices.SortedStableFunc(slices.Values(list), func(a, b T) int { return strings.Compare(name(a), name(b)) })
}

// compilation is one in the making.
type compilation struct {
	last, next *Table
	rules      []rule
	profiles   []Profile
	problems   []Problem
}

const (
	lastForm = "its last good form is in force"
	asMaybe  = "what cannot be understood counts as met: what may match is inspected"
	leftOut  = "it is left out"
	disabled = "it is disabled"
)

// policy adds a policy, or what stands for one that cannot be understood.
func (c *compilation) policy(s Spec) {
	p := parse(s)
	k, again := c.next.policies[s.Name], true
	if k == nil {
		k, again = c.know(s.Name), false
		c.next.policies[s.Name] = k
	} else {
		p.add("name", "there is another policy of this name")
	}
	text, instead := p.text(), ""
	good := !again && text == ""
	if good {
		k.good = &p.Policy
	}
	switch {
	case s.Disabled:
		instead = disabled
	case good:
		c.rules = append(c.rules, rule{p.Policy, k.ref})
	case !again && k.good != nil:
		instead = lastForm
		c.rules = append(c.rules, rule{*k.good, k.ref})
	case p.Verdict == flows.Offload:
		instead = leftOut
	default:
		instead = asMaybe
		c.rules = append(c.rules, p.closed(k.ref)...)
	}
	if text != "" {
		c.problems = append(c.problems, Problem{Name: s.Name, Text: text, Instead: instead})
	}
}

// know returns a policy as it was, or a new one.
func (c *compilation) know(name string) *known {
	if k := c.last.policies[name]; k != nil {
		copied := *k
		return &copied
	}
	c.next.lastRef++
	return &known{ref: c.next.lastRef}
}

// closed returns the rules for a policy to inspect or drop that was not understood: its
// verdict where what was understood matches, and behind that inspection of all that might.
func (p *parsed) closed(ref flows.PolicyRef) []rule {
	wide := p.Policy
	wide.Match, wide.Verdict = p.wide, flows.Inspect
	if p.hopeless || p.Verdict == flows.Inspect {
		return []rule{{wide, ref}}
	}
	return []rule{{p.Policy, ref}, {wide, ref}}
}

// addProfile adds a profile, or what stands for one that cannot be understood: one that may
// cover what the other conditions are met by.
func (c *compilation) addProfile(s ProfileSpec) {
	p := parseProfile(s)
	_, again := c.next.profile[s.Name]
	var good *Profile
	if again {
		p.add("name", "there is another profile of this name")
	} else {
		good = c.last.profile[s.Name]
	}
	text, instead := p.text(), lastForm
	if text == "" {
		good = &p.Profile
	}
	if !again {
		c.next.profile[s.Name] = good
	}
	if good == nil {
		instead = "what cannot be understood counts as met: it may cover a connection"
		good = &p.wide
		good.doubtful = true
	}
	if s.Disabled {
		instead = disabled
	} else {
		c.profiles = append(c.profiles, *good)
	}
	if text != "" {
		c.problems = append(c.problems, Problem{Profile: true, Name: s.Name, Text: text, Instead: instead})
	}
}

// bound puts the rules in order and leaves out those of the lowest rank that are too many:
// what they would decide is inspected, as where nothing matches. Too many profiles
// are one that may cover everything.
func (c *compilation) bound() {
	slices.SortStableFunc(c.rules, func(a, b rule) int { return cmp.Or(a.before(&b.Policy), cmp.Compare(a.ref, b.ref)) })
	values := 0
	for i := range c.rules {
		if values += c.rules[i].Match.conditions(); i < MaxPolicies && values <= MaxConditions {
			continue
		}
		for _, r := range c.rules[i:] {
			c.problems = append(c.problems, Problem{Name: r.Name, Instead: leftOut,
				Text: fmt.Sprintf("there are more than %d policies, or than %d values in them, before this one", MaxPolicies, MaxConditions)})
		}
		c.rules = c.rules[:i]
		break
	}
	values = 0
	for i := range c.profiles {
		values += c.profiles[i].conditions()
	}
	if n := len(c.profiles); n > MaxProfiles || values > MaxConditions {
		c.problems = append(c.problems, Problem{Profile: true, Name: c.profiles[n-1].Name, Instead: "a profile may cover any connection",
			Text: fmt.Sprintf("there are more than %d profiles, or than %d values in them", MaxProfiles, MaxConditions)})
		c.profiles = []Profile{{doubtful: true}}
	}
}
