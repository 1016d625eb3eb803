package secgroup

import "slices"

// setNo numbers sets of addresses: those with a name, and the prefixes that rules name
// themselves, which are sets of one.
type setNo uint32

// setNos is a set of numbers, as many words as it needs, in order: two of them are compared
// 32 numbers at a time. It is never changed.
type setNos []word

// word is some of the 32 numbers from 32*no on: small, because most stand alone.
type word struct {
	no, bits uint32
}

func (w word) first() setNo { return setNo(32 * w.no) }

func (n setNo) word() uint32 { return uint32(n) / 32 }
func (n setNo) bit() uint32  { return 1 << (n % 32) }

// with returns s with n, or without it.
func (s setNos) with(n setNo, in bool) setNos {
	i, found := slices.BinarySearchFunc(s, n.word(), func(w word, no uint32) int { return int(w.no) - int(no) })
	switch {
	case found && s[i].bits&n.bit() != 0 == in, !found && !in:
		return s
	case !found:
		return slices.Insert(slices.Clone(s), i, word{n.word(), n.bit()})
	case s[i].bits == n.bit():
		return slices.Delete(slices.Clone(s), i, i+1)
	}
	out := slices.Clone(s)
	out[i].bits ^= n.bit()
	return out
}

// meets reports whether a number is in both.
func (s setNos) meets(t setNos) bool {
	for len(s) > 0 && len(t) > 0 {
		switch {
		case s[0].no < t[0].no:
			s = s[1:]
		case s[0].no > t[0].no:
			t = t[1:]
		case s[0].bits&t[0].bits != 0:
			return true
		default:
			s, t = s[1:], t[1:]
		}
	}
	return false
}

// numbering gives numbers from 1 on, and one that was freed again after settle.
type numbering struct {
	last        uint32
	freed, late []uint32
}

func (n *numbering) take() uint32 {
	if i := len(n.freed) - 1; i >= 0 {
		no := n.freed[i]
		n.freed = n.freed[:i]
		return no
	}
	n.last++
	return n.last
}

func (n *numbering) free(no uint32) { n.late = append(n.late, no) }

// settle is called between two Applies: within one, a number stands for one thing only.
func (n *numbering) settle() {
	n.freed = append(n.freed, n.late...)
	n.late = n.late[:0]
}
