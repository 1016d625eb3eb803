package file

import (
	"net/netip"
	"reflect"

	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// since is an update that tells what is not as it was, or nil where all is.
func (s *state) since(old *state) *secgroup.Update {
	u := &secgroup.Update{
		Ports: changed(old.ports, s.ports), Rules: changed(old.rules, s.rules),
		Sets: map[secgroup.SetID]secgroup.SetChange{},
	}
	for id := range old.sets {
		if _, stays := s.sets[id]; !stays {
			u.Sets[id] = secgroup.SetChange{Gone: true}
		}
	}
	for id, now := range s.sets {
		before, was := old.sets[id]
		if !was {
			u.Sets[id] = secgroup.SetChange{Replace: true, Add: now}
			continue
		}
		change := secgroup.SetChange{Add: without(now, before), Remove: without(before, now)}
		if len(change.Add)+len(change.Remove) > 0 {
			u.Sets[id] = change
		}
	}
	if len(u.Ports)+len(u.Rules)+len(u.Sets) == 0 {
		return nil
	}
	return u
}

// changed has what is new or otherwise than it was, and nil for what is gone.
func changed[K comparable, V any](before, now map[K]*V) map[K]*V {
	diff := map[K]*V{}
	for key := range before {
		if _, stays := now[key]; !stays {
			diff[key] = nil
		}
	}
	for key, value := range now {
		if was, ok := before[key]; !ok || !reflect.DeepEqual(was, value) {
			diff[key] = value
		}
	}
	return diff
}

// without is what is in a and not in b; both are sorted.
func without(a, b []netip.Prefix) []netip.Prefix {
	var out []netip.Prefix
	for _, prefix := range a {
		for len(b) > 0 && b[0].Compare(prefix) < 0 {
			b = b[1:]
		}
		if len(b) == 0 || b[0] != prefix {
			out = append(out, prefix)
		}
	}
	return out
}
