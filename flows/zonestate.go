package flows

// ZoneState is what a pipeline can see of a connection in one conntrack zone,
// beside that it is established there.
type ZoneState struct {
	Zone     Zone
	Mark     uint32
	Labels   [16]byte
	Reversed bool // the entry's original direction is the other one there
}
