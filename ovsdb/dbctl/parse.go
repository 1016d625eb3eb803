package dbctl

import (
	"fmt"
	"strconv"
	"strings"
)

// maxRange bounds how many integers a range a-b may stand for.
const maxRange = 4096

// parseDatum reads the whole of text as a value of a type, as Format writes it and ovs-vsctl(8), "Database
// Values", describes it.
func parseDatum(t Type, text string, names symbols) (Datum, error) {
	p := &parser{scanner: scanner{text: text}, t: t, names: names}
	d, err := p.datum()
	if err != nil {
		return Datum{}, err
	}
	d = newDatum(d)
	switch {
	case d.duplicate():
		return Datum{}, fmt.Errorf("%.200s: something is in it twice", text)
	case d.Len() < t.Min:
		return Datum{}, fmt.Errorf("%.200s: %d values, and there must be at least %d", text, d.Len(), t.Min)
	case d.Len() > t.Max:
		return Datum{}, fmt.Errorf("%.200s: %d values, and there may be at most %d", text, d.Len(), t.Max)
	}
	return d, nil
}

// parser reads one datum.
type parser struct {
	scanner
	t     Type
	names symbols
}

func (p *parser) datum() (Datum, error) {
	open, closing := byte('['), byte(']')
	if p.t.IsMap() {
		open, closing = '{', '}'
	}
	if p.spaces(); p.rest() == "" {
		return Datum{}, fmt.Errorf("nothing is no value; the empty one is written %c%c", open, closing)
	}
	bracketed := p.take(open)
	d, err := p.elements()
	if err != nil {
		return Datum{}, err
	}
	if bracketed {
		if !p.take(closing) {
			return Datum{}, p.unexpected()
		}
		p.spaces()
	}
	if p.rest() != "" {
		return Datum{}, p.unexpected()
	}
	return d, nil
}

// elements reads as many as there are, spaces or one comma between them.
func (p *parser) elements() (d Datum, err error) {
	for p.spaces(); p.more(); p.separator() {
		if p.t.IsMap() {
			err = p.pair(&d)
		} else {
			err = p.members(&d)
		}
		if err != nil {
			return Datum{}, err
		}
	}
	return d, nil
}

// more reports whether a word is next.
func (p *parser) more() bool {
	return p.rest() != "" && strings.IndexByte(delimiters, p.peek()) < 0
}

func (p *parser) separator() {
	p.spaces()
	p.take(',')
	p.spaces()
}

func (p *parser) pair(d *Datum) error {
	key, err := p.word()
	if err != nil {
		return err
	}
	p.spaces()
	if !p.take('=') {
		return fmt.Errorf("%.200s: there is no = after %.200s", p.text, key)
	}
	p.spaces()
	value, err := p.word()
	if err != nil {
		return err
	}
	k, err := p.t.Key.parse(key, p.names)
	if err != nil {
		return err
	}
	v, err := p.t.Value.parse(value, p.names)
	if err != nil {
		return err
	}
	d.Keys, d.Values = append(d.Keys, k), append(d.Values, v)
	return nil
}

// members reads one word: an atom or a range of integers.
func (p *parser) members(d *Datum) error {
	word, err := p.word()
	if err != nil {
		return err
	}
	if first, last, ok := integerRange(word); ok && p.t.Key.Kind == Integers {
		return p.span(d, first, last)
	}
	atom, err := p.t.Key.parse(word, p.names)
	d.Keys = append(d.Keys, atom)
	return err
}

func (p *parser) span(d *Datum, first, last int64) error {
	for _, end := range []int64{first, last} {
		if err := p.t.Key.check(end); err != nil {
			return err
		}
	}
	if last < first || uint64(last)-uint64(first) >= maxRange {
		return fmt.Errorf("%d-%d is not a range of 1 to %d integers", first, last, maxRange)
	}
	for n := first; ; n++ {
		if d.Keys = append(d.Keys, n); n == last {
			return nil
		}
	}
}

// integerRange reads "first-last".
func integerRange(word string) (first, last int64, ok bool) {
	at := strings.IndexByte(word[min(1, len(word)):], '-') + 1
	if at <= 0 || at >= len(word) {
		return 0, 0, false
	}
	first, err := strconv.ParseInt(word[:at], 10, 64)
	last, err2 := strconv.ParseInt(word[at+1:], 10, 64)
	return first, last, err == nil && err2 == nil
}

func (p *parser) unexpected() error {
	if p.rest() == "" {
		return fmt.Errorf("%.200s: a closing bracket is missing", p.text)
	}
	return fmt.Errorf("%.200s: did not expect %.1q here", p.text, p.rest())
}
