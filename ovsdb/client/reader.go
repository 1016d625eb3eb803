package client

import (
	"encoding/json"
	"fmt"
)

// reader goes through JSON once, in place. Its error stays: after one, every loop ends and
// every value is zero, so that only the end must be checked. It is lenient with commas,
// because encoding/json has checked what comes from a connection.
type reader struct {
	data []byte
	pos  int
	err  error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

// within adds to the error, if there is one, where it is.
func (r *reader) within(format string, args ...any) {
	if r.err != nil {
		r.err = fmt.Errorf(format+": %w", append(args, r.err)...)
	}
}

// peek returns the first byte of the next token, 0 at the end.
func (r *reader) peek() byte {
	for r.err == nil && r.pos < len(r.data) {
		switch c := r.data[r.pos]; c {
		case ' ', '\t', '\n', '\r', ',', ':':
			r.pos++
		default:
			return c
		}
	}
	return 0
}

// enter begins an array or object.
func (r *reader) enter(bracket byte) {
	if r.peek() != bracket {
		r.fail("%.64s where %q belongs", r.data[min(r.pos, len(r.data)):], bracket)
		return
	}
	r.pos++
}

// more reports whether there is another member, and else leaves the array or object.
func (r *reader) more(bracket byte) bool {
	switch r.peek() {
	case bracket:
		r.pos++
		return false
	case 0, ']', '}':
		r.fail("no %q at the end", bracket)
	}
	return r.err == nil
}

// end leaves an array that must have no more members.
func (r *reader) end(bracket byte) {
	if r.more(bracket) {
		r.fail("%.64s where %q belongs", r.data[r.pos:], bracket)
	}
}

// bytes reads a string. What it returns is valid as long as the data.
func (r *reader) bytes() []byte {
	if r.peek() != '"' {
		r.fail("%.64s where a string belongs", r.data[min(r.pos, len(r.data)):])
		return nil
	}
	begin, plain := r.pos+1, true
	for i := begin; i < len(r.data); i++ {
		switch c := r.data[i]; {
		case c == '"':
			r.pos = i + 1
			if plain {
				return r.data[begin:i]
			}
			return r.unquote(r.data[begin-1 : r.pos])
		case c == '\\':
			i++
			plain = false
		case c < ' ' || c >= 0x80:
			plain = false
		}
	}
	r.fail("a string without end")
	return nil
}

func (r *reader) unquote(quoted []byte) []byte {
	var s string
	if err := json.Unmarshal(quoted, &s); err != nil {
		r.fail("%w", err)
	}
	return []byte(s)
}

func (r *reader) text() string { return string(r.bytes()) }

// word reads a number, true, false or null.
func (r *reader) word() []byte {
	r.peek()
	begin := r.pos
	for r.err == nil && r.pos < len(r.data) {
		switch r.data[r.pos] {
		case ' ', '\t', '\n', '\r', ',', ':', '[', ']', '{', '}', '"':
			return r.data[begin:r.pos]
		}
		r.pos++
	}
	return r.data[min(begin, r.pos):r.pos]
}

// skip passes over a value, and returns it.
func (r *reader) skip() []byte {
	r.peek()
	begin, depth := r.pos, 0
	for r.err == nil {
		switch r.peek() {
		case '[', '{':
			depth++
			r.pos++
		case ']', '}':
			depth--
			r.pos++
		case '"':
			r.bytes()
		default:
			if len(r.word()) == 0 {
				r.fail("no value")
			}
		}
		if depth <= 0 {
			break
		}
	}
	if depth < 0 {
		r.fail("no value")
	}
	return r.data[begin:r.pos]
}
