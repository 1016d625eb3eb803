package flower

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/tc"
)

// Preferences returns, ascending, each Config.Preference under which rules of ours
// stand on any device of the namespace, whoever configured it. It reads every
// filter there is, those of others too: for once, not for always. It goes on after
// errors.
func (d *Driver) Preferences(ctx context.Context) ([]uint16, error) {
	links, err := d.Links(ctx)
	if err != nil {
		return nil, err
	}
	found := make(map[uint16]bool)
	var errs []error
	for _, link := range links {
		err := d.with(ctx, func(w *worker) error {
			return w.conn.Filters(ctx, tc.Scope{Link: link, Parent: tc.Ingress, OnChain: true}, func(f *tc.Filter) error {
				if first, ours := firstPreference(f); ours {
					found[first] = true
				}
				return nil
			})
		})
		if err != nil {
			errs = append(errs, fmt.Errorf("ifindex %d: %w", link, err))
		}
	}
	return slices.Sorted(maps.Keys(found)), errors.Join(errs...)
}

// CheckPreference says why a Config.Preference is not possible for an agent: all
// preferences must be there. An earlier version, which had fewer, may have had it.
func CheckPreference(first uint16) error {
	if first <= eswitch.GuardClasses+1 || int(first)+eswitch.Classes > 1<<16 {
		return fmt.Errorf("preference %d: possible are %d to %d", first, eswitch.GuardClasses+2, 1<<16-eswitch.Classes)
	}
	return nil
}

// isPreference reports whether tc has such a preference.
func isPreference(n int) bool { return n > 0 && n < 1<<16 }

// firstPreference returns the preference that a driver was configured with which
// made this rule; ours is false for a filter without our cookie, or one that is
// like no rule of ours.
func firstPreference(f *tc.Filter) (first uint16, ours bool) {
	if f.Kind != tc.KindFlower || f.Handle == 0 || len(f.Actions) == 0 {
		return 0, false
	}
	if n := int(f.Pref) + eswitch.GuardClasses + 1; isCurtain(f) && isPreference(n) {
		return uint16(n), true
	}
	class, known := eswitch.ClassOfGuard(guardOf(f)), true
	if _, id, _ := eswitch.DecodeCookie(f.Actions[0].Cookie.Bytes()); id != 0 {
		class, known = eswitch.ClassOf(ruleOf(f, flows.Orig, false)) // unknown: not of one connection
	}
	n := int(f.Pref) - offset(class)
	if class == 0 || !known || !isPreference(n) {
		return 0, false
	}
	d := Driver{cfg: Config{Preference: uint16(n)}}
	return uint16(n), d.decode(f, false, new(eswitch.Found))
}
