package secgroup

import (
	"maps"
	"net/netip"
	"reflect"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// rule is what a Compiler knows of a RuleID.
type rule struct {
	told     *Rule
	action   Action
	ref      flows.RuleRef
	groups   []*group
	sets     map[*set]use
	verdicts [Unknown + 1]verdict // one that could not be resolved wholly has two

	// These are of where it stands now.
	places   []place        // each once
	prefixes []netip.Prefix // that have numbers for it
}

// use is how rules name a set.
type use uint8

const (
	positive use = 1 << iota
	negative     // NotSets
)

func (r *rule) verdict(a Action) verdict {
	r.verdicts[a] = newVerdict(r.told, r.ref, a)
	return r.verdicts[a]
}

func (r *rule) has(a Action) bool { return r.verdicts[a] != verdict{} }

// allows and denies report what r does where it stands now; it may do both.
func (r *rule) allows() bool { return r.has(Allow) }

func (r *rule) denies() bool {
	return r.has(AllowStateless) || r.has(Drop) || r.has(Unknown)
}

// changeRule puts a rule, or nil, into the place of what had its id. One that is told again
// keeps its reference.
func (c *Compiler) changeRule(id RuleID, told *Rule) {
	old := c.rules[id]
	if old != nil && told != nil && old.told.decidesAs(told) {
		if old.told.Name != told.Name {
			c.labels[slotOf(old.ref)] = label{old.ref, told.Name}
		}
		old.told = told
		return
	}
	if old != nil {
		delete(c.rules, id)
		c.dropRule(old)
	}
	if told != nil {
		c.rules[id] = c.addRule(told)
	}
}

// decidesAs reports whether two rules differ in their names at most.
func (r *Rule) decidesAs(o *Rule) bool {
	a, b := *r, *o
	a.Name, b.Name = "", ""
	a.Groups, b.Groups = sortedSet(a.Groups), sortedSet(b.Groups)
	return reflect.DeepEqual(&a, &b)
}

// sortedSet returns what is in list, each once and in order.
func sortedSet[T ~string](list []T) []T {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

func (c *Compiler) addRule(told *Rule) *rule {
	c.refs++
	slot := c.slots.take()
	r := &rule{
		told:   told,
		action: told.Action,
		ref:    flows.RuleRef(c.refs<<slotBits | uint64(slot)),
		sets:   make(map[*set]use),
	}
	if r.action == 0 || r.action > Unknown {
		r.action = Unknown
	}
	c.labels[slot] = label{r.ref, told.Name}
	for _, id := range sortedSet(told.Groups) {
		g := c.group(id)
		g.rules++
		r.groups = append(r.groups, g)
	}
	for i := range told.Matches {
		m := &told.Matches[i]
		for _, a := range [...]*Addrs{&m.Remote, &m.Local} {
			c.useSets(r, a.Sets, positive)
			c.useSets(r, a.NotSets, negative)
		}
	}
	c.put(r)
	return r
}

func (c *Compiler) useSets(r *rule, ids []SetID, as use) {
	for _, id := range ids {
		s := c.set(id)
		s.users[r] |= as
		r.sets[s] |= as
	}
}

func (c *Compiler) dropRule(r *rule) {
	c.remove(r)
	for s := range r.sets {
		delete(s.users, r)
		c.releaseSet(s)
	}
	for _, g := range r.groups {
		g.rules--
		c.releaseGroup(g)
	}
	slot := slotOf(r.ref)
	c.labels[slot] = label{}
	c.slots.free(slot)
	delete(c.stale, r)
}

// refresh puts a rule where it belongs after sets that it names have appeared or vanished.
// Where they only appeared, nothing that it allowed is lost, and a Drop is in force where it
// was unknown already, at the most. But an Allow may match what is unknown for the lack of
// another set, and AllowStateless takes effect also where it does not decide.
func (c *Compiler) refresh(r *rule, vanished bool) {
	before := c.concern
	c.concern = newConcern()
	c.remove(r)
	c.put(r)
	if vanished {
		maps.Copy(before.rules, c.concern.rules)
	}
	if vanished || r.action < Drop {
		maps.Copy(before.restricted, c.concern.restricted)
		maps.Copy(before.hosts, c.concern.hosts)
	}
	c.concern = before
}

// put lets r stand where it belongs now.
func (c *Compiler) put(r *rule) {
	seen := make(map[place]bool)
	places := c.places(r)
	for _, p := range places {
		for _, g := range r.groups {
			e := c.edit(g, p.place)
			e.add = append(e.add, p.entry)
		}
		if !seen[p.place] {
			seen[p.place] = true
			r.places = append(r.places, p.place)
		}
	}
	if !r.denies() {
		return
	}
	c.deny(r, places)
	for _, g := range r.groups {
		g.denying++
	}
}

// remove undoes put.
func (c *Compiler) remove(r *rule) {
	for _, p := range r.places {
		for _, g := range r.groups {
			c.edit(g, p).gone[r.ref] = true
		}
	}
	for _, p := range r.prefixes {
		c.release(p)
	}
	if r.allows() {
		c.revoke(r.ref)
	}
	if r.denies() {
		for _, g := range r.groups {
			g.denying--
		}
	}
	r.places, r.prefixes, r.verdicts = nil, nil, [Unknown + 1]verdict{}
}
