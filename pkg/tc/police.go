package tc

import "fmt"

// Police returns the action that binds a filter to the shared police action of this
// index: packets above its rate get exceed, the others conform. The rate is the
// shared action's own, and no part of Action. So are, once it exists, both verdicts:
// the kernel keeps and reports those with which it was made. It does not refuse an
// index that does not exist, but makes an action without a limit. It does refuse a
// filter whose SkipHW or SkipSW is not that of the shared action.
func Police(index uint32, exceed, conform Verdict) Action {
	return Action{Kind: KindPolice, Index: index, Verdict: conform, Exceed: exceed}
}

// Attributes of police (linux/pkt_cls.h, TCA_POLICE_*).
const (
	policeTBF      = 1 // struct tc_police
	policeRate     = 2
	policePeakRate = 3
	policeResult   = 5
	policeTM       = 6
	policeBurst64  = 11 // the last of the 64-bit rates

	policeTBFLen = 56
)

func (a *Action) appendPolice(b []byte) ([]byte, error) {
	if a.Index == 0 {
		return b, fmt.Errorf("%w: police without the index of a shared action", ErrInvalid)
	}
	b = native.AppendUint32(appendHeader(b, policeTBF, policeTBFLen), a.Index)
	b = native.AppendUint32(b, uint32(a.Exceed))
	b = append(b, zeros[:policeTBFLen-8]...)
	return appendU32(b, policeResult, uint32(a.Verdict)), nil
}

// decodePolice passes over the rates.
func (a *Action) decodePolice(n *attrs) bool {
	switch {
	case n.typ == policeTBF:
		v := n.bytes(policeTBFLen)
		a.Index, a.Exceed = native.Uint32(v), Verdict(native.Uint32(v[4:]))
	case n.typ == policeResult:
		a.Verdict = Verdict(n.u32())
	case n.typ <= policeBurst64 && n.typ != policeTM:
	default:
		return a.decodeTimes(n, policeTM, 7)
	}
	return true
}
