package tc

import (
	"bytes"
	"fmt"
)

// GeneveOptions are the options of a Geneve header as they stand on the wire (RFC
// 8926, section 3.5). As a string they are comparable, and + puts one behind the
// other.
type GeneveOptions string

// Bounds of one option's data (the length is 5 bits of 4-byte words) and of all
// options (what an 8-bit length of the kernel's, in whole words, can say).
const (
	maxGeneveData = 31 * 4
	maxGeneve     = 63 * 4
)

// GeneveOption is one option. Data is padded to whole words of four bytes, and cut
// to 124 bytes.
func GeneveOption(class uint16, typ uint8, data ...byte) GeneveOptions {
	data = data[:min(len(data), maxGeneveData)]
	b := append(big.AppendUint16(nil, class), typ, uint8((len(data)+3)/4))
	return GeneveOptions(pad(append(b, data...)))
}

// cut returns the first option and what follows it; ok is false if there is none,
// or only a part of one.
func (o GeneveOptions) cut() (first, rest GeneveOptions, ok bool) {
	if len(o) < 4 {
		return "", "", false
	}
	n := 4 + int(o[3])*4
	if n == 4 || n > 4+maxGeneveData || n > len(o) {
		return "", "", false
	}
	return o[:n], o[n:], true
}

// append appends the options as a nest of nests, which has the same numbers in
// flower and in tunnel_key.
func (o GeneveOptions) append(b []byte, typ uint16) []byte {
	if o == "" {
		return b
	}
	b, all := openNest(b, typ)
	for first, rest, ok := o.cut(); ok; first, rest, ok = rest.cut() {
		var one int
		b, one = openNest(b, geneveOption)
		b = append(appendHeader(b, geneveClass, 2), first[:2]...)
		b = appendU8(append(b, 0, 0), geneveType, first[2])
		b = append(appendHeader(b, geneveData, len(first)-4), first[4:]...)
		closeNest(b, one)
	}
	closeNest(b, all)
	return b
}

// Attributes of tunnel options (TCA_FLOWER_KEY_ENC_OPTS_GENEVE,
// TCA_FLOWER_KEY_ENC_OPT_GENEVE_*; TCA_TUNNEL_KEY_* has the same).
const (
	geneveOption = 1

	geneveClass = 1
	geneveType  = 2
	geneveData  = 3
)

// decodeGeneve reads what append writes, and also the one nest with all options in
// it that the kernel reports. It reports whether there is nothing else.
func decodeGeneve(a attrs) (_ GeneveOptions, ok bool) {
	var room [maxGeneve]byte
	b := room[:0]
	for a.next() {
		if a.typ != geneveOption {
			return "", false
		}
		var header [4]byte
		for o := a.nest(); o.next(); {
			switch o.typ {
			case geneveClass:
				copy(header[:], o.bytes(2)[:2])
			case geneveType:
				header[2] = o.u8()
			case geneveData:
				n := len(o.val)
				if n == 0 || n%4 != 0 || n > maxGeneveData || len(b)+4+n > maxGeneve {
					return "", false
				}
				header[3] = uint8(n / 4)
				b = append(append(b, header[:]...), o.val...)
			default:
				return "", false
			}
		}
	}
	return GeneveOptions(b), true
}

// valid reports whether the string is made of whole options.
func (o GeneveOptions) valid() bool {
	ok := len(o) <= maxGeneve
	for o != "" && ok {
		_, o, ok = o.cut()
	}
	return ok
}

// GeneveMatch compares the options of a Geneve header under a mask, which is itself
// options: a mask of the class and of the type, and the length of the data that it
// masks. The packet must begin with these options, in this order; of the length of
// all its options the kernel compares only the bits that are set in the length of
// these (TestDecapsulation), so more may follow. The zero value matches any.
type GeneveMatch struct{ Value, Mask GeneveOptions }

// ExactGeneve matches exactly these options.
func ExactGeneve(o GeneveOptions) GeneveMatch {
	mask := bytes.Repeat([]byte{0xff}, len(o))
	for at := 3; at < len(o); at += 4 + int(o[at])*4 {
		mask[at] = o[at]
	}
	return GeneveMatch{o, GeneveOptions(mask)}
}

// validate wants a mask for each option, of the same length.
func (m *GeneveMatch) validate() error {
	ok := m.Value.valid() && len(m.Value) == len(m.Mask)
	for value, mask := m.Value, m.Mask; ok && value != ""; {
		ok = value[3] == mask[3]
		_, value, _ = value.cut()
		_, mask, _ = mask.cut()
	}
	if !ok {
		return fmt.Errorf("%w: Geneve options %x under mask %x", ErrInvalid, m.Value, m.Mask)
	}
	return nil
}
