package flows

import "fmt"

// Path says where established packets of one direction come in and go out, how they
// look when they come in, and what is changed on the way.
type Path struct {
	In, Out PortID
	Frame               // as they come in
	Change  Ref[Change] // zero: they go out as they came in
}

// Change is what is different about packets when they go out: not the steps that were
// taken, but their sum. The zero value is no change.
type Change struct {
	Frame       // all of it as they go out, also what is the same
	Hops  uint8 // by which the TTL, or hop limit, is less: one for each router on the way
	Tuple Tuple // by which they are addressed then; zero: as before
}

// MaxHops is the most routers on one way that a rule can stand for.
const MaxHops = 3

// Leaves returns how packets look when they go out.
func (p Path) Leaves() Frame {
	if p.Change.IsZero() {
		return p.Frame
	}
	return p.Change.Value().Frame
}

// Addressed returns the tuple by which packets with the given one go out.
func (p Path) Addressed(t Tuple) Tuple {
	if p.Change.IsZero() {
		return t
	}
	if c := p.Change.Value(); c.Tuple != (Tuple{}) {
		return c.Tuple
	}
	return t
}

// ChangeTo returns the Change that makes packets that come in as one frame go out as
// another, with fewer hops left, and addressed by a tuple; a zero tuple means as before.
func ChangeTo(in, out Frame, hops uint8, tuple Tuple) Ref[Change] {
	if in == out && hops == 0 && tuple == (Tuple{}) {
		return Ref[Change]{}
	}
	return RefTo(Change{Frame: out, Hops: hops, Tuple: tuple})
}

// Paths are the two directions of a connection, by Dir.
type Paths [2]Path

// IsPlain reports whether packets of both directions go out as they came in, without
// any tag or tunnel.
func (p Paths) IsPlain() bool {
	for _, path := range p {
		if !path.Change.IsZero() || path.Tags != (Tags{}) || !path.Tunnel.IsZero() {
			return false
		}
	}
	return true
}

// String says how packets leave: "02:00:00:00:00:03>02:00:00:00:00:04, ttl -1, as
// tcp,203.0.113.9:6000,10.0.0.2:5201"; empty for no change.
func (c Change) String() string {
	if c == (Change{}) {
		return ""
	}
	s := c.Frame.String()
	if c.Hops > 0 {
		s += fmt.Sprintf(", ttl -%d", c.Hops)
	}
	if c.Tuple != (Tuple{}) {
		s += ", as " + c.Tuple.String()
	}
	return s
}
