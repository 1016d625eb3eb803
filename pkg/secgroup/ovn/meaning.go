package ovn

import (
	"errors"

	"github.com/flowshunt/flowshunt/flows"
)

// maxTerms bounds what one match comes to, maxWork how many terms, and ranges of addresses,
// are looked at for that: some tenths of a second.
const (
	maxTerms = 1 << 12
	maxWork  = 1 << 20
)

var errTerms = errors.New("it comes to more cases than can be looked at")

// reading turns a match into terms, any of which may hold.
type reading struct {
	direction flows.Direction
	known     addressSets
	// expand takes what is in address sets in place of their names.
	expand bool
	hints  []expr // the comparisons that northd has put before the ACL's match

	work   int      // terms and ranges that were looked at
	sets   []setUse // the address sets that are named, with repetitions
	hinted bool     // one of hints is about the connection
	tracks bool     // another comparison is about what conntrack says
}

// hintsOf returns the comparisons with which northd starts the match of a flow: of the tier,
// and of what it knows of the connection.
func hintsOf(e expr) []expr {
	l, ok := e.(*logic)
	if !ok || l.or {
		return nil
	}
	for i, o := range l.operands {
		c, ok := o.(*comparison)
		isTier := ok && c.field.symbol.meaning == tierOf
		isHint := ok && c.field.symbol.name == "reg0" && c.field.bits == 1 && hints>>c.field.ofs&1 == 1
		if !isTier && !isHint {
			return l.operands[:i]
		}
		if isHint {
			return l.operands[:i+1]
		}
	}
	return l.operands
}

// terms returns what an expression means for the packet that is judged: a sum of terms.
func (r *reading) terms(e expr) ([]term, error) {
	switch e := e.(type) {
	case boolean:
		return truth(bool(e)), nil
	case *residence:
		return []term{{doubt: true}}, nil
	case *comparison:
		return r.comparison(e)
	case *logic:
		if e.or {
			return r.any(e.operands)
		}
		return r.all(e.operands)
	}
	return nil, errTerms
}

func truth(b bool) []term {
	if b {
		return []term{{}}
	}
	return nil
}

func (r *reading) any(operands []expr) ([]term, error) {
	var sum []term
	for _, o := range operands {
		terms, err := r.terms(o)
		if err != nil {
			return nil, err
		}
		r.work += len(terms)
		if sum = append(sum, terms...); len(sum) > maxTerms || r.work > maxWork {
			return nil, errTerms
		}
	}
	return sum, nil
}

func (r *reading) all(operands []expr) ([]term, error) {
	product := truth(true)
	for _, o := range operands {
		terms, err := r.terms(o)
		if err != nil {
			return nil, err
		}
		if product, err = r.product(product, terms); err != nil {
			return nil, err
		}
	}
	return product, nil
}

// product returns the terms that fit one of a and one of b.
func (r *reading) product(a, b []term) ([]term, error) {
	var both []term
	for _, t := range a {
		for i := range b {
			if r.work += t.size() + b[i].size(); r.work > maxWork {
				return nil, errTerms
			}
			if c, some := t.and(b[i]); some {
				both = append(both, c)
			}
		}
		if len(both) > maxTerms {
			return nil, errTerms
		}
	}
	return both, nil
}
