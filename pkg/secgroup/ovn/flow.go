package ovn

import (
	"strings"

	"github.com/flowshunt/flowshunt/ovsdb/ovnsb"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// acl is a flow of a stage of ACLs, wherever it applies.
type acl struct {
	stage stage
	// base says that the flow is the one of the stage that every packet meets that no other
	// matches. Without it OVN drops all. On switches that have neither ACLs nor load balancers
	// it lets pass, and is of a priority over all others.
	base bool
	understood
	passes   bool            // it leaves the packet to the next tier
	action   secgroup.Action // 0: the flow does nothing for the packet that is judged
	tier     uint8           // of parts that say none
	priority uint16
	hint     string // the first digits of the ACL's uuid; empty: northd added it for all
	name     string
}

// What is after all tiers of OVN, and over all priorities in the first.
const (
	lastTier    = 255
	topPriority = 1<<16 - 1
)

// newACL reads a flow of a stage of ACLs.
func newACL(row *ovnsb.LogicalFlow, s stage, sets addressSets) *acl {
	a := &acl{stage: s, priority: uint16(row.Priority), hint: row.ExternalIDs["stage-hint"]}
	a.name = a.nameFor(row.Match)
	a.base = row.Match == "1" && (row.Priority == 0 || a.hint == "" && row.Actions == "next;")
	if a.base {
		a.setBase(row)
		return a
	}
	if s.kind == carries {
		return a // by the registers that the verdict is in
	}
	a.understood = understand(row.Match, s.direction, sets)
	if len(a.parts) == 0 {
		return a
	}
	if a.tracks && a.hint != "" {
		a.doubtAll() // not all packets of one connection meet the same
	}
	var decides bool
	if a.action, decides = outcomeOf(row.Actions).action(s.kind == judges, a.hinted); !decides {
		a.action, a.passes = secgroup.Unknown, true
	}
	if s.afterLB {
		a.setAfterLB()
	}
	if a.refused && (a.action == secgroup.Allow || a.action == secgroup.AllowStateless) {
		// What OVN does not carry out permits nothing. If it drops, that is left unknown, in
		// case a newer OVN understands it.
		a.action = 0
	}
	return a
}

func (a *acl) doubtAll() {
	for i := range a.parts {
		a.parts[i].doubt = true
	}
}

// setBase reads what happens to packets that no ACL matches. That they pass is said by
// Port.Permissive.
func (a *acl) setBase(row *ovnsb.LogicalFlow) {
	switch o := outcomeOf(row.Actions); {
	case o.strange:
		a.action = secgroup.Unknown
	case o.drop:
		a.action = secgroup.Drop
	default:
		return
	}
	a.tier = lastTier
	a.parts = []part{{matches: []secgroup.Match{{}}}}
	if a.stage.afterLB {
		a.setAfterLB()
	}
}

// setAfterLB makes an ACL behind load balancing unknown, because it judges packets that an
// ACL before has let pass already, and by addresses that may be others than at the port.
// One that permits changes nothing where none of the others denies.
func (a *acl) setAfterLB() {
	if a.action == secgroup.Allow || a.action == secgroup.AllowStateless {
		a.action = 0
		return
	}
	a.action, a.tier, a.priority = secgroup.Unknown, 0, topPriority
	for i := range a.parts {
		a.parts[i].tier, a.parts[i].matches = 0, everything.matches
	}
}

// maxName bounds the name of a rule.
const maxName = 256

// nameFor makes a name for a person: with it, "ovn-nbctl list acl HINT" shows the ACL, which
// knows the network service's id of its rule.
func (a *acl) nameFor(match string) string {
	// What northd puts before an ACL's match is about its own registers.
	if _, own, found := strings.Cut(match, " && ("); found && strings.HasPrefix(match, "reg") && strings.HasSuffix(own, ")") {
		match = strings.TrimSuffix(own, ")")
	} else if a.hint != "" && a.stage.kind == judges && strings.HasPrefix(match, "(") {
		match = strings.TrimSuffix(match[1:], ")")
	}
	name := "OVN's own flow"
	if a.hint != "" {
		name = "ACL " + a.hint
	}
	return shortened(name + ": " + match)
}

func shortened(name string) string {
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName], "") + "..."
	}
	return name
}

// rule returns one part as a rule for groups.
func (a *acl) rule(p *part, doubt string, groups []secgroup.GroupID) *secgroup.Rule {
	r := &secgroup.Rule{
		Name: a.name, Groups: groups, Direction: a.stage.direction,
		Tier: max(a.tier, p.tier), Priority: a.priority, Action: a.action, Matches: p.matches,
	}
	if p.doubt {
		doubt = a.why()
	}
	if doubt == "" {
		return r
	}
	r.Name += " (" + doubt + ")"
	if r.Action == secgroup.AllowStateless {
		// It takes effect even where a better ACL permits.
		r.Tier, r.Priority = 0, topPriority
	}
	r.Action = secgroup.Unknown
	return r
}

// denies reports whether the ACL drops all that ports in a port group send, or receive.
func (a *acl) denies(group string) bool {
	if a.action != secgroup.Drop {
		return false
	}
	for _, p := range a.parts {
		if p.port == (portRef{group, true}) && !p.doubt && coversAll(p.matches) {
			return true
		}
	}
	return false
}

// coversAll reports whether matches are all of IP, whole or in its two families.
func coversAll(matches []secgroup.Match) bool {
	var seen [3]bool
	for _, m := range matches {
		if !m.HasProto && m.Local.IsAny() && m.Remote.IsAny() && !m.SrcPorts.Some && !m.DstPorts.Some {
			seen[m.Family] = true
		}
	}
	return seen[secgroup.AnyFamily] || seen[secgroup.IPv4] && seen[secgroup.IPv6]
}
