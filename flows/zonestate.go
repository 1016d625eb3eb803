package flows

// ZoneState is what a pipeline can see of a connection in one conntrack zone,
// beside that it is established there. A connection that is translated on its way has
// different tuples in different zones.
type ZoneState struct {
	Zone   Zone
	Tuple  Tuple // of the original direction, as its packets come to the zone
	Reply  Tuple // of the other one; not Tuple.Reverse() where the zone translates
	Mark   uint32
	Labels [16]byte
}

// Translate returns the direction of a packet that comes to the zone addressed by a
// tuple, and by which tuple it leaves it where the pipeline asks for the translation; ok
// is false if it is no packet of this connection.
func (s *ZoneState) Translate(t Tuple) (dir Dir, leaves Tuple, ok bool) {
	switch t {
	case s.Tuple:
		return Orig, s.Reply.Reverse(), true
	case s.Reply:
		return Reply, s.Tuple.Reverse(), true
	}
	return Orig, t, false
}
