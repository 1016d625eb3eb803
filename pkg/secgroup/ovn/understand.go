package ovn

import (
	"errors"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// understood is a match as security groups say it.
type understood struct {
	parts   []part
	sets    []setUse // that it depends on
	groups  []string // port groups that it names: OVN refuses it where one of them is not
	content bool     // on what is in them, too
	hinted  bool     // it depends on what northd knows of the connection
	tracks  bool     // it depends on conntrack, or on that
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

// addressSets is the address sets that matches may name.
type addressSets interface {
	// kind returns what kind of a set has a name.
	kind(name string) setKind
	// content returns what is in a set, as numbers of one family. It is false if there is
	// no such set.
	content(name string, f secgroup.Family) (spans, bool)
}

// understand reads a match for packets that pass an instance's port in one direction.
func understand(match string, d flows.Direction, sets addressSets) understood {
	e, err := parse(match)
	if e == nil {
		return understood{parts: []part{everything}, err: err, refused: isRefused(err)}
	}
	r := reading{direction: d, hints: hintsOf(e), known: sets}
	terms, termsErr := r.terms(e)
	u := understood{sets: r.sets, groups: union(groupsIn(e), nil), hinted: r.hinted, tracks: r.tracks, err: err, refused: isRefused(err)}
	if slices.ContainsFunc(terms, func(t term) bool { return t.crossed }) {
		u.content, r.expand = true, true
		terms, termsErr = r.terms(e)
	}
	if termsErr != nil || !u.add(terms, d) {
		u.parts, u.err = []part{everything}, errTerms
	}
	return u
}

// add adds terms, or returns false if they are too many.
func (u *understood) add(terms []term, d flows.Direction) bool {
	prefixes := 0
	for _, t := range terms {
		m, fits := t.match(d)
		if prefixes += len(m.Local.Prefixes) + len(m.Remote.Prefixes); !fits || prefixes > maxMatchPrefixes {
			return false
		}
		p := u.part(t)
		p.matches = append(p.matches, m)
	}
	return true
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
func (u *understood) part(t term) *part {
	doubt := u.err != nil || t.doubt || t.crossed
	for i := range u.parts {
		if p := &u.parts[i]; p.port == t.port && p.tier == t.tier && p.doubt == doubt {
			return p
		}
	}
	u.parts = append(u.parts, part{port: t.port, tier: t.tier, doubt: doubt})
	return &u.parts[len(u.parts)-1]
}

// why says what a person should know of a part in doubt.
func (u *understood) why() string {
	if u.err != nil {
		return u.err.Error()
	}
	return "it tests what a connection does not tell"
}
