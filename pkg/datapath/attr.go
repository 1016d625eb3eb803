package datapath

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Netlink and the datapath's own numbers are in host order; what comes from packets
// is in network order.
var (
	native = binary.NativeEndian
	big    = binary.BigEndian
)

const (
	attrHeader = 4
	typeMask   = 0x3fff // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
)

func align4(n int) int { return (n + 3) &^ 3 }

// appendString appends a string attribute with the NUL that the kernel wants.
func appendString(b []byte, typ uint16, s string) []byte {
	b = native.AppendUint16(b, uint16(attrHeader+len(s)+1))
	b = native.AppendUint16(b, typ)
	b = append(append(b, s...), 0)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// attrs walks attributes. The first error sticks and ends the walk, for nested
// walks too when they share err.
type attrs struct {
	b   []byte
	err *error

	typ   uint16
	val   []byte
	depth int // of a list of actions in others
}

func (a *attrs) next() bool {
	if *a.err != nil || len(a.b) < attrHeader {
		return false // up to three trailing bytes are padding, as for the kernel
	}
	n := int(native.Uint16(a.b))
	if n < attrHeader || n > len(a.b) {
		*a.err = &DecodeError{fmt.Sprintf("attribute of %d bytes with %d left", n, len(a.b))}
		return false
	}
	a.typ = native.Uint16(a.b[2:]) & typeMask
	a.val = a.b[attrHeader:n:n]
	a.b = a.b[min(align4(n), len(a.b)):]
	return true
}

// nest returns a walk over the current attribute's own attributes.
func (a *attrs) nest() attrs { return attrs{b: a.val, err: a.err} }

// bytes returns the value if it has at least n bytes, else n zero bytes and an
// error. Longer values are accepted: the kernel extends structs at their end.
func (a *attrs) bytes(n int) []byte {
	if len(a.val) >= n {
		return a.val
	}
	if *a.err == nil {
		*a.err = &DecodeError{fmt.Sprintf("attribute %d has %d bytes, want %d", a.typ, len(a.val), n)}
	}
	return zeros[:n]
}

var (
	zeros [64]byte
	full  = bytes.Repeat([]byte{255}, 64)
)

func (a *attrs) u16() uint16 { return native.Uint16(a.bytes(2)) }
func (a *attrs) u32() uint32 { return native.Uint32(a.bytes(4)) }

// text returns the value as a string without its NUL.
func (a *attrs) text() string {
	v := a.val
	for i, c := range v {
		if c == 0 {
			v = v[:i]
			break
		}
	}
	return string(v)
}
