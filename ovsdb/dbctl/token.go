package dbctl

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// delimiters end a word that is not quoted.
const delimiters = ":=, []{}!<>"

// scanner reads words and punctuation from an argument.
type scanner struct {
	text string
	pos  int
}

func (s *scanner) rest() string { return s.text[s.pos:] }

// peek returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.text) {
		return s.text[s.pos]
	}
	return 0
}

// take skips a byte if it is the next one.
func (s *scanner) take(c byte) bool {
	if s.pos < len(s.text) && s.text[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

func (s *scanner) spaces() {
	for s.take(' ') {
	}
}

// word reads up to the next delimiter that is not in quotes. Outside of quotes a backslash
// makes the next character an ordinary one; the quotes, and what is in them, are returned as
// they are. It is "" where a delimiter is next.
func (s *scanner) word() (string, error) {
	var b strings.Builder
	quoted := false
	for ; s.pos < len(s.text); s.pos++ {
		c := s.text[s.pos]
		switch {
		case c == '\\':
			if s.pos++; s.pos == len(s.text) {
				return "", fmt.Errorf("%.200s: it ends in a backslash", s.text)
			}
			if quoted {
				b.WriteByte(c)
			}
			b.WriteByte(s.text[s.pos])
			continue
		case c == '"':
			quoted = !quoted
		case !quoted && strings.IndexByte(delimiters, c) >= 0:
			return b.String(), nil
		}
		b.WriteByte(c)
	}
	if quoted {
		return "", fmt.Errorf("%.200s: a quotation mark is missing", s.text)
	}
	return b.String(), nil
}

// escapes are the short ones of JSON.
var escapes = map[byte]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// unquote reads a string of JSON. Control characters may stand in it as they are.
func unquote(text string) (string, error) {
	inner, ok := strings.CutSuffix(text[1:], `"`)
	if !ok {
		return "", fmt.Errorf("%.200s: nothing may follow the quotation mark at the end", text)
	}
	var b strings.Builder
	for i := 0; i < len(inner); i++ {
		switch c := inner[i]; {
		case c == '"':
			return "", fmt.Errorf("%.200s: a quotation mark in a string needs a backslash", text)
		case c != '\\':
			b.WriteByte(c)
		default:
			r, n, err := unescape(inner[i+1:])
			if err != nil {
				return "", fmt.Errorf("%.200s: %w", text, err)
			}
			b.WriteString(r)
			i += n
		}
	}
	return b.String(), nil
}

// unescape reads what follows a backslash, n bytes.
func unescape(s string) (r string, n int, err error) {
	if s == "" {
		return "", 0, errors.New("it ends in a backslash")
	}
	if c, ok := escapes[s[0]]; ok {
		return string(c), 1, nil
	}
	first, err := hex4(s)
	switch {
	case err != nil:
		return "", 0, err
	case first == 0:
		return "", 0, errors.New("there cannot be null bytes")
	case !utf16.IsSurrogate(first):
		return string(first), 5, nil
	}
	if low, ok := strings.CutPrefix(s[5:], `\`); ok {
		if second, err := hex4(low); err == nil && utf16.DecodeRune(first, second) != utf8.RuneError {
			return string(utf16.DecodeRune(first, second)), 11, nil
		}
	}
	return "", 0, errors.New("half of a surrogate pair")
}

// hex4 reads u and four hex digits.
func hex4(s string) (rune, error) {
	if len(s) < 5 || s[0] != 'u' {
		return 0, fmt.Errorf(`unknown escape \%.5s`, s)
	}
	n, err := strconv.ParseUint(s[1:5], 16, 16)
	return rune(n), unless(err == nil, `unknown escape \%.5s`, s)
}
