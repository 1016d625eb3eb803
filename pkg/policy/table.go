package policy

import (
	"math/bits"

	"github.com/flowshunt/flowshunt/flows"
)

// Table is policies, profiles and ports, compiled. It is never changed, and may be used by
// any number of goroutines. Compile makes one.
type Table struct {
	*ruleset
	places   map[flows.PortID]place
	policies map[string]*known   // by name, all that were written
	profile  map[string]*Profile // by name, the last good form
	lastRef  flows.PolicyRef
}

// Decide returns what the policies say about a connection. It does not allocate.
func (t *Table) Decide(s *flows.Subject) flows.Decision {
	var f facts
	t.lookAt(s, &f)
	t.lookInto(s, &f)
	found := t.search(&f)
	d := flows.Decision{Hope: t.ref(found.hope)}
	if found.certain >= 0 {
		d.Policy, d.Verdict = t.ref(found.certain), t.rules[found.certain].Verdict
	}
	d.Doubt = t.ref(found.doubt(d.Verdict))
	return d
}

func (t *Table) ref(rule int) flows.PolicyRef {
	if rule < 0 {
		return 0
	}
	return t.rules[rule].ref
}

// Terms returns what a policy asks for; the zero value: it is not there any more.
func (t *Table) Terms(p flows.PolicyRef) flows.Terms {
	if i, ok := t.at[p]; ok {
		return t.rules[i].Terms
	}
	return flows.Terms{}
}

// Describe returns the name of a policy; empty: it is not in force any more.
func (t *Table) Describe(p flows.PolicyRef) string {
	if i, ok := t.at[p]; ok {
		return t.rules[i].Name
	}
	return ""
}

// Len returns how many policies are in force.
func (t *Table) Len() int { return len(t.at) }

// outcome is which rules may match by some condition, and which of them surely do.
type outcome struct{ may, sure bitset }

func surely(set bitset) outcome { return outcome{set, set} }

// address is which rules one of a connection's names meets.
type address struct{ src, dst, srcPort, dstPort bitset }

// facts are what each condition makes of a connection.
type facts struct {
	protocol         bitset
	near, far        address // one of these
	dscp, serverName outcome
	in, out          outcome // one of these, or there is no condition
	// one of these
	application, uninspectable outcome
}

// lookAt asks the conditions on addresses.
func (t *Table) lookAt(s *flows.Subject, f *facts) {
	f.protocol = t.protocols[s.Tuple.Proto]
	f.near = t.address(&s.Tuple)
	f.far = f.near
	if s.Far != s.Tuple && s.Far.IsValid() {
		f.far = t.address(&s.Far)
	}
}

// lookInto asks the others.
func (t *Table) lookInto(s *flows.Subject, f *facts) {
	f.dscp = outcome{t.all, t.noDSCP}
	if 1 <= s.DSCP && s.DSCP <= 64 {
		f.dscp = surely(t.dscp[s.DSCP-1])
	}
	f.in, f.out = t.unknownPort, t.unknownPort
	if s.Placed {
		f.in, f.out = t.end(s.In), t.end(s.Out)
	}
	t.lookIntoContent(s, f)
}

func (r *ruleset) address(t *flows.Tuple) address {
	a := address{r.src.fit(t.Src), r.dst.fit(t.Dst), r.srcPorts.rest, r.dstPorts.rest}
	if t.Proto.HasPorts() {
		a.srcPort, a.dstPort = r.srcPorts.fit(t.SrcPort), r.dstPorts.fit(t.DstPort)
	}
	return a
}

// end judges the port at one end. One that is not known here (yet) may be any.
func (t *Table) end(id flows.PortID) outcome {
	if id == 0 || len(t.ports) == 0 {
		return surely(t.none)
	}
	if p, ok := t.places[id]; ok {
		return p.outcome
	}
	return t.unknownPort
}

// lookIntoContent asks the conditions on what first packets show.
func (t *Table) lookIntoContent(s *flows.Subject, f *facts) {
	c := content(s)
	f.application, f.uninspectable = t.unknownApplication, surely(t.none)
	f.serverName = outcome{t.all, t.serverNames.rest}
	if c.Known {
		f.application = surely(t.application(c.Application))
		f.serverName = surely(t.serverNames.fit(c.ServerName))
	}
	if !t.asksUninspectable {
		return
	}
	switch t.profiles.uninspectable(s, &c) {
	case yes:
		f.uninspectable = surely(t.uninspectable)
	case maybe:
		f.uninspectable.may = t.uninspectable
	}
}

func (r *ruleset) application(name string) bitset {
	if len(r.applications) > 0 && name != "" {
		if set, ok := r.applications[name]; ok {
			return set
		}
	}
	return r.noApplication
}

// found is what a search has found: rules, -1 is none.
type found struct {
	certain int    // the first that surely matches
	hope    int    // the first to offload that would if ports and DSCP were known; not after certain
	may     [3]int // the first with each verdict that may match; not after certain
}

// doubt returns the first rule that stands in the way of a verdict; see flows.Decision.
func (f *found) doubt(v flows.Verdict) int {
	first, agreed := -1, v
	if f.certain < 0 {
		agreed = flows.Offload
	} else if v == flows.Inspect {
		return first
	}
	for other, i := range f.may {
		if flows.Verdict(other) != agreed && i >= 0 && (first < 0 || i < first) {
			first = i
		}
	}
	return first
}

// addressed returns word i of the rules that fit by addresses.
func (f *facts) addressed(i int) uint64 {
	return f.protocol[i] & (f.near.src[i]&f.near.dst[i]&f.near.srcPort[i]&f.near.dstPort[i] |
		f.far.src[i]&f.far.dst[i]&f.far.srcPort[i]&f.far.dstPort[i])
}

// search brings the conditions together, 64 rules at a time, up to the first that is certain.
func (r *ruleset) search(f *facts) found {
	n := found{certain: -1, hope: -1, may: [3]int{-1, -1, -1}}
	for i := range r.all {
		base := f.addressed(i)
		if base == 0 {
			continue
		}
		base &= r.noPort[i] | f.in.may[i] | f.out.may[i]
		may := base & f.dscp.may[i] & f.serverName.may[i] & (f.application.may[i] | f.uninspectable.may[i])
		if may == 0 {
			continue
		}
		hope := may & f.serverName.sure[i] & (f.application.sure[i] | f.uninspectable.sure[i])
		sure := hope & f.dscp.sure[i] & (r.noPort[i] | f.in.sure[i] | f.out.sure[i])
		if sure != 0 {
			n.certain = i*64 + bits.TrailingZeros64(sure)
			upTo := sure ^ (sure - 1) // the first one, and all before it
			may &= upTo
			hope &= upTo
		}
		for v := range n.may {
			note(&n.may[v], i, may&r.verdicts[v][i])
		}
		if note(&n.hope, i, hope&r.verdicts[flows.Offload][i]); sure != 0 {
			break
		}
	}
	return n
}

// note puts the first rule of word i of a set into first, unless there is one.
func note(first *int, i int, word uint64) {
	if *first < 0 && word != 0 {
		*first = i*64 + bits.TrailingZeros64(word)
	}
}
