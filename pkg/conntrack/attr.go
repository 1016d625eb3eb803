package conntrack

import (
	"encoding/binary"
	"fmt"
)

// attrHeader is the size of struct nlattr; attributes are aligned to 4 bytes.
const attrHeader = 4

// The upper two bits of an attribute's type are flags.
const (
	attrNested   = 1 << 15
	attrTypeMask = 1<<14 - 1
)

// DecodeError says that a message of the kernel is malformed.
type DecodeError struct {
	Offset int    // bytes from the start of the netlink message
	Reason string // what is wrong there
}

// Error implements error.
func (e *DecodeError) Error() string {
	return fmt.Sprintf("malformed conntrack message at byte %d: %s", e.Offset, e.Reason)
}

// attrs walks the attributes in msg[pos:end]. The first error sticks and ends
// the walk; adopt takes over that of a nested walk.
type attrs struct {
	msg      []byte
	pos, end int

	typ   uint16
	at    int // offset of value
	value []byte
	err   *DecodeError
}

// next steps to the next attribute. Every length is checked against the
// enclosing attribute, so a value never reaches beyond it.
func (a *attrs) next() bool {
	if a.err != nil || a.pos >= a.end {
		return false
	}
	if a.end-a.pos < attrHeader {
		return a.fail("attribute header truncated")
	}
	head := a.msg[a.pos:a.end]
	size := int(binary.NativeEndian.Uint16(head))
	if size < attrHeader || size > len(head) {
		return a.fail("attribute length out of bounds")
	}
	a.typ = binary.NativeEndian.Uint16(head[2:]) & attrTypeMask
	a.at = a.pos + attrHeader
	a.value = head[attrHeader:size:size]
	a.pos = min(a.pos+align(size), a.end) // the last one may lack its padding
	return true
}

// fail records an error at the current position unless there is one already.
func (a *attrs) fail(reason string) bool {
	if a.err == nil {
		a.err = &DecodeError{Offset: a.pos, Reason: reason}
	}
	return false
}

// nested returns a walk of the attributes inside the current one.
func (a *attrs) nested() attrs {
	return attrs{msg: a.msg, pos: a.at, end: a.at + len(a.value)}
}

// adopt takes over the error of a nested walk.
func (a *attrs) adopt(inner *attrs) {
	if a.err == nil {
		a.err = inner.err
	}
}

func (a *attrs) uint8() uint8 {
	if len(a.value) < 1 {
		a.fail("value of one byte is empty")
		return 0
	}
	return a.value[0]
}

func (a *attrs) uint16() uint16 {
	if len(a.value) < 2 {
		a.fail("value of two bytes truncated")
		return 0
	}
	return binary.BigEndian.Uint16(a.value)
}

func (a *attrs) uint32() uint32 {
	if len(a.value) < 4 {
		a.fail("value of four bytes truncated")
		return 0
	}
	return binary.BigEndian.Uint32(a.value)
}

func (a *attrs) uint64() uint64 {
	if len(a.value) < 8 {
		a.fail("value of eight bytes truncated")
		return 0
	}
	return binary.BigEndian.Uint64(a.value)
}

func align(n int) int { return (n + 3) &^ 3 }
