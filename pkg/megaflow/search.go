package megaflow

import (
	"fmt"

	"github.com/flowshunt/flowshunt/flows"
)

// search is one lookup in a Table.
type search struct {
	p        *Packet
	complete bool

	first *Flow // of those that can match
	sure  *Flow // matches, whatever is unknown
	doubt *Flow // the first whose match depends on what is unknown
	split bool  // not all that can match do the same
}

func (s *search) groups(all []*group) {
	for _, g := range all {
		if s.complete {
			for _, f := range g.flows[g.hash(&s.p.Key)] {
				s.try(g, f)
			}
			continue
		}
		for _, same := range g.flows {
			for _, f := range same {
				s.try(g, f)
			}
		}
	}
}

// try takes a flow into account.
func (s *search) try(g *group, f *Flow) {
	sure := f.Unknown == ""
	for _, i := range g.mask {
		mask, known := f.Match.Mask[i], s.p.Known[i]
		if (f.Match.Key[i]^s.p.Key[i])&mask&known != 0 {
			return
		}
		sure = sure && mask&^known == 0
	}
	if !f.Match.Options.IsZero() && !f.Match.Options.Value().has(s.p.Options) {
		return
	}
	switch {
	case sure && s.sure == nil:
		s.sure = f
	case !sure && s.doubt == nil:
		s.doubt = f
	}
	if s.first == nil {
		s.first = f
	}
	s.split = s.split || s.first != f && !equal(s.first.Actions, f.Actions)
}

func (s *search) answer() (*Flow, error) {
	switch {
	case s.sure != nil && !s.split:
		return s.sure, nil
	case s.doubt != nil && !s.split && s.refusal() != nil:
		return nil, s.refusal()
	case s.doubt != nil:
		return nil, unknown(s.why(s.doubt))
	case s.split:
		return nil, ErrDiffer
	default:
		return nil, unknown(fmt.Sprintf("no flow with recirc_id(%#x),in_port(%d) matches",
			s.p.Key.Uint(RecircID), s.p.Key.Uint(InPort)))
	}
}

// refusal names what stands in the way of a rule in all that can match.
func (s *search) refusal() error {
	for _, a := range s.first.Actions {
		if u, ok := a.(Unsupported); ok {
			return &Refusal{u.Reason, u.Name}
		}
		if set, ok := a.(Set); ok && set.Field == IPTTL {
			return &Refusal{flows.UnsupportedRouted, "set(" + set.Field.String() + ")"}
		}
		if wraps(a) && s.open(s.doubt, IPTOS) {
			return &Refusal{flows.UnsupportedTunnel, "the tunnel has the TOS of what is in it"}
		}
	}
	return nil
}

// open reports whether the match of a flow depends on a field that is not known.
func (s *search) open(f *Flow, field Field) bool {
	return f.Match.Mask.Uint(field)&^s.p.Known.Uint(field) != 0
}

// why says what the match of a flow depends on.
func (s *search) why(f *Flow) string {
	if f.Unknown != "" {
		return "depends on " + f.Unknown
	}
	var open Key
	for i := range open {
		open[i] = f.Match.Mask[i] &^ s.p.Known[i]
	}
	return "depends on " + open.first().String()
}

func unknown(what string) error { return fmt.Errorf("%w: %s", ErrUnknown, what) }
