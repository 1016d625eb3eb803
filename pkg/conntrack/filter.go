package conntrack

import "github.com/flowshunt/flowshunt/flows"

// Filter selects the entries of a dump. The zero value selects all. What the
// kernel can compare it does (status from Linux 5.15 on, zones from 6.8 on);
// older ones ignore what they do not know, so every entry is compared here too.
type Filter struct {
	// Family is IPv4, IPv6 or both.
	Family Family

	// Status holds the bits that an entry must have set, and Clear those that
	// it must not have.
	Status, Clear flows.Status

	// Zone selects one zone if InZone is set. Of entries whose zone counts in
	// one direction only, do not expect more than of OVS, which makes none.
	Zone   flows.Zone
	InZone bool
}

// Replied selects what has been seen in both directions. It does not ask for
// ASSURED, which ESP never gets.
var Replied = Filter{Status: flows.StatusSeenReply}

// matches reports whether e is selected.
func (f *Filter) matches(e *flows.Entry) bool {
	return (f.Family == AnyFamily || f.Family == familyOf(e.Key.Tuple)) &&
		e.Status&(f.Status|f.Clear) == f.Status &&
		(!f.InZone || f.Zone == e.Key.Zone)
}

// dump writes the request for the entries that f selects.
func (r *request) dump(f *Filter) {
	if mask := f.Status | f.Clear; mask != 0 {
		r.uint32(ctaStatus, uint32(f.Status))
		r.uint32(ctaStatusMask, uint32(mask))
	}
	if f.InZone {
		r.uint16(ctaZone, uint16(f.Zone))
	}
}
