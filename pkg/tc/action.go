package tc

import (
	"fmt"
	"time"
)

// MaxActions is how many actions one filter can have (TCA_ACT_MAX_PRIO).
const MaxActions = 32

// Verdict is what happens to a packet after an action (TC_ACT_*).
type Verdict int32

// Verdicts. A redirect is a mirred whose verdict is Stolen.
const (
	Pass   Verdict = 0
	Drop   Verdict = 2 // TC_ACT_SHOT
	Pipe   Verdict = 3 // go on with the next action
	Stolen Verdict = 4
)

// GotoChain is the verdict that goes on matching in another chain (28 bits).
func GotoChain(chain uint32) Verdict { return Verdict(0x20000000 | chain&0x0fffffff) }

// MirredOp is what mirred does with a packet (TCA_EGRESS_*, TCA_INGRESS_*).
type MirredOp int32

// What mirred can do.
const (
	EgressRedirect  MirredOp = 1
	EgressMirror    MirredOp = 2
	IngressRedirect MirredOp = 3
	IngressMirror   MirredOp = 4
)

// ActionFlags are the TCA_ACT_FLAGS_* bits.
type ActionFlags uint32

// NoPercpuStats makes the kernel count under a lock instead of per CPU: inserting
// is more than twice as fast and saves about 1.4 KB per action.
const NoPercpuStats ActionFlags = 1

// HWStats says how a driver shall count (TCA_ACT_HW_STATS_*). Zero leaves it to
// the driver.
type HWStats uint8

// Ways to count in hardware.
const (
	HWStatsImmediate HWStats = 1
	HWStatsDelayed   HWStats = 2
)

// Cookie is opaque data of up to 16 bytes that the kernel keeps with an action.
// The zero value is no cookie.
type Cookie struct {
	b [16]byte
	n uint8
}

// NewCookie returns a cookie of the first 16 bytes of b.
func NewCookie(b []byte) (c Cookie) {
	c.n = uint8(copy(c.b[:], b))
	return c
}

// Bytes returns what the cookie holds. It shares memory with c.
func (c *Cookie) Bytes() []byte { return c.b[:c.n] }

// Action is one action of a filter. It is comparable; see also Same.
type Action struct {
	Kind    string // KindMirred, ..., KindPolice; anything else is foreign and cannot be encoded
	Index   uint32 // 0 lets the kernel choose
	Verdict Verdict
	Cookie  Cookie
	Flags   ActionFlags
	HWStats HWStats

	Op        MirredOp   // mirred
	Link      int32      // mirred: the ifindex where the packet goes
	VLAN      VLANChange // vlan
	Rewrite   Rewrite    // pedit
	Checksums Checksums  // csum
	Tunnel    TunnelKey  // tunnel_key
	NAT       AddrChange // nat
	Exceed    Verdict    // police: what happens to packets above the rate; see Police

	// What follows is only decoded.

	Partial   bool // has options that are not represented here
	Stats     Stats
	InHWCount uint32
	Age       time.Duration // since the action was made; full dumps only
	Idle      time.Duration // since the last packet; full dumps only
}

// Same reports whether two actions do the same to packets. It does not compare
// cookies, ways of counting, and what is only decoded; nor indexes, unless they name
// a shared police action.
func (a *Action) Same(b *Action) bool {
	return !a.Partial && !b.Partial && a.Kind == b.Kind && a.Verdict == b.Verdict && a.Op == b.Op && a.Link == b.Link &&
		a.VLAN == b.VLAN && a.Rewrite == b.Rewrite && a.Checksums == b.Checksums && a.Tunnel == b.Tunnel && a.NAT == b.NAT &&
		a.Exceed == b.Exceed && (a.Kind != KindPolice || a.Index == b.Index)
}

func (a *Action) append(b []byte, order uint16) (_ []byte, err error) {
	b, whole := openNest(b, order)
	b = appendString(b, actKind, a.Kind)
	b, opts := openNest(b, actOptions|nested)
	if b, err = a.appendOptions(b); err != nil {
		return b, err
	}
	closeNest(b, opts)
	if a.Cookie.n > 0 {
		b = appendBytes(b, actCookie, a.Cookie.Bytes())
	}
	if a.Flags != 0 {
		b = appendBitfield(b, actFlags, uint32(a.Flags))
	}
	if a.HWStats != 0 {
		b = appendBitfield(b, actHWStats, uint32(a.HWStats))
	}
	closeNest(b, whole)
	return b, nil
}

