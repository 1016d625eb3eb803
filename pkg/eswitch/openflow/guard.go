package openflow

import (
	"math/bits"
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	of "github.com/flowshunt/flowshunt/pkg/openflow"
)

// fewHops are the TTLs, from 0 on, that a guard keeps from rules. A TTL cannot be matched
// with a mask, so a guard is a flow for each.
const fewHops = flows.MaxHops + 1

// keepShare is at which part of their lives rules are kept.
const keepShare = 3

// maxHard is the longest life of a rule, in seconds, of which that of a guard can be told.
const maxHard = (1<<16 - 1 - 3) / (1 + keepShare) * keepShare

// guardHard is how long a guard lives without Keep, in seconds: it may have been kept last
// just before rules could be made that rely on it for that part of their lives. Then there
// is the second in which Open vSwitch looks.
func (d *Driver) guardHard() uint16 {
	hard := d.hard()
	return hard + (hard+keepShare-1)/keepShare + 2
}

// guards returns the flows of a guard: ahead of all rules, they make a packet one that no
// rule matches, and give it to the bridge as if it came in now.
func (d *Driver) guards(c *eswitch.Change, in uint32) []of.FlowMod {
	m := d.markOf(c)
	mod := of.FlowMod{
		Command: of.AddFlow, Table: table, Priority: d.cfg.Priority + 1, Cookie: cookieOf(c.Ref.Handle),
		Hard: d.guardHard(), Match: outsideOf(&c.Rule, in), Actions: setAside(&m),
	}
	mod.Match.MatchTTL = true
	mods := make([]of.FlowMod, fewHops)
	for ttl := range mods {
		mods[ttl] = mod
		mods[ttl].Match.TTL = uint8(ttl)
	}
	return mods
}

func setAside(m *mark) []of.Action {
	return []of.Action{
		{Kind: of.Note, Note: m.note()},
		{Kind: of.SetMetadata, Bit: uint8(bits.TrailingZeros64(Aside))},
		{Kind: of.Resubmit, Table: table},
	}
}

// guardOf is ruleOf for a guard.
func guardOf(f *of.Flow, m *mark) flows.Rule {
	r := flows.Rule{In: m.link}
	nobody := netip.IPv4Unspecified()
	if f.Match.EthType == of.IPv6 {
		nobody = netip.IPv6Unspecified()
	}
	r.Tuple = flows.Tuple{Src: nobody, Dst: nobody}
	r.Tunnel = arrives(&f.Match, m.in)
	if f.Match.VLAN != 0 {
		r.Tags[0].Type = flows.TagCustomer
	}
	return r
}

// guardIntact is intact for one of a guard's flows.
func (d *Driver) guardIntact(f *of.Flow, m *mark, r *flows.Rule, in uint32) bool {
	want := d.guards(&eswitch.Change{Ref: m.ref(0), Rule: *r}, in)[min(f.Match.TTL, fewHops-1)]
	return f.Table == table && f.Priority == want.Priority && f.Hard == want.Hard && f.Idle == 0 && !f.Partial && f.Match == want.Match &&
		len(f.Actions) == 3 && f.Actions[1].Equal(want.Actions[1]) && f.Actions[2].Equal(want.Actions[2])
}

// whole puts the flows of each guard together. Guards of which a flow is missing are none:
// their cookies are returned, for what is left of them to be removed.
func whole(guards []eswitch.Found) (all []eswitch.Found, broken []uint64) {
	flowsOf := make(map[eswitch.Ref]int)
	at := make(map[eswitch.Ref]int)
	for _, g := range guards {
		i, seen := at[g.Ref]
		if flowsOf[g.Ref]++; !seen {
			at[g.Ref] = len(all)
			all = append(all, g)
			continue
		}
		all[i].Intact = all[i].Intact && g.Intact
		all[i].Count.Packets += g.Count.Packets
		all[i].Count.Bytes += g.Count.Bytes
	}
	complete := all[:0]
	for _, g := range all {
		if flowsOf[g.Ref] == fewHops {
			complete = append(complete, g)
		} else {
			broken = append(broken, cookieOf(g.Ref.Handle))
		}
	}
	return complete, broken
}
