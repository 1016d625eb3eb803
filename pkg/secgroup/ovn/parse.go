package ovn

import (
	"errors"
	"fmt"
)

// What a match may have: more than a person or a network service writes.
const (
	maxMatch  = 1 << 20 // bytes
	maxValues = 1 << 14 // constants
	maxDepth  = 100     // parentheses; OVN itself allows as many
)

var (
	errSyntax = errors.New("syntax error")
	errBounds = errors.New("more than can be looked at")
	// errRefused marks what can be read and is refused by OVN nonetheless. ovn-controller
	// passes over such a flow.
	errRefused = errors.New("OVN does not allow that")
)

// parser reads a match, as expr_parse in OVN's lib/expr.c does. What OVN refuses must not be
// understood here: a flow that is not carried out permits nothing.
type parser struct {
	lexer
	symbols symbolTable
	not     bool // within an odd number of "!"
	depth   int
	values  int
	refused error // the first thing that OVN refuses though it can be read
}

// parse reads a match. With an error that is errRefused there is an expression, too: what
// it would mean if it was allowed.
func parse(s string) (expr, error) { return parseWith(symbols, s) }

func parseWith(t symbolTable, s string) (expr, error) {
	if len(s) > maxMatch {
		return nil, fmt.Errorf("%w: a match of %d bytes", errBounds, len(s))
	}
	p := parser{lexer: lexer{rest: s}, symbols: t}
	if err := p.next(); err != nil {
		return nil, err
	}
	e, err := p.expression()
	if err != nil {
		return nil, err
	}
	if p.token.kind != endToken {
		return nil, p.unexpected("the end")
	}
	return e, p.refused
}

func (p *parser) unexpected(wanted string) error {
	if p.token.kind == endToken {
		return fmt.Errorf("%w: it ends where %s should be", errSyntax, wanted)
	}
	what := p.token.text
	if p.token.kind == constantToken {
		what = p.token.value.String()
	}
	return fmt.Errorf("%w: %.40q where %s should be", errSyntax, what, wanted)
}

func (p *parser) refuse(format string, args ...any) {
	if p.refused == nil {
		p.refused = fmt.Errorf("%w: %s", errRefused, fmt.Sprintf(format, args...))
	}
}

func (p *parser) at(sign string) bool { return p.token.kind == signToken && p.token.text == sign }

// match passes over a sign, if it is there.
func (p *parser) match(sign string) (bool, error) {
	if !p.at(sign) {
		return false, nil
	}
	return true, p.next()
}

func (p *parser) force(sign string) error {
	if ok, err := p.match(sign); ok || err != nil {
		return err
	}
	return p.unexpected(sign)
}

// expression reads operands that are joined by "&&" or by "||".
func (p *parser) expression() (expr, error) {
	e, err := p.operand()
	if err != nil || !p.at("&&") && !p.at("||") {
		return e, err
	}
	sign := p.token.text
	joined := &logic{or: sign == "||"}
	joined.add(e)
	for p.at(sign) {
		if err := p.next(); err != nil {
			return nil, err
		}
		if e, err = p.operand(); err != nil {
			return nil, err
		}
		joined.add(e)
	}
	if p.at("&&") || p.at("||") {
		return nil, fmt.Errorf("%w: && and || without parentheses", errSyntax)
	}
	return joined, nil
}

func (p *parser) operand() (expr, error) {
	negated, err := p.match("!")
	if err != nil {
		return nil, err
	}
	if !negated {
		e, _, err := p.primary()
		return e, err
	}
	p.not = !p.not
	e, atomic, err := p.primary()
	p.not = !p.not
	if err != nil {
		return nil, err
	}
	if !atomic {
		return nil, fmt.Errorf("%w: what follows ! is not in parentheses", errSyntax)
	}
	return not(e), nil
}

// primary reads what has no "&&" or "||" outside of parentheses. Atomic is what can follow
// a "!".
func (p *parser) primary() (e expr, atomic bool, err error) {
	if p.at("(") {
		e, err = p.parentheses()
		return e, true, err
	}
	if p.token.kind == nameToken {
		return p.fieldFirst()
	}
	return p.constantFirst()
}

func (p *parser) parentheses() (expr, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, fmt.Errorf("%w: %d parentheses in each other", errBounds, p.depth)
	}
	defer func() { p.depth-- }()
	if err := p.next(); err != nil {
		return nil, err
	}
	e, err := p.expression()
	if err != nil {
		return nil, err
	}
	return e, p.force(")")
}

