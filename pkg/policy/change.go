package policy

import (
	"reflect"

	"github.com/flowshunt/flowshunt/flows"
)

// Change says which decisions may differ between two tables. It may be used by any number of
// goroutines.
type Change struct {
	old, new *Table
	policies map[flows.PolicyRef]bool // that came, went or changed, in anything but their name
	forms    *Table                   // their old and new forms; nil: there are none
	ports    map[flows.PortID]bool    // that came, went or changed, where some policy looks at ports
	profiles bool                     // changed, where some policy asks for Uninspectable
}

// Diff returns what has changed from old, which may be nil, to new.
func Diff(old, new *Table) *Change {
	if old == nil {
		old, _ = Compile(nil, nil, nil)
	}
	c := &Change{old: old, new: new}
	if old.ruleset != new.ruleset {
		c.diffPolicies()
		c.profiles = (old.asksUninspectable || new.asksUninspectable) &&
			!reflect.DeepEqual(old.ruleset.profiles.list, new.ruleset.profiles.list)
	}
	if len(old.ruleset.ports)+len(new.ruleset.ports) > 0 {
		c.diffPorts()
	}
	return c
}

func (c *Change) diffPolicies() {
	before, now := c.old.forms(), c.new.forms()
	c.policies = map[flows.PolicyRef]bool{}
	var changed []rule
	for ref, forms := range before {
		if !reflect.DeepEqual(forms, now[ref]) {
			c.policies[ref] = true
			changed = append(append(changed, forms...), now[ref]...)
		}
	}
	for ref, forms := range now {
		if before[ref] == nil {
			c.policies[ref] = true
			changed = append(changed, forms...)
		}
	}
	if len(changed) > 0 {
		forms := &Table{ruleset: newRuleset(changed, c.new.ruleset.profiles.list)}
		forms.places = forms.resolve(c.new.portsOf(), nil)
		c.forms = forms
	}
}

// forms returns the rules of each policy.
func (r *ruleset) forms() map[flows.PolicyRef][]rule {
	forms := make(map[flows.PolicyRef][]rule, len(r.rules))
	for _, rule := range r.rules {
		forms[rule.ref] = append(forms[rule.ref], rule)
	}
	return forms
}

func (c *Change) diffPorts() {
	c.ports = map[flows.PortID]bool{}
	for id, now := range c.new.places {
		if before, ok := c.old.places[id]; !ok || !before.port.equal(&now.port) {
			c.ports[id] = true
		}
	}
	for id := range c.old.places {
		if _, ok := c.new.places[id]; !ok {
			c.ports[id] = true
		}
	}
}

// IsEmpty reports whether nothing is decided otherwise.
func (c *Change) IsEmpty() bool {
	return c.forms == nil && len(c.ports) == 0 && !c.profiles
}

// Concerns reports whether the decision about a connection may be another one now, or ask for
// other terms: policy is the one that decided before, 0: none did. It does not allocate, and
// looks at what has changed only, as long as that does not touch the connection.
func (c *Change) Concerns(policy flows.PolicyRef, s *flows.Subject) bool {
	switch {
	case policy != 0 && c.policies[policy]:
		return true
	case c.profiles:
	case s.Placed && len(c.ports) > 0 && (c.ports[s.In] || c.ports[s.Out]):
	case c.forms != nil && c.forms.mayMatch(s):
	default:
		return false
	}
	now := c.new.Decide(s)
	return now.Policy != policy || now != c.old.Decide(s) || c.policies[now.Hope]
}

// mayMatch reports whether a rule may match. Most often addresses alone say that none does.
func (t *Table) mayMatch(s *flows.Subject) bool {
	var f facts
	t.lookAt(s, &f)
	for i := range t.all {
		if f.addressed(i) != 0 {
			t.lookInto(s, &f)
			return t.search(&f).may != [3]int{-1, -1, -1}
		}
	}
	return false
}
