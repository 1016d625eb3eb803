package ovn

import (
	"fmt"
	"strings"
)

// expr is a match: a boolean, logic, comparison or residence. Negations stand in the
// comparisons only.
type expr interface {
	// print writes it as parse reads it, in parentheses where it is an operand.
	print(b *strings.Builder, operand bool)
}

// boolean is "1" or "0".
type boolean bool

// logic is operands that are all joined by "&&", or all by "||"; at least two, and none of
// them is logic of the same kind.
type logic struct {
	or       bool
	operands []expr
}

// comparison is a field, or bits of it, compared with constants: with == it is any of them,
// with != it is none of them; there is one only with other operators.
type comparison struct {
	field  field
	op     relation
	values []constant
	braces bool
}

// residence is is_chassis_resident("port").
type residence struct {
	port string
	not  bool
}

// field is the bits from ofs to ofs+bits-1 of a symbol. Bits is 0 where the symbol is a string.
type field struct {
	symbol    *symbol
	ofs, bits int
}

// relation is how two values are compared.
type relation uint8

const (
	equal relation = iota
	unequal
	less
	lessEqual
	greater
	greaterEqual
)

var relations = [...]string{equal: "==", unequal: "!=", less: "<", lessEqual: "<=", greater: ">", greaterEqual: ">="}

// inverted and turned are what the negation is, and what it is with its sides exchanged.
var (
	inverted = [...]relation{unequal, equal, greaterEqual, greater, lessEqual, less}
	turned   = [...]relation{equal, unequal, greater, greaterEqual, less, lessEqual}
)

// not returns the negation of an expression.
func not(e expr) expr {
	switch e := e.(type) {
	case boolean:
		return !e
	case *logic:
		operands := make([]expr, len(e.operands))
		for i, o := range e.operands {
			operands[i] = not(o)
		}
		return &logic{!e.or, operands}
	case *comparison:
		c := *e
		c.op = inverted[c.op]
		return &c
	case *residence:
		return &residence{e.port, !e.not}
	}
	return e
}

// add appends an operand, or those of logic of the same kind.
func (e *logic) add(o expr) {
	if l, ok := o.(*logic); ok && l.or == e.or {
		e.operands = append(e.operands, l.operands...)
	} else {
		e.operands = append(e.operands, o)
	}
}

// groupsIn returns the port groups that an expression names, with repetitions.
func groupsIn(e expr) (names []string) {
	switch e := e.(type) {
	case *logic:
		for _, o := range e.operands {
			names = append(names, groupsIn(o)...)
		}
	case *comparison:
		for _, v := range e.values {
			if v.format == portName {
				names = append(names, v.name)
			}
		}
	}
	return names
}

func printed(e expr) string {
	var b strings.Builder
	e.print(&b, false)
	return b.String()
}

func (e boolean) print(b *strings.Builder, _ bool) {
	if e {
		b.WriteByte('1')
	} else {
		b.WriteByte('0')
	}
}

func (e *logic) print(b *strings.Builder, operand bool) {
	sign := " && "
	if e.or {
		sign = " || "
	}
	if operand {
		b.WriteByte('(')
		defer b.WriteByte(')')
	}
	for i, o := range e.operands {
		if i > 0 {
			b.WriteString(sign)
		}
		o.print(b, true)
	}
}

func (e *residence) print(b *strings.Builder, _ bool) {
	if e.not {
		b.WriteByte('!')
	}
	b.WriteString("is_chassis_resident(" + quote(e.port) + ")")
}

func (e *comparison) print(b *strings.Builder, _ bool) {
	if e.isFlag() {
		if e.op == equal {
			b.WriteByte('!')
		}
		b.WriteString(e.field.String())
		return
	}
	b.WriteString(e.field.String() + " " + relations[e.op] + " ")
	if e.braces {
		b.WriteByte('{')
		defer b.WriteByte('}')
	}
	for i, v := range e.values {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(v.String())
	}
}

// isFlag reports whether the comparison is written as the bare field.
func (e *comparison) isFlag() bool {
	v := e.values[0]
	return !e.braces && e.field.bits == 1 && e.op <= unequal &&
		v.format == decimal && v.value.isZero() && !v.masked
}

func (f field) String() string {
	switch {
	case f.bits == f.symbol.width:
		return f.symbol.name
	case f.bits == 1:
		return fmt.Sprintf("%s[%d]", f.symbol.name, f.ofs)
	}
	return fmt.Sprintf("%s[%d..%d]", f.symbol.name, f.ofs, f.ofs+f.bits-1)
}
