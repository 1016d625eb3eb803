package ovn

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// format is how a constant was written. Its text is what decides which masks it may have.
type format uint8

const (
	decimal format = iota
	hexadecimal
	ipv4
	ipv6
	ethernet
	text     // "name"
	setName  // $name
	portName // @name: a port group
)

// constant is what a field can be compared with.
type constant struct {
	format      format
	value, mask number // value has no bit outside mask; mask is all ones without a mask
	masked      bool
	name        string // of text, setName and portName
}

var errNumber = errors.New("not a number, IP address or MAC")

// parseNumber reads a number, IP address or MAC, with or without "/mask", as
// lex_parse_integer in OVN's lib/lex.c does.
func parseNumber(s string) (constant, error) {
	value, mask, masked := strings.Cut(s, "/")
	c, err := parsePlain(value)
	if err != nil || !masked {
		return c, err
	}
	m, err := parsePlain(mask)
	if err != nil {
		return c, err
	}
	switch {
	case m.format == c.format:
		c.mask = m.value
	case c.format == ipv4 && m.format == decimal && !small(32).less(m.value):
		c.mask = ones(32).and(ones(32 - int(m.value.lo)).not())
	case c.format == ipv6 && m.format == decimal && !small(128).less(m.value):
		c.mask = ones(128 - int(m.value.lo)).not()
	case c.format == decimal && c.value.isZero() && m.format == hexadecimal:
		c.format, c.mask = hexadecimal, m.value
	default:
		return c, fmt.Errorf("%.80q: %w with a mask of its kind", s, errNumber)
	}
	c.masked, c.value = true, c.value.and(c.mask)
	return c, nil
}

func parsePlain(s string) (constant, error) {
	c := constant{mask: ones(128)}
	var err error
	switch {
	case strings.HasPrefix(s, "0x") || strings.HasPrefix(s, "0X"):
		c.format = hexadecimal
		c.value, err = parseHex(s[2:])
	case isMAC(s):
		c.format = ethernet
		c.value, err = parseHex(strings.ReplaceAll(s, ":", ""))
	case strings.ContainsAny(s, ".:"):
		var a netip.Addr
		if a, err = netip.ParseAddr(s); err != nil || a.Zone() != "" {
			return c, fmt.Errorf("%.80q: %w", s, errNumber)
		}
		c.format, c.value = ipv6, numberOf(a)
		if a.Is4() {
			c.format = ipv4
		}
	default:
		var n uint64
		if n, err = strconv.ParseUint(s, 10, 64); err != nil || len(s) > 1 && s[0] == '0' {
			return c, fmt.Errorf("%.80q: %w", s, errNumber)
		}
		c.value = small(n)
	}
	return c, err
}

func parseHex(s string) (number, error) {
	if len(s) == 0 || len(s) > 32 {
		return number{}, fmt.Errorf("0x%.40s: %w", s, errNumber)
	}
	cut := max(0, len(s)-16)
	lo, err := strconv.ParseUint(s[cut:], 16, 64)
	if err != nil {
		return number{}, fmt.Errorf("0x%s: %w", s, errNumber)
	}
	n := small(lo)
	if cut > 0 {
		if n.hi, err = strconv.ParseUint(s[:cut], 16, 64); err != nil {
			return number{}, fmt.Errorf("0x%s: %w", s, errNumber)
		}
	}
	return n, nil
}

// isMAC reports whether s is six pairs of hexadecimal digits.
func isMAC(s string) bool {
	if len(s) != 17 {
		return false
	}
	for i := range len(s) {
		if colon := i%3 == 2; colon && s[i] != ':' || !colon && !isHex(s[i]) {
			return false
		}
	}
	return true
}

// isText reports whether the constant fits string fields; an address set or number does not.
func (c constant) isText() bool { return c.format == text || c.format == portName }

// width returns how many bits a field must have that is compared with the constant
// (expr_constant_width in OVN's lib/expr.c).
func (c constant) width() int {
	switch {
	case c.masked:
		return c.mask.width()
	case c.format == ipv4:
		return 32
	case c.format == ipv6:
		return 128
	case c.format == ethernet:
		return 48
	}
	return c.value.width()
}

// String returns the constant as parse reads it.
func (c constant) String() string {
	switch c.format {
	case text:
		return quote(c.name)
	case setName:
		return "$" + c.name
	case portName:
		return "@" + c.name
	}
	s := c.format.print(c.value)
	if c.masked {
		s += "/" + c.format.print(c.mask)
	}
	return s
}

func (f format) print(n number) string {
	switch f {
	case ipv4:
		return n.addr4().String()
	case ipv6:
		// An address with an embedded IPv4 one is written in a form that is read again.
		return n.addr16().String()
	case ethernet:
		s := fmt.Sprintf("%012x", n.lo)
		return strings.Join([]string{s[:2], s[2:4], s[4:6], s[6:8], s[8:10], s[10:]}, ":")
	case hexadecimal:
		if n.hi != 0 {
			return fmt.Sprintf("0x%x%016x", n.hi, n.lo)
		}
		return fmt.Sprintf("0x%x", n.lo)
	}
	return strconv.FormatUint(n.lo, 10)
}
