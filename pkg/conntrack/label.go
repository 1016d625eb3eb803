package conntrack

// Labels changes conntrack labels: the bits of Mask take the values they have in
// Set, the others, which belong to someone else, stay. Both are in the order of
// flows.Entry.Labels, the kernel's own: on little-endian machines bit n is bit n%8
// of byte n/8. The zero value changes nothing.
//
// Only an entry that was made while something in its network namespace used
// labels has any: each one made where Open vSwitch's kernel datapath runs, for
// instance. For others the update fails with ErrNoLabels; a mark and TCP flags
// of the same Update are written then all the same.
type Labels struct {
	Set, Mask [16]byte
}

// labels appends all 128 bits: the kernel clears those that it is not given, and
// it flips those that are set outside the mask (nf_connlabels_replace).
func (r *request) labels(l Labels) {
	for i := range l.Set {
		l.Set[i] &= l.Mask[i]
	}
	r.bytes(ctaLabels, l.Set[:])
	r.bytes(ctaLabelsMask, l.Mask[:])
}
