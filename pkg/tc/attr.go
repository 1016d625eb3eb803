package tc

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Netlink headers and most tc attributes are in host order; what comes from
// packets is in network order.
var (
	native = binary.NativeEndian
	big    = binary.BigEndian
)

func align4(n int) int { return (n + 3) &^ 3 }

// appendHeader starts an attribute of n bytes; the caller appends the bytes and
// then calls pad.
func appendHeader(b []byte, typ uint16, n int) []byte {
	b = native.AppendUint16(b, uint16(attrHeaderLen+n))
	return native.AppendUint16(b, typ)
}

func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func appendBytes(b []byte, typ uint16, v []byte) []byte {
	return pad(append(appendHeader(b, typ, len(v)), v...))
}

// appendString appends a string with the NUL that the kernel's policies want.
func appendString(b []byte, typ uint16, s string) []byte {
	b = append(appendHeader(b, typ, len(s)+1), s...)
	return pad(append(b, 0))
}

func appendU8(b []byte, typ uint16, v uint8) []byte {
	return append(appendHeader(b, typ, 1), v, 0, 0, 0)
}

func appendU16(b []byte, typ, v uint16) []byte {
	return append(native.AppendUint16(appendHeader(b, typ, 2), v), 0, 0)
}

func appendU32(b []byte, typ uint16, v uint32) []byte {
	return native.AppendUint32(appendHeader(b, typ, 4), v)
}

func appendBE16(b []byte, typ, v uint16) []byte {
	return append(big.AppendUint16(appendHeader(b, typ, 2), v), 0, 0)
}

func appendBE32(b []byte, typ uint16, v uint32) []byte {
	return big.AppendUint32(appendHeader(b, typ, 4), v)
}

// appendBitfield appends a struct nla_bitfield32 that sets exactly bits.
func appendBitfield(b []byte, typ uint16, bits uint32) []byte {
	b = native.AppendUint32(appendHeader(b, typ, 8), bits)
	return native.AppendUint32(b, bits)
}

// openNest starts a nested attribute; closeNest, given the offset that openNest
// returned, writes its length.
func openNest(b []byte, typ uint16) ([]byte, int) { return appendHeader(b, typ, 0), len(b) }

func closeNest(b []byte, at int) { native.PutUint16(b[at:], uint16(len(b)-at)) }

// A DecodeError says which byte of a message could not be understood.
type DecodeError struct {
	Offset int    // from the start of the netlink message
	What   string // what was expected there
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("tc message malformed at byte %d: %s", e.Offset, e.What)
}

// attrs walks the attributes in b, which begins at offset base of its message.
// The first error sticks and ends the walk, for nested walks too when they
// share err.
type attrs struct {
	b    []byte
	base int
	err  *error

	typ uint16
	val []byte
	at  int // offset of val in the message
}

func (a *attrs) next() bool {
	if *a.err != nil || len(a.b) < attrHeaderLen {
		return false // up to three trailing bytes are padding, as for the kernel
	}
	n := int(native.Uint16(a.b))
	if n < attrHeaderLen || n > len(a.b) {
		*a.err = &DecodeError{a.base, fmt.Sprintf("attribute of %d bytes with %d left", n, len(a.b))}
		return false
	}
	a.typ = native.Uint16(a.b[2:]) & attrTypeMask
	a.val, a.at = a.b[attrHeaderLen:n], a.base+attrHeaderLen
	step := min(align4(n), len(a.b))
	a.b, a.base = a.b[step:], a.base+step
	return true
}

// nest returns a walk over the current attribute's own attributes.
func (a *attrs) nest() attrs { return attrs{b: a.val, base: a.at, err: a.err} }

// bytes returns the value if it has at least n bytes, else n zero bytes and an
// error. Longer values are accepted: the kernel extends structs at their end.
func (a *attrs) bytes(n int) []byte {
	if len(a.val) >= n {
		return a.val
	}
	if *a.err == nil {
		*a.err = &DecodeError{a.at, fmt.Sprintf("attribute %d has %d bytes, want %d", a.typ, len(a.val), n)}
	}
	return zeros[:n]
}

var zeros [64]byte

func (a *attrs) u8() uint8    { return a.bytes(1)[0] }
func (a *attrs) u16() uint16  { return native.Uint16(a.bytes(2)) }
func (a *attrs) u32() uint32  { return native.Uint32(a.bytes(4)) }
func (a *attrs) u64() uint64  { return native.Uint64(a.bytes(8)) }
func (a *attrs) be16() uint16 { return big.Uint16(a.bytes(2)) }
func (a *attrs) be32() uint32 { return big.Uint32(a.bytes(4)) }

func (a *attrs) addr4() netip.Addr { return netip.AddrFrom4([4]byte(a.bytes(4))) }
func (a *attrs) addr6() netip.Addr { return netip.AddrFrom16([16]byte(a.bytes(16))) }

// kind returns the value as a string without its NUL. Kinds that this package
// knows cost no allocation.
func (a *attrs) kind() string {
	v := a.val
	if n := len(v); n > 0 && v[n-1] == 0 {
		v = v[:n-1]
	}
	for _, known := range kinds {
		if string(v) == known {
			return known
		}
	}
	return string(v)
}
