package flower

import (
	"slices"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/tc"
)

// preference returns where the rules of a class stand, and whether they can stand at all.
func (d *Driver) preference(c eswitch.Class) (uint16, bool) {
	n := int(d.cfg.Preference) + offset(c)
	return uint16(n), isPreference(n)
}

// offset counts from the first preference of rules; guards stand right before that.
func offset(c eswitch.Class) int {
	if c.IsGuard() {
		return int(c-eswitch.GuardIPv4) - eswitch.GuardClasses
	}
	return int(c) - 1
}

// classAt is the opposite of preference.
func (d *Driver) classAt(pref uint16) (eswitch.Class, bool) {
	switch n := int(pref) - int(d.cfg.Preference); {
	case n >= eswitch.Classes || n < -eswitch.GuardClasses:
		return 0, false
	case n < 0:
		return eswitch.GuardIPv4 + eswitch.Class(n+eswitch.GuardClasses), true
	default:
		return eswitch.Class(n + 1), true
	}
}

// protocol returns that of the filters of a class. Of tagged packets it is the type of
// the outermost tag.
func protocol(c eswitch.Class) uint16 {
	if tag := c.TagType(); tag != 0 {
		return tag
	}
	return network(c.IsIPv6())
}

func network(v6 bool) uint16 {
	if v6 {
		return tc.ProtocolIPv6
	}
	return tc.ProtocolIPv4
}

// reference writes into f what identifies the filter.
func (d *Driver) reference(f *tc.Filter, ref eswitch.Ref) {
	f.Link, f.Parent, f.Chain, f.Handle = ref.Link, tc.Ingress, 0, ref.Handle
	f.Pref, _ = d.preference(ref.Class)
	f.Protocol, f.Kind = protocol(ref.Class), tc.KindFlower
	f.Flags = d.flags
}

// encode writes the whole filter into f, in the words for the kernel if it may be the one
// who executes it. It fails where tc has no words for the rule.
func (d *Driver) encode(f *tc.Filter, c *eswitch.Change, flags tc.FilterFlags) (err error) {
	d.reference(f, c.Ref)
	f.Flags = flags
	cookie := eswitch.EncodeCookie(d.cfg.Generation, c.Session)
	if c.Session == 0 {
		f.Match, f.Actions = guardMatch(&c.Rule), append(f.Actions[:0], pass)
	} else {
		f.Match = matchOf(&c.Rule)
		if f.Actions, err = appendActions(f.Actions[:0], &c.Rule, d.cfg.Mode != SkipSW && flags&tc.SkipSW == 0); err != nil {
			return err
		}
	}
	for i := range f.Actions {
		f.Actions[i].Cookie, f.Actions[i].Flags = tc.NewCookie(cookie[:]), tc.NoPercpuStats
	}
	return nil
}

// decode reads a filter into found and reports whether it is one of ours.
func (d *Driver) decode(f *tc.Filter, detail bool, found *eswitch.Found) bool {
	class, ok := d.classAt(f.Pref)
	if !ok || f.Kind != tc.KindFlower || f.Protocol != protocol(class) || f.Handle == 0 || len(f.Actions) == 0 {
		return false
	}
	*found = eswitch.Found{Ref: eswitch.Ref{Link: f.Link, Class: class, Handle: f.Handle}, Preference: f.Pref}
	for i := range f.Actions {
		generation, id, ours := eswitch.DecodeCookie(f.Actions[i].Cookie.Bytes())
		if !ours || (id == 0) != class.IsGuard() || i > 0 && id != found.Session {
			return false
		}
		found.Generation, found.Session = generation, id
	}
	stats := &f.Actions[len(f.Actions)-1].Stats // of what was redirected
	found.Count = flows.Counters(stats.Total)
	found.Hardware = flows.Counters(stats.Hardware)
	found.InHW = f.Flags&tc.InHW != 0
	if detail {
		d.decodeRule(f, found)
	}
	return true
}

// decodeRule reads back what the filter was made from, as far as it tells, and makes
// the filter once more to compare.
func (d *Driver) decodeRule(f *tc.Filter, found *eswitch.Found) {
	if found.Session == 0 {
		found.Rule = guardOf(f)
	} else {
		found.Rule = ruleOf(f, found.Ref.Dir(), d.tellsDF)
		c := found.Rule.Change.Value()
		found.HidesBreak = !d.tellsDF && !c.Tunnel.IsZero()
	}
	want := tc.Filter{Actions: make([]tc.Action, 0, 8)}
	c := eswitch.Change{Ref: found.Ref, Session: found.Session, Rule: found.Rule}
	found.Intact = !f.Partial && f.Chain == 0 && d.classFits(c) && d.encode(&want, &c, f.Flags) == nil &&
		f.Match == want.Match && slices.EqualFunc(f.Actions, want.Actions, d.same)
}

// classFits reports whether a rule stands where this version puts it.
func (d *Driver) classFits(c eswitch.Change) bool {
	if c.Session == 0 {
		return eswitch.ClassOfGuard(c.Rule) == c.Ref.Class
	}
	class, ok := eswitch.ClassOf(c.Rule)
	return ok && class == c.Ref.Class
}

// same reports whether a filter of the kernel's has the action that was asked for.
func (d *Driver) same(have, want tc.Action) bool {
	if !d.tellsDF {
		want.Tunnel.NoFragment = have.Tunnel.NoFragment
	}
	return have.Same(&want)
}
