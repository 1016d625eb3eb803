package flows

// Stand is where a connection stands in conntrack: it names an entry without the id that
// only the kernel knows. Two connections can have the same tuples in different zones, and
// one connection can have two entries in a zone that it passes twice.
type Stand struct {
	Zone  Zone
	Tuple Tuple // of the original direction, as its packets come to the zone
	Reply Tuple // of the other one
}

// Stand returns where the connection stands.
func (s *ZoneState) Stand() Stand { return Stand{s.Zone, s.Tuple, s.Reply} }