func (a *Action) appendOptions(b []byte) ([]byte, error) {
	switch a.Kind {
	case KindMirred:
		b = native.AppendUint32(a.appendGeneric(appendHeader(b, optParms, 28)), uint32(a.Op))
		return native.AppendUint32(b, uint32(a.Link)), nil
	case KindGact:
		return a.appendGeneric(appendHeader(b, optParms, 20)), nil
	case KindVLAN:
		return a.appendVLAN(b)
	case KindPedit:
		return a.appendPedit(b)
	case KindCsum:
		return a.appendCsum(b)
	case KindTunnelKey:
		return a.appendTunnelKey(b)
	case KindPolice:
		return a.appendPolice(b)
	case KindNAT:
		return a.appendNAT(b)
	}
	return b, fmt.Errorf("%w: action of kind %q", ErrInvalid, a.Kind)
}

// appendGeneric appends the kernel's tc_gen: index, capab, action, refcnt, bindcnt.
func (a *Action) appendGeneric(b []byte) []byte {
	b = native.AppendUint32(b, a.Index)
	b = native.AppendUint32(b, 0)
	b = native.AppendUint32(b, uint32(a.Verdict))
	return append(b, 0, 0, 0, 0, 0, 0, 0, 0)
}

func (a *Action) decode(n attrs) {
	var options attrs
	for n.next() {
		switch n.typ {
		case actKind:
			a.Kind = n.kind()
		case actOptions:
			options = n.nest()
		case actIndex:
			a.Index = n.u32()
		case actStats:
			a.Stats.decode(n.nest())
		case actCookie:
			a.Cookie = NewCookie(n.val)
		case actFlags:
			a.Flags = ActionFlags(n.u32())
		case actHWStats:
			a.HWStats = HWStats(n.u32())
		case actInHWCount:
			a.InHWCount = n.u32()
		}
	}
	if options.err != nil {
		a.decodeOptions(options)
	}
}

// decodeOptions reads the options once the kind is known. What a kind's own decoder
// does not know makes the action partial.
func (a *Action) decodeOptions(n attrs) {
	switch a.Kind {
	case KindMirred, KindGact, KindVLAN, KindCsum, KindPolice, KindNAT:
		for n.next() {
			a.Partial = !a.decodeOption(&n) || a.Partial
		}
	case KindPedit:
		a.decodePedit(n)
	case KindTunnelKey:
		a.decodeTunnelKey(n)
	default:
		a.Partial = true
	}
}

func (a *Action) decodeOption(n *attrs) bool {
	switch a.Kind {
	case KindMirred:
		return a.decodeMirred(n)
	case KindGact:
		return a.decodeGact(n)
	case KindVLAN:
		return a.decodeVLAN(n)
	case KindCsum:
		return a.decodeCsum(n)
	case KindPolice:
		return a.decodePolice(n)
	case KindNAT:
		return a.decodeNAT(n)
	}
	return false
}

func (a *Action) decodeMirred(n *attrs) bool {
	if n.typ != optParms {
		return a.decodeTimes(n, optTM, 3)
	}
	v := n.bytes(28)
	a.decodeGeneric(v)
	a.Op, a.Link = MirredOp(native.Uint32(v[20:])), int32(native.Uint32(v[24:]))
	return true
}

func (a *Action) decodeGact(n *attrs) bool {
	if n.typ != optParms {
		return a.decodeTimes(n, optTM, 4)
	}
	a.decodeGeneric(n.bytes(20))
	return true
}

// decodeTimes reads a struct tcf_t, if this is the one. Before it stands an attribute
// that pads, where the kernel's processor wants 64-bit numbers aligned.
func (a *Action) decodeTimes(n *attrs, tm, padding uint16) bool {
	if n.typ == tm {
		v := n.bytes(16)
		a.Age, a.Idle = clockTicks(native.Uint64(v)), clockTicks(native.Uint64(v[8:]))
	}
	return n.typ == tm || n.typ == padding
}

func (a *Action) decodeGeneric(v []byte) {
	a.Index, a.Verdict = native.Uint32(v), Verdict(native.Uint32(v[8:]))
}

// clockTicks converts clock_t, of which user space always sees 100 per second.
func clockTicks(n uint64) time.Duration {
	return time.Duration(min(n, 1<<40)) * (time.Second / 100)
}
