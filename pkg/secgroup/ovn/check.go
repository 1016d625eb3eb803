package ovn

// check notes what OVN refuses in a comparison (make_cmp in lib/expr.c): values that are
// of another kind than the field, and comparisons that its kind of field does not have.
func (p *parser) check(c *comparison) {
	s := c.field.symbol
	if !s.known() {
		return // that is not understood anyway
	}
	for _, v := range c.values {
		if v.isText() != (s.width == 0) {
			p.refuse("%s compared with %.80s", s.name, v)
		} else if v.format != setName && v.width() > s.width {
			p.refuse("%s compared with %.80s, which is wider", s.name, v)
		}
	}
	if c.op >= less {
		p.checkOrder(c)
		return
	}
	if s.nominal && s.predicate == nil && (c.op == unequal) != p.not {
		p.refuse("%s compared for anything but equality", s.name)
	}
	if s.nominal && s.predicate != nil {
		for _, v := range c.values {
			positive := v.value.lo&1 == 1
			if (positive == (c.op == equal)) == p.not {
				p.refuse("%s negated", s.name)
			}
		}
	}
}

func (p *parser) checkOrder(c *comparison) {
	s := c.field.symbol
	switch v := c.values[0]; {
	case c.braces || v.format == setName:
		p.refuse("a set of values with %s", relations[c.op])
	case s.nominal || s.predicate != nil:
		p.refuse("%s with %s", s.name, relations[c.op])
	case v.masked:
		p.refuse("a mask with %s", relations[c.op])
	}
}
