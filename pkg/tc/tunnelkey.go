package tc

import (
	"fmt"
	"net/netip"
)

// TunnelOp is what tunnel_key does (TCA_TUNNEL_KEY_ACT_*).
type TunnelOp int32

// What tunnel_key can do: give the packet a key for the tunnel device to which it is
// redirected, or take away the one with which it came from a tunnel device.
const (
	TunnelSet     TunnelOp = 1
	TunnelRelease TunnelOp = 2
)

// TunnelKey is the outer header that a tunnel device shall write. A release has no
// other fields.
type TunnelKey struct {
	Op         TunnelOp
	ID         uint32 // the key, or VNI
	Src, Dst   netip.Addr
	DstPort    uint16 // 0 leaves it to the device
	TOS        uint8
	TTL        uint8 // give one: devices differ in what they do with 0
	NoChecksum bool  // leaves the outer UDP checksum zero
	NoFragment bool  // sets the don't-fragment bit; Linux before 6.4 ignores it, and does not report it back
	Options    GeneveOptions
}

// Attributes of tunnel_key (linux/tc_act/tc_tunnel_key.h, TCA_TUNNEL_KEY_*).
const (
	tunnelSrc4    = 3
	tunnelDst4    = 4
	tunnelSrc6    = 5
	tunnelDst6    = 6
	tunnelID      = 7
	tunnelDstPort = 9
	tunnelNoCsum  = 10
	tunnelOpts    = 11
	tunnelTOS     = 12
	tunnelTTL     = 13
	tunnelNoFrag  = 14
)

func (t *TunnelKey) validate() error {
	ok := *t == TunnelKey{Op: TunnelRelease}
	if t.Op == TunnelSet {
		ok = t.Src.IsValid() && t.Src.BitLen() == t.Dst.BitLen() && !t.Src.Is4In6() && !t.Dst.Is4In6() && t.Options.valid()
	}
	if !ok {
		return fmt.Errorf("%w: tunnel key %+v", ErrInvalid, *t)
	}
	return nil
}

// appendTunnelKey keeps to the order of tc, which ends with the parameters.
func (a *Action) appendTunnelKey(b []byte) ([]byte, error) {
	t := &a.Tunnel
	if err := t.validate(); err != nil {
		return b, err
	}
	if t.Op == TunnelSet {
		b = t.append(b)
	}
	b = appendU8(b, tunnelNoCsum, flag(t.NoChecksum))
	return native.AppendUint32(a.appendGeneric(appendHeader(b, optParms, 24)), uint32(t.Op)), nil
}

func (t *TunnelKey) append(b []byte) []byte {
	b = appendAddr(b, tunnelSrc4, tunnelSrc6, t.Src)
	b = appendAddr(b, tunnelDst4, tunnelDst6, t.Dst)
	b = appendBE32(b, tunnelID, t.ID)
	if t.DstPort != 0 {
		b = appendBE16(b, tunnelDstPort, t.DstPort)
	}
	b = t.Options.append(b, tunnelOpts)
	if t.TOS != 0 {
		b = appendU8(b, tunnelTOS, t.TOS)
	}
	if t.TTL != 0 {
		b = appendU8(b, tunnelTTL, t.TTL)
	}
	if t.NoFragment {
		b = appendHeader(b, tunnelNoFrag, 0)
	}
	return b
}

func flag(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// decodeTunnelKey reads the options. A key without an ID, which is not one of 0, is
// partial.
func (a *Action) decodeTunnelKey(n attrs) {
	noID := true
	for n.next() {
		noID = noID && n.typ != tunnelID
		a.Partial = !a.decodeTunnelOption(&n) || a.Partial
	}
	a.Partial = a.Partial || a.Tunnel.Op == TunnelSet && noID
}

func (a *Action) decodeTunnelOption(n *attrs) (ok bool) {
	t := &a.Tunnel
	switch n.typ {
	case optParms:
		v := n.bytes(24)
		a.decodeGeneric(v)
		t.Op = TunnelOp(native.Uint32(v[20:]))
		return t.Op == TunnelSet || t.Op == TunnelRelease
	case tunnelSrc4:
		t.Src = n.addr4()
	case tunnelDst4:
		t.Dst = n.addr4()
	case tunnelSrc6:
		t.Src = n.addr6()
	case tunnelDst6:
		t.Dst = n.addr6()
	case tunnelID:
		t.ID = n.be32()
	case tunnelDstPort:
		t.DstPort = n.be16()
	case tunnelNoCsum:
		t.NoChecksum = n.u8() != 0
	case tunnelOpts:
		t.Options, ok = decodeGeneve(n.nest())
		return ok
	case tunnelTOS:
		t.TOS = n.u8()
	case tunnelTTL:
		t.TTL = n.u8()
	case tunnelNoFrag:
		t.NoFragment = true
	default:
		return a.decodeTimes(n, optTM, 8)
	}
	return true
}
