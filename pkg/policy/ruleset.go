package policy

import (
	"net/netip"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// rule is a policy that is in force, as it is compiled.
type rule struct {
	Policy
	ref flows.PolicyRef
}

// ruleset is rules, and profiles, compiled. It is never changed. Each condition is a
// dimension: it says which rules a connection fits by it. A rule matches where all do.
type ruleset struct {
	rules    []rule // in their order
	profiles profiles
	at       map[flows.PolicyRef]int // the first rule of each policy
	verdicts [3]bitset               // by flows.Verdict

	protocols          [256]bitset
	src, dst           addresses
	srcPorts, dstPorts numbers
	dscp               [64]bitset
	noDSCP             bitset
	serverNames        names

	applications       map[string]bitset // by those that rules name: they, and rules that name none
	noApplication      bitset
	unknownApplication outcome
	uninspectable      bitset // rules with Uninspectable
	asksUninspectable  bool   // there are such

	noPort      bitset // rules without a condition on ports
	ports       []portRules
	unknownPort outcome // of the others

	all, none bitset
}

// portRules are the rules that have the same condition on ports.
type portRules struct {
	match PortMatch
	rules []int
}

func newRuleset(rules []rule, list []Profile) *ruleset {
	b := newBuilder(len(rules))
	match := func(i int) *Match { return &rules[i].Match }
	r := &ruleset{
		rules: rules, profiles: newProfiles(list), at: map[flows.PolicyRef]int{},

		src:         newAddresses(b, func(i int) []netip.Prefix { return match(i).Src }),
		dst:         newAddresses(b, func(i int) []netip.Prefix { return match(i).Dst }),
		srcPorts:    newNumbers(b, func(i int) []PortRange { return match(i).SrcPorts }),
		dstPorts:    newNumbers(b, func(i int) []PortRange { return match(i).DstPorts }),
		noDSCP:      b.where(func(i int) bool { return len(match(i).DSCP) == 0 }),
		serverNames: newNames(b, func(i int) []string { return match(i).ServerNames }),

		applications:  map[string]bitset{},
		noApplication: b.where(func(i int) bool { return len(match(i).Applications) == 0 }),
		uninspectable: b.where(func(i int) bool { return slices.Contains(match(i).Applications, Uninspectable) }),

		noPort: b.where(func(i int) bool { return match(i).Port.isAny() }),

		all: b.where(func(int) bool { return true }), none: b.where(func(int) bool { return false }),
	}
	for i := len(rules) - 1; i >= 0; i-- {
		r.at[rules[i].ref] = i
	}
	for v := range r.verdicts {
		r.verdicts[v] = b.where(func(i int) bool { return int(rules[i].Verdict) == v })
	}
	r.asksUninspectable = slices.ContainsFunc(rules, func(r rule) bool { return slices.Contains(r.Match.Applications, Uninspectable) })
	r.addProtocols(b)
	r.addDSCP(b)
	r.addApplications(b)
	r.addPorts()
	r.unknownPort = outcome{b.keep(r.all.without(r.noPort)), r.none}
	return r
}

func (r *ruleset) addProtocols(b *builder) {
	any := b.where(func(i int) bool { return len(r.rules[i].Match.Protocols) == 0 })
	for p := range r.protocols {
		r.protocols[p] = any
	}
	own := map[flows.Proto][]int{}
	for i := range r.rules {
		for _, p := range r.rules[i].Match.Protocols {
			own[p] = append(own[p], i)
		}
	}
	for p, list := range own {
		set := slices.Clone(any)
		for _, i := range list {
			set.add(i)
		}
		r.protocols[p] = b.keep(set)
	}
}

func (r *ruleset) addDSCP(b *builder) {
	for d := range r.dscp {
		r.dscp[d] = b.where(func(i int) bool {
			list := r.rules[i].Match.DSCP
			return len(list) == 0 || slices.Contains(list, uint8(d))
		})
	}
}

func (r *ruleset) addApplications(b *builder) {
	may := slices.Clone(r.noApplication)
	for i := range r.rules {
		for _, name := range r.rules[i].Match.Applications {
			if name == Uninspectable {
				continue
			}
			if r.applications[name] == nil {
				r.applications[name] = slices.Clone(r.noApplication)
			}
			r.applications[name].add(i)
			may.add(i)
		}
	}
	r.unknownApplication = outcome{b.keep(may), r.noApplication}
}

// addPorts joins the rules whose conditions on ports are the same.
func (r *ruleset) addPorts() {
	at := map[string]int{}
	for i := range r.rules {
		m := r.rules[i].Match.Port
		if m.isAny() {
			continue
		}
		key := m.key()
		n, ok := at[key]
		if !ok {
			n = len(r.ports)
			at[key] = n
			r.ports = append(r.ports, portRules{match: m})
		}
		r.ports[n].rules = append(r.ports[n].rules, i)
	}
}
