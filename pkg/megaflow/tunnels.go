package megaflow

import (
	"net/netip"
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// Tunnels returns in which tunnels packets come in that are otherwise like p, as the flows
// tell for packets as they come in: each has its identifier and its two ends in full. What
// else a flow matches of the outer header is told too; what it does not match, OVS does not
// look at. Each is returned once, in no order.
//
// A flow stays for a while after its last packet, and then tells of what may be over: only
// those count that are in use.
func (t *Table) Tunnels(p Packet) (all []flows.Tunnel) {
	at, exact := tierOf(&p.Key, &p.Known)
	if !exact {
		return nil
	}
	p.forgetTunnel()
	for _, groups := range [][]*group{t.tiers[at], t.rest} {
		for _, g := range groups {
			for _, same := range g.flows {
				for _, f := range same {
					if tunnel, ok := f.tunnel(&p); ok && f.Idle <= inUse && !slices.Contains(all, tunnel) {
						all = append(all, tunnel)
					}
				}
			}
		}
	}
	return all
}

// inUse is how long ago a flow may have handled a packet to be in use: what is worth a rule
// has many packets in that time.
const inUse = time.Second

// tunnelBits are the bits of a key that tell of a tunnel.
var tunnelBits = func() (k Key) {
	for _, f := range [...]Field{TunID, TunOAM, TunSrc, TunDst} {
		all := full(f)
		for i := range k {
			k[i] |= all[i]
		}
	}
	return k
}()

// forgetTunnel makes it unknown in which tunnel the packet came in.
func (p *Packet) forgetTunnel() {
	for i, bits := range tunnelBits {
		p.Key[i] &^= bits
		p.Known[i] &^= bits
	}
}

// tunnel returns the tunnel of the packets that a flow matches, if it is one alone and
// they can be like p.
func (f *Flow) tunnel(p *Packet) (t flows.Tunnel, ok bool) {
	m := &f.Match
	for i, mask := range m.Mask {
		if (m.Key[i]^p.Key[i])&mask&p.Known[i] != 0 {
			return t, false
		}
	}
	src, okSrc := m.end(TunSrc)
	dst, okDst := m.end(TunDst)
	id := full(TunID)
	if id[places[TunID].word]&^m.Mask[places[TunID].word] != 0 || !okSrc || !okDst || m.Key.Uint(TunID) > 1<<24-1 {
		return t, false
	}
	options, okOptions := m.Options.Value().known()
	return flows.Tunnel{Src: src, Dst: dst, ID: uint32(m.Key.Uint(TunID)), Options: options}, okOptions
}

// optionHead is how many bytes of an option say what it is: class, type and length.
const optionHead = 4

// known returns the options of packets that meet the condition, if it says all that a rule
// must know of them: what each is, and its data but for the first bit, which OVN keeps for
// later and sets to 0. Where nothing of them is looked at, there may be any.
func (o Options) known() (options string, ok bool) {
	if all(o.Mask, 0) {
		return "", true
	}
	for rest, mask := o.Value, o.Mask; len(rest) > 0; {
		size := optionHead
		if len(rest) >= optionHead {
			size += int(rest[3]&0x1f) * 4
		}
		if len(rest) < size || mask[:3] != "\xff\xff\xff" || mask[3]&0x1f != 0x1f ||
			size > optionHead && mask[optionHead]|0x80 != 0xff || !all(mask[min(optionHead+1, size):size], 0xff) {
			return "", false
		}
		rest, mask = rest[size:], mask[size:]
	}
	return o.Value, true
}

func all(bytes string, b byte) bool {
	for i := range len(bytes) {
		if bytes[i] != b {
			return false
		}
	}
	return true
}

// end returns the one address that an end of the tunnel must have. Of one of IPv4 only the
// last 32 bits are matched.
func (m *Match) end(f Field) (addr netip.Addr, ok bool) {
	value, mask := m.Key.Wide(f), m.Mask.Wide(f)
	four := [4]byte(mask[12:]) == [4]byte{255, 255, 255, 255}
	switch [12]byte(mask[:12]) {
	case [12]byte{}:
		addr = netip.AddrFrom4([4]byte(value[12:]))
	case [12]byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}:
		addr = netip.AddrFrom16(value)
	default:
		return addr, false
	}
	return addr, four && !addr.IsUnspecified()
}
