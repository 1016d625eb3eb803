package ovn

import (
	"math/bits"
	"net/netip"
)

// number is an unsigned integer of 128 bits, the widest field that OVN knows.
type number struct{ hi, lo uint64 }

func small(n uint64) number { return number{lo: n} }

// ones returns the n lowest bits, set. n is 0 to 128.
func ones(n int) number {
	switch {
	case n <= 0:
		return number{}
	case n < 64:
		return number{lo: 1<<n - 1}
	case n < 128:
		return number{hi: 1<<(n-64) - 1, lo: ^uint64(0)}
	}
	return number{hi: ^uint64(0), lo: ^uint64(0)}
}

func (n number) and(m number) number { return number{n.hi & m.hi, n.lo & m.lo} }
func (n number) or(m number) number  { return number{n.hi | m.hi, n.lo | m.lo} }
func (n number) not() number         { return number{^n.hi, ^n.lo} }
func (n number) isZero() bool        { return n == number{} }

func (n number) less(m number) bool {
	return n.hi < m.hi || n.hi == m.hi && n.lo < m.lo
}

func (n number) next() number {
	lo, carry := bits.Add64(n.lo, 1, 0)
	return number{n.hi + carry, lo}
}

func (n number) prev() number {
	lo, borrow := bits.Sub64(n.lo, 1, 0)
	return number{n.hi - borrow, lo}
}

// shl shifts left by 0 to 127 bits.
func (n number) shl(by int) number {
	if by >= 64 {
		return number{hi: n.lo << (by - 64)}
	}
	return number{n.hi<<by | n.lo>>(64-by), n.lo << by}
}

// shr shifts right by 0 to 127 bits.
func (n number) shr(by int) number {
	if by >= 64 {
		return number{lo: n.hi >> (by - 64)}
	}
	return number{n.hi >> by, n.lo>>by | n.hi<<(64-by)}
}

// width returns how many bits are needed to write the number: 0 for zero.
func (n number) width() int {
	if n.hi != 0 {
		return 64 + bits.Len64(n.hi)
	}
	return bits.Len64(n.lo)
}

// trailingZeros returns 128 for zero.
func (n number) trailingZeros() int {
	if n.lo != 0 {
		return bits.TrailingZeros64(n.lo)
	}
	return 64 + bits.TrailingZeros64(n.hi)
}

// numberOf returns an address as a number of 32 or 128 bits.
func numberOf(a netip.Addr) number {
	if a.Is4() {
		b := a.As4()
		return small(uint64(b[0])<<24 | uint64(b[1])<<16 | uint64(b[2])<<8 | uint64(b[3]))
	}
	var n number
	for i, b := range a.As16() {
		if i < 8 {
			n.hi = n.hi<<8 | uint64(b)
		} else {
			n.lo = n.lo<<8 | uint64(b)
		}
	}
	return n
}

// addr4 and addr16 are the inverse of numberOf.
func (n number) addr4() netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n.lo >> 24), byte(n.lo >> 16), byte(n.lo >> 8), byte(n.lo)})
}

func (n number) addr16() netip.Addr {
	var b [16]byte
	for i := range 8 {
		b[i], b[8+i] = byte(n.hi>>(56-8*i)), byte(n.lo>>(56-8*i))
	}
	return netip.AddrFrom16(b)
}
