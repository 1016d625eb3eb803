package wire

import (
	"context"
	"maps"
	"slices"

	"github.com/flowshunt/flowshunt/pkg/openflow"
)

// place is what makes two flows the same to a bridge.
type place struct {
	priority uint16
	match    openflow.Match
}

// standing are the flows of wires that a bridge has: what of them matters.
type standing map[place]openflow.FlowMod

// read reads the flows of wires, and what they say of them.
func read(ctx context.Context, c *openflow.Client) (standing, []mark, error) {
	have, marks := make(standing), []mark(nil)
	filter := openflow.Filter{Table: table, Cookie: cookieMagic << 32, CookieMask: magicMask}
	err := c.Flows(ctx, filter, func(f *openflow.Flow) error {
		mod := openflow.FlowMod{Table: f.Table, Priority: f.Priority, Cookie: f.Cookie, Idle: f.Idle, Hard: f.Hard, Match: f.Match}
		for _, a := range f.Actions {
			mod.Actions = append(mod.Actions, a.Clone())
		}
		if f.Partial {
			mod.Actions = nil // whatever it does, it is not what we want
		}
		have[place{f.Priority, f.Match}] = mod
		if m, ok := markOf(f); ok && !slices.Contains(marks, m) {
			marks = append(marks, m)
		}
		return nil
	})
	return have, marks, err
}

// mend returns what makes a bridge have the flows that are wanted: bundles, each of which
// leaves every wire whole. A wire of which anything is not as it shall be is made anew. Those
// with the cookies that are left alone stay as they are.
func (s standing) mend(want []openflow.FlowMod, left map[uint64]bool) (bundles [][]openflow.FlowMod) {
	wrong := make(map[uint64]bool)
	wanted := make(map[place]bool, len(want))
	for i := range want {
		at := place{want[i].Priority, want[i].Match}
		wanted[at] = true
		if have, ok := s[at]; !ok || !same(&have, &want[i]) {
			wrong[want[i].Cookie] = true
		}
	}
	for at, have := range s {
		if !wanted[at] && !left[have.Cookie] {
			wrong[have.Cookie] = true
		}
	}
	var now []openflow.FlowMod
	for _, cookie := range slices.Sorted(maps.Keys(wrong)) {
		mods := []openflow.FlowMod{{Command: openflow.DeleteFlow, Table: table, Cookie: cookie, CookieMask: wholeCookie}}
		for i := range want {
			if want[i].Cookie == cookie {
				mods = append(mods, want[i])
			}
		}
		if len(now)+len(mods) > openflow.MaxBundle {
			bundles, now = append(bundles, now), nil
		}
		now = append(now, mods...)
	}
	if len(now) > 0 {
		bundles = append(bundles, now)
	}
	return bundles
}

func same(a, b *openflow.FlowMod) bool {
	return a.Cookie == b.Cookie && a.Idle == b.Idle && a.Hard == b.Hard && slices.EqualFunc(a.Actions, b.Actions, openflow.Action.Equal)
}
