package datapath

import (
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

// outer are the attributes of a tunnel's key or mask by type; nil where there is none.
// OVS_TUNNEL_KEY_ATTR_ID is 0, so types are counted from 1 here.
type outer [tunMax + 2][]byte

func (o *outer) of(typ int) []byte { return o[typ+1] }

func (o *outer) read(b []byte) (err error) {
	a := attrs{b: b, err: &err}
	for a.next() {
		typ := min(a.typ, tunMax)
		o[typ+1] = a.val
		if a.val == nil {
			o[typ+1] = []byte{}
		}
	}
	return err
}

// tunnelLayout are the tunnel's attributes that are fields.
var tunnelLayout = map[int]part{
	tunID:   {megaflow.TunID, 0, 8, false},
	tunSrc4: {megaflow.TunSrc, 0, 4, false}, tunDst4: {megaflow.TunDst, 0, 4, false},
	tunSrc6: {megaflow.TunSrc, 0, 16, false}, tunDst6: {megaflow.TunDst, 0, 16, false},
}

// matchTunnel adds the conditions on the outer header. What OVS looks at without
// anything depending on it is left out, see megaflow.NewPacket. unknown names a condition
// that no Match holds; ours is false where congestion was met on the way (CE), which
// changes what is inside.
func matchTunnel(m *megaflow.Match, key, mask []byte) (unknown string, ours bool, err error) {
	var k, v outer
	if err := k.read(key); err != nil {
		return "", false, err
	}
	if err := v.read(mask); err != nil {
		return "", false, err
	}
	for typ := tunID; typ <= tunMax; typ++ {
		value, wanted := k.of(typ), v.of(typ)
		p, isField := tunnelLayout[typ]
		switch {
		case wanted == nil:
		case isField:
			if value == nil {
				value = zeros[:p.bytes]
			}
			if len(value) < p.bytes || len(wanted) < p.bytes {
				return "", false, &DecodeError{"tunnel key too short"}
			}
			if !zero(wanted) {
				p.apply(m, value, wanted)
			}
		case typ == tunTOS:
			if len(value) > 0 && value[0]&3 == 3 {
				return "", false, nil
			}
		case typ == tunOAM:
			m.SetUint(megaflow.TunOAM, uint64(min(1, len(value)+bit(value != nil))), 255)
		case typ == tunGeneve:
			if len(value) == len(wanted) {
				m.SetOptions(string(value), string(wanted))
			} else if !zero(wanted) {
				unknown = keyName(keyTunnel)
			}
		case typ == tunNoBreak, typ == tunCsum, typ == tunPad:
		case !zero(wanted):
			unknown = keyName(keyTunnel)
		}
	}
	return unknown, true, nil
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// encap reads set(tunnel(...)).
func (a *attrs) encap() megaflow.Action {
	var t flows.Tunnel
	t.MayBreak = true
	odd := false
	in := a.nest()
	for in.next() {
		switch in.typ {
		case tunID:
			id := big.Uint64(in.bytes(8))
			t.ID, odd = uint32(id), odd || id > 1<<24-1
		case tunSrc4:
			t.Src = netip.AddrFrom4([4]byte(in.bytes(4)))
		case tunDst4:
			t.Dst = netip.AddrFrom4([4]byte(in.bytes(4)))
		case tunSrc6:
			t.Src = netip.AddrFrom16([16]byte(in.bytes(16)))
		case tunDst6:
			t.Dst = netip.AddrFrom16([16]byte(in.bytes(16)))
		case tunTOS:
			t.TOS = in.bytes(1)[0] &^ 3
		case tunTTL:
			t.TTL = in.bytes(1)[0]
		case tunNoBreak:
			t.MayBreak = false
		case tunCsum:
			t.Checksum = true
		case tunGeneve:
			t.Options = string(in.val)
			odd = odd || len(in.val) > 252
		case tunTPDst:
			t.Port = big.Uint16(in.bytes(2))
		case tunTPSrc, tunPad: // the device chooses
		default:
			odd = true
		}
	}
	if t.Src.IsValid() && t.Src.IsUnspecified() {
		t.Src = netip.Addr{}
	}
	if odd || !t.Dst.IsValid() {
		return unsupported(flows.UnsupportedTunnel, "set(tunnel(...))")
	}
	return megaflow.Encap{Tunnel: flows.RefTo(t)}
}