// fieldFirst reads "field == value", "field", or "is_chassis_resident(port)".
func (p *parser) fieldFirst() (expr, bool, error) {
	name := p.token.text
	if err := p.next(); err != nil {
		return nil, false, err
	}
	if p.at("(") {
		e, err := p.residence(name)
		return e, true, err
	}
	f, err := p.field(name)
	if err != nil {
		return nil, false, err
	}
	op, ok := p.relation()
	if ok {
		if err := p.next(); err != nil {
			return nil, false, err
		}
		e, err := p.compare(f, op)
		return e, false, err
	}
	if f.bits == 0 {
		return nil, false, p.unexpected("a comparison")
	}
	if f.bits > 1 && !p.not && f.symbol.known() {
		p.refuse("%s without a comparison", f)
	}
	zero := &comparison{field: f, op: unequal, values: []constant{{mask: ones(128)}}}
	p.check(zero)
	return zero, true, nil
}

func (p *parser) residence(name string) (expr, error) {
	if name != "is_chassis_resident" {
		return nil, fmt.Errorf("%w: function %.40q", errSyntax, name)
	}
	if err := p.next(); err != nil {
		return nil, err
	}
	port := p.token.value
	if p.token.kind != constantToken || port.format != text {
		return nil, p.unexpected("a port's name")
	}
	if err := p.next(); err != nil {
		return nil, err
	}
	return &residence{port: port.name}, p.force(")")
}

// field reads the bits that may follow a field's name.
func (p *parser) field(name string) (field, error) {
	s := p.symbols.lookup(name)
	f := field{symbol: s, bits: s.width}
	if ok, err := p.match("["); !ok || err != nil {
		return f, err
	}
	low, err := p.index()
	if err != nil {
		return f, err
	}
	high := low
	if dots, err := p.match(".."); err != nil {
		return f, err
	} else if dots {
		if high, err = p.index(); err != nil {
			return f, err
		}
	}
	if low > high || high >= s.width {
		return f, fmt.Errorf("%w: %s has no bits %d to %d", errSyntax, name, low, high)
	}
	f.ofs, f.bits = low, high-low+1
	if s.nominal && f.bits != s.width {
		p.refuse("bits of %s", name)
	}
	return f, p.force("]")
}

func (p *parser) index() (int, error) {
	v := p.token.value
	if p.token.kind != constantToken || v.format != decimal || v.masked || v.value.width() > 7 {
		return 0, p.unexpected("the number of a bit")
	}
	return int(v.value.lo), p.next()
}

func (p *parser) relation() (relation, bool) {
	if p.token.kind == signToken {
		for op, sign := range relations {
			if p.token.text == sign {
				return relation(op), true
			}
		}
	}
	return 0, false
}

// compare reads what a field is compared with.
func (p *parser) compare(f field, op relation) (expr, error) {
	values, braces, err := p.constants()
	if err != nil {
		return nil, err
	}
	c := &comparison{f, op, values, braces}
	p.check(c)
	return c, nil
}

// constantFirst reads "value == field", "low <= field <= high", "1" or "0".
func (p *parser) constantFirst() (expr, bool, error) {
	values, braces, err := p.constants()
	if err != nil {
		return nil, false, err
	}
	op, ok := p.relation()
	if !ok {
		if v := values[0]; !braces && v.format == decimal && !v.masked && !small(1).less(v.value) {
			return boolean(!v.value.isZero()), true, nil
		}
		return nil, false, p.unexpected("a comparison")
	}
	if err := p.next(); err != nil {
		return nil, false, err
	}
	if p.token.kind != nameToken {
		return nil, false, p.unexpected("a field")
	}
	name := p.token.text
	if err := p.next(); err != nil {
		return nil, false, err
	}
	f, err := p.field(name)
	if err != nil {
		return nil, false, err
	}
	first := &comparison{f, turned[op], values, braces}
	p.check(first)
	second, ok := p.relation()
	if !ok {
		return first, false, nil
	}
	if op < less || second < less || (op <= lessEqual) != (second <= lessEqual) {
		return nil, false, fmt.Errorf("%w: a range must be x < field < y or x > field > y", errSyntax)
	}
	if err := p.next(); err != nil {
		return nil, false, err
	}
	last, err := p.compare(f, second)
	if err != nil {
		return nil, false, err
	}
	return &logic{operands: []expr{first, last}}, false, nil
}

// constants reads one constant, or some in braces.
func (p *parser) constants() (values []constant, braces bool, err error) {
	if braces, err = p.match("{"); err != nil {
		return nil, false, err
	}
	for {
		if p.token.kind != constantToken {
			return nil, false, p.unexpected("a value")
		}
		if p.values++; p.values > maxValues {
			return nil, false, fmt.Errorf("%w: %d values", errBounds, p.values)
		}
		values = append(values, p.token.value)
		if values[0].isText() != p.token.value.isText() {
			return nil, false, p.unexpected("a value of one kind")
		}
		if err := p.next(); err != nil || !braces {
			return values, braces, err
		}
		if _, err := p.match(","); err != nil {
			return nil, false, err
		}
		if closed, err := p.match("}"); closed || err != nil {
			return values, braces, err
		}
	}
}
