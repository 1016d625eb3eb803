package ovn

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// tokenKind is what a token is.
type tokenKind uint8

const (
	endToken tokenKind = iota
	nameToken
	constantToken
	signToken // an operator or a bracket: its text says which
)

// token is one word of a match.
type token struct {
	kind  tokenKind
	text  string   // of names and signs
	value constant // of constants
}

// signs are longest first.
var signs = []string{"==", "!=", "<=", ">=", "&&", "||", "..", "<", ">", "!", "(", ")", "{", "}", "[", "]", ","}

var errText = errors.New("cannot be read")

// lexer cuts a match into tokens, as OVN's lib/lex.c does.
type lexer struct {
	rest  string
	token token // the current one
}

// next moves on to the next token.
func (l *lexer) next() error {
	l.token = token{}
	if err := l.skip(); err != nil || l.rest == "" {
		return err
	}
	c := l.rest[0]
	switch {
	case c == '"':
		return l.quoted()
	case c == '$' || c == '@':
		return l.reference(c)
	case isDigit(c), strings.HasPrefix(l.rest, "::"), isHex(c) && l.hexThenColon():
		return l.number()
	case isName(c) && !strings.HasPrefix(l.rest, ".."):
		l.token = token{kind: nameToken, text: l.take(isNameOrDigit)}
		return nil
	}
	for _, s := range signs {
		if rest, ok := strings.CutPrefix(l.rest, s); ok {
			l.rest, l.token = rest, token{kind: signToken, text: s}
			return nil
		}
	}
	return fmt.Errorf("%w at %.20q", errText, l.rest)
}

// skip passes over blanks and comments.
func (l *lexer) skip() error {
	for {
		l.rest = strings.TrimLeft(l.rest, " \t\n\r\v\f")
		switch {
		case strings.HasPrefix(l.rest, "//"):
			_, l.rest, _ = strings.Cut(l.rest, "\n")
		case strings.HasPrefix(l.rest, "/*"):
			comment, rest, closed := strings.Cut(l.rest[2:], "*/")
			if !closed || strings.Contains(comment, "\n") {
				return fmt.Errorf("%w: a comment without end", errText)
			}
			l.rest = rest
		default:
			return nil
		}
	}
}

// take cuts off the bytes at the start for which is is true.
func (l *lexer) take(is func(byte) bool) string {
	n := 0
	for n < len(l.rest) && is(l.rest[n]) {
		n++
	}
	taken := l.rest[:n]
	l.rest = l.rest[n:]
	return taken
}

// hexThenColon tells an IPv6 address or MAC that starts with a letter from a name.
func (l *lexer) hexThenColon() bool {
	rest := strings.TrimLeft(l.rest, "0123456789abcdefABCDEF")
	return strings.HasPrefix(rest, ":")
}

func (l *lexer) number() error {
	start := l.rest
	l.take(isNumber)
	n := len(start) - len(l.rest)
	// "7..10" is two numbers.
	if i := strings.Index(start[:n], ".."); i >= 0 {
		n = i
	}
	if n+1 < len(start) && start[n] == '/' && isNumber(start[n+1]) {
		l.rest = start[n+1:]
		l.take(isNumber)
		n = len(start) - len(l.rest)
	}
	l.rest = start[n:]
	c, err := parseNumber(start[:n])
	l.token = token{kind: constantToken, value: c}
	return err
}

func (l *lexer) reference(sign byte) error {
	l.rest = l.rest[1:]
	if l.rest == "" || !isName(l.rest[0]) {
		return fmt.Errorf("%w: no name after %c", errText, sign)
	}
	c := constant{format: setName, name: l.take(isNameOrDigit)}
	if sign == '@' {
		c.format = portName
	}
	l.token = token{kind: constantToken, value: c}
	return nil
}

// quoted reads a string in quotes, with the escapes of JSON.
func (l *lexer) quoted() error {
	for i := 1; i < len(l.rest); i++ {
		switch l.rest[i] {
		case '\\':
			i++
		case '"':
			c := constant{format: text}
			if err := json.Unmarshal([]byte(l.rest[:i+1]), &c.name); err != nil {
				return fmt.Errorf("%w: %w", errText, err)
			}
			l.rest, l.token = l.rest[i+1:], token{kind: constantToken, value: c}
			return nil
		}
	}
	return fmt.Errorf("%w: a string without end", errText)
}

// quote is the inverse of quoted.
func quote(s string) string {
	b, _ := json.Marshal(s) // of a string: never fails
	return string(b)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isHex(c byte) bool   { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }
func isName(c byte) bool  { return 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_' || c == '.' }

func isNameOrDigit(c byte) bool { return isName(c) || isDigit(c) }
func isNumber(c byte) bool      { return isHex(c) || c == 'x' || c == 'X' || c == '.' || c == ':' }
