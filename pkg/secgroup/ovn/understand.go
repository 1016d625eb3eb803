package ovn

import (
	"errors"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// understood is a match as security groups say it.
type understood struct {
	parts  []part
	sets   []setUse // that it depends on
	hinted bool     // it depends on what conntrack says of the packet
	// err is why not all of it is understood: the parts in doubt stand for more than it says.
	err error
	// refused says that OVN does not understand it either: such a flow does nothing.
	refused bool
}

// part is what a match says of the ports that fit one portRef.
type part struct {
	port    portRef
	tier    uint8
	doubt   bool // it matches some of matches, and nobody knows which
	matches []secgroup.Match
}

// everything is the part of which nothing is understood.
var everything = part{doubt: true, matches: []secgroup.Match{{}}}

// maxMatchPrefixes bounds the prefixes of one match.
const maxMatchPrefixes = 1 << 16

// understand reads a match for packets that pass an instance's port in one direction.
func understand(match string, d flows.Direction) understood {
	e, err := parse(match)
	if e == nil {
		return understood{parts: []part{everything}, err: err, refused: isRefused(err)}
	}
	r := reading{direction: d}
	terms, termsErr := r.terms(e)
	u := understood{sets: r.sets, hinted: r.hinted, err: err, refused: isRefused(err)}
	if termsErr != nil {
		u.parts, u.err = []part{everything}, termsErr
		return u
	}
	prefixes := 0
	for _, t := range terms {
		m, fits := t.match(d)
		if prefixes += len(m.Local.Prefixes) + len(m.Remote.Prefixes); !fits || prefixes > maxMatchPrefixes {
			u.parts, u.err = []part{everything}, errTerms
			return u
		}
		u.part(t, err != nil).add(m)
	}
	return u
}

// isRefused reports whether OVN refuses a match for the same reason.
func isRefused(err error) bool {
	for _, reason := range []error{errRefused, errSyntax, errText, errNumber} {
		if errors.Is(err, reason) {
			return true
		}
	}
	return false
}

// part returns the part that a term belongs to.
func (u *understood) part(t term, doubt bool) *part {
	doubt = doubt || t.doubt
	for i := range u.parts {
		if p := &u.parts[i]; p.port == t.port && p.tier == t.tier && p.doubt == doubt {
			return p
		}
	}
	u.parts = append(u.parts, part{port: t.port, tier: t.tier, doubt: doubt})
	return &u.parts[len(u.parts)-1]
}

func (p *part) add(m secgroup.Match) { p.matches = append(p.matches, m) }

// why says what a person should know of a part in doubt.
func (u *understood) why() string {
	if u.err != nil {
		return u.err.Error()
	}
	return "it tests what a connection does not tell"
}
