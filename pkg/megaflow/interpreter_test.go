package megaflow

import (
	"fmt"
	"math/rand/v2"

	"github.com/flowshunt/flowshunt/flows"
)

// outcome is what becomes of one packet.
type outcome struct {
	out   []uint32
	zones []flows.Zone
	odd   string // why a rule could not do the same: the first thing of that kind
}

func (o *outcome) strange(format string, args ...any) {
	if o.odd == "" {
		o.odd = fmt.Sprintf(format, args...)
	}
}

// is reports whether the outcome is exactly a path.
func (o *outcome) is(p Path) bool {
	return o.odd == "" && len(o.out) == 1 && o.out[0] == p.Out && fmt.Sprint(o.zones) == fmt.Sprint(p.Zones)
}

// interpreter executes packets whose bits are all known: flow by flow, field by
// field. It shares with the code under test nothing but the vocabulary.
type interpreter struct {
	rnd   *rand.Rand
	flows []Flow
	conn  Connection
	steps int
	outcome
}

// complete fills in what is not known of a packet.
func complete(rnd *rand.Rand, p Packet) Key {
	k := p.Key
	for i := range k {
		k[i] |= rnd.Uint64() & rnd.Uint64() &^ p.Known[i]
	}
	if rnd.IntN(2) == 0 { // values that flows ask for
		for _, f := range []Field{IPTTL, IPTOS, SkbMark} {
			k.SetUint(f, rnd.Uint64N(3))
		}
	}
	return k
}

func (in *interpreter) packet(k Key) {
	if in.steps++; in.steps > 60 {
		in.strange("no end")
		return
	}
	for i := range in.flows {
		if f := &in.flows[i]; in.matches(f, &k) {
			in.execute(f.Actions, k)
			return
		}
	}
	in.strange("no flow")
}

func (in *interpreter) matches(f *Flow, k *Key) bool {
	for field := range numFields {
		mask, want, is := f.Match.Mask.bytes(field), f.Match.Key.bytes(field), k.bytes(field)
		for i := range mask {
			if want[i]&mask[i] != is[i]&mask[i] {
				return false
			}
		}
	}
	return f.Unknown == "" || in.rnd.IntN(2) == 0
}

// bytes returns any field in 16 bytes.
func (k *Key) bytes(f Field) (v [16]byte) {
	if places[f].bits > 64 {
		return k.Wide(f)
	}
	for i, u := 15, k.Uint(f); u > 0; i, u = i-1, u>>8 {
		v[i] = byte(u)
	}
	return v
}

func (in *interpreter) execute(actions []Action, k Key) {
	if len(actions) == 0 {
		in.strange("drop")
	}
	for i, a := range actions {
		last := i == len(actions)-1
		switch a := a.(type) {
		case Output:
			in.out = append(in.out, a.Port)
			if !last || a.Port == uint32(k.Uint(InPort)) {
				in.strange("output that does not end it")
			}
		case Recirc:
			if !last {
				in.strange("recirculation that does not end it")
			}
			next := k
			next.SetUint(RecircID, uint64(a.ID))
			in.packet(next)
		case CT:
			in.ct(a, &k)
		case CTClear:
			clearCT(&k)
		case Unsupported:
			in.strange("%s", a.Name)
		}
	}
}

func clearCT(k *Key) {
	for f := range numFields {
		switch f {
		case CTState, CTZone, CTMark, CTIPProto, CTTPSrc, CTTPDst:
			k.SetUint(f, 0)
		case CTLabel, CTIPSrc, CTIPDst:
			k.SetWide(f, [16]byte{})
		}
	}
}

func (in *interpreter) ct(a CT, k *Key) {
	in.zones = append(in.zones, a.Zone)
	for _, s := range in.conn.States {
		if s.Zone != a.Zone {
			continue
		}
		if a.Helper != "" || a.Commit && s.Mark&^a.MarkMask|a.Mark&a.MarkMask != s.Mark {
			in.strange("%+v", a)
		}
		original := s.Tuple == in.conn.Tuple
		if a.Force && !original {
			in.strange("force")
		}
		k.SetUint(CTZone, uint64(s.Zone))
		k.SetUint(CTMark, uint64(s.Mark))
		k.SetWide(CTLabel, [16]byte{})
		k.SetUint(CTIPProto, k.Uint(IPProto))
		if original {
			k.SetUint(CTState, 0x22)
			k.SetWide(CTIPSrc, k.Wide(IPSrc))
			k.SetWide(CTIPDst, k.Wide(IPDst))
			k.SetUint(CTTPSrc, k.Uint(TPSrc))
			k.SetUint(CTTPDst, k.Uint(TPDst))
		} else {
			k.SetUint(CTState, 0x2a)
			k.SetWide(CTIPSrc, k.Wide(IPDst))
			k.SetWide(CTIPDst, k.Wide(IPSrc))
			k.SetUint(CTTPSrc, k.Uint(TPDst))
			k.SetUint(CTTPDst, k.Uint(TPSrc))
		}
		return
	}
	in.strange("zone %d", a.Zone)
}
