package megaflow

import (
	"encoding/binary"

	"github.com/flowshunt/flowshunt/flows"
)

// Key has a value, or a mask, for every Field. It is comparable.
type Key [keyWords]uint64

// Uint returns a field of at most 64 bits.
func (k *Key) Uint(f Field) uint64 {
	p := places[f]
	return k[p.word] >> p.shift & (1<<p.bits - 1)
}

// SetUint sets a field of at most 64 bits; bits of v that it does not have are cut off.
func (k *Key) SetUint(f Field, v uint64) {
	p := places[f]
	mask := uint64(1<<p.bits-1) << p.shift
	k[p.word] = k[p.word]&^mask | v<<p.shift&mask
}

// Wide returns a field of 128 bits, most significant byte first.
func (k *Key) Wide(f Field) (v [16]byte) {
	p := places[f]
	binary.BigEndian.PutUint64(v[:8], k[p.word])
	binary.BigEndian.PutUint64(v[8:], k[p.word+1])
	return v
}

// SetWide sets a field of 128 bits.
func (k *Key) SetWide(f Field, v [16]byte) {
	p := places[f]
	k[p.word] = binary.BigEndian.Uint64(v[:8])
	k[p.word+1] = binary.BigEndian.Uint64(v[8:])
}

// Match is a set of packets: those whose key agrees with Key under Mask, and whose
// Geneve options do with Options. Bits of Key outside Mask are 0.
type Match struct {
	Key, Mask Key
	Options   flows.Ref[Options] // zero: any
}

// Options is a condition on Geneve's options: as long as these, and equal under the mask.
type Options struct{ Value, Mask string }

// has reports whether options meet the condition.
func (o Options) has(options string) bool {
	if len(options) != len(o.Mask) {
		return false
	}
	for i := range len(options) {
		if (options[i]^o.Value[i])&o.Mask[i] != 0 {
			return false
		}
	}
	return true
}

// SetOptions adds a condition on Geneve's options; the two are equally long.
func (m *Match) SetOptions(value, mask string) {
	masked := []byte(value)
	for i := range masked {
		masked[i] &= mask[i]
	}
	m.Options = flows.RefTo(Options{string(masked), mask})
}

// SetUint adds a condition on a field of at most 64 bits.
func (m *Match) SetUint(f Field, value, mask uint64) {
	m.Key.SetUint(f, value&mask)
	m.Mask.SetUint(f, mask)
}

// SetWide adds a condition on a field of 128 bits.
func (m *Match) SetWide(f Field, value, mask [16]byte) {
	for i := range value {
		value[i] &= mask[i]
	}
	m.Key.SetWide(f, value)
	m.Mask.SetWide(f, mask)
}

// full returns the key that has all bits of a field.
func full(f Field) (k Key) {
	if places[f].bits > 64 {
		k[places[f].word], k[places[f].word+1] = ^uint64(0), ^uint64(0)
	} else {
		k.SetUint(f, ^uint64(0))
	}
	return k
}

// first returns the first field of which k has a bit.
func (k *Key) first() Field {
	for f := range numFields {
		if b := full(f); b.meets(k) {
			return f
		}
	}
	return numFields
}

// meets reports whether the two have a bit in common.
func (k *Key) meets(other *Key) bool {
	for i := range k {
		if k[i]&other[i] != 0 {
			return true
		}
	}
	return false
}
