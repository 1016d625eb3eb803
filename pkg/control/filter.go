package control

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
)

// Filter chooses sessions and their order. The zero value is every connection
// beyond StateFollowing, by tuple.
type Filter struct {
	All    bool         // also those that are only followed
	Port   string       // enters or leaves here; empty: any
	States []State      // any of these; empty: any. Naming StateFollowing implies All
	Reason flows.Reason // a code, or the family before its slash; empty: any
	Prefix netip.Prefix // either end lies in it; zero: any
	Zone   *flows.Zone  // stands in this zone; nil: any
	Sort   Sort         // zero: by tuple
	Limit  uint64       // at most so many; 0: as many as the server gives
}

// WantsFollowing reports whether followed connections can match.
func (f *Filter) WantsFollowing() bool {
	return f.All || slices.Contains(f.States, StateFollowing)
}

// Match reports whether s passes the filter.
func (f *Filter) Match(s *Session) bool {
	switch {
	case s.State == StateFollowing && !f.WantsFollowing():
		return false
	case len(f.States) > 0 && !slices.Contains(f.States, s.State):
		return false
	case f.Port != "" && f.Port != s.In && f.Port != s.Out:
		return false
	case f.Reason != "" && !inFamily(s.Reason, f.Reason):
		return false
	case f.Prefix.IsValid() && !f.Prefix.Contains(s.Tuple.Src) && !f.Prefix.Contains(s.Tuple.Dst):
		return false
	case f.Zone != nil && !slices.Contains(s.Zones, *f.Zone):
		return false
	}
	return true
}

func inFamily(r, family flows.Reason) bool {
	rest, ok := strings.CutPrefix(string(r), string(family))
	return ok && (rest == "" || rest[0] == '/')
}
