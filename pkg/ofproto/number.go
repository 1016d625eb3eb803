package ofproto

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// number reads what OVS prints: decimal, or hexadecimal behind 0x.
func number(s string, bits int) (uint64, error) {
	base, digits := 10, s
	if rest, ok := strings.CutPrefix(s, "0x"); ok {
		base, digits = 16, rest
	}
	if digits == "" || digits[0] == '+' || digits[0] == '-' {
		return 0, fmt.Errorf("%w: number %q", ErrFormat, clip(s))
	}
	n, err := strconv.ParseUint(digits, base, bits)
	if err != nil {
		return 0, fmt.Errorf("%w: number %q", ErrFormat, clip(s))
	}
	return n, nil
}

// masked reads VALUE or VALUE/MASK, of a field of so many bits.
func masked(s string, bits int) (value, mask uint64, err error) {
	text, maskText, hasMask := strings.Cut(s, "/")
	if value, err = number(text, bits); err != nil {
		return 0, 0, err
	}
	mask = 1<<bits - 1
	if hasMask {
		mask, err = number(maskText, bits)
	}
	return value, mask, err
}

// masked128 reads VALUE or VALUE/MASK in hexadecimal, most significant byte first.
func masked128(s string) (value, mask [16]byte, err error) {
	text, maskText, hasMask := strings.Cut(s, "/")
	if value, err = number128(text); err != nil {
		return value, mask, err
	}
	if hasMask {
		mask, err = number128(maskText)
		return value, mask, err
	}
	return value, ones128(128), nil
}

func number128(s string) (v [16]byte, err error) {
	if s == "0" {
		return v, nil
	}
	digits, ok := strings.CutPrefix(s, "0x")
	if len(digits)%2 != 0 {
		digits = "0" + digits
	}
	b, err := hex.DecodeString(digits)
	if !ok || err != nil || len(b) == 0 || len(b) > len(v) {
		return v, fmt.Errorf("%w: number %q", ErrFormat, clip(s))
	}
	copy(v[len(v)-len(b):], b)
	return v, nil
}

// ones128 has the first so many bits set.
func ones128(bits int) (v [16]byte) {
	for i := range bits {
		v[i/8] |= 0x80 >> (i % 8)
	}
	return v
}

// maskedAddr reads ADDRESS, ADDRESS/BITS or ADDRESS/MASK. An IPv4 address has the
// last 32 of the bits.
func maskedAddr(s string, v6 bool) (value, mask [16]byte, err error) {
	text, maskText, hasMask := strings.Cut(s, "/")
	if value, err = address(text, v6); err != nil || !hasMask {
		return value, prefix(128, v6), err
	}
	if bits, err := strconv.ParseUint(maskText, 10, 8); err == nil {
		if bits > 32 && !v6 || bits > 128 {
			return value, mask, fmt.Errorf("%w: mask %q", ErrFormat, clip(maskText))
		}
		return value, prefix(int(bits), v6), nil
	}
	mask, err = address(maskText, v6)
	return value, mask, err
}

// prefix is the mask of so many bits of an address.
func prefix(bits int, v6 bool) (mask [16]byte) {
	ones := ones128(bits)
	if v6 {
		return ones
	}
	copy(mask[12:], ones[:4])
	return mask
}

func address(s string, v6 bool) (v [16]byte, err error) {
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil || a.Is6() != v6 || a.Zone() != "":
		return v, fmt.Errorf("%w: address %q", ErrFormat, clip(s))
	case v6:
		return a.As16(), nil
	}
	four := a.As4()
	copy(v[12:], four[:])
	return v, nil
}
