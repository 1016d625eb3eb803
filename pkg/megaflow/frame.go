package megaflow

import (
	"encoding/binary"
	"net/netip"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
)

// tagPresent is the bit of a TCI that OVS sets where there is a tag.
const tagPresent = 0x1000

// TCI returns the tag as OVS has it; 0 for none.
func TCI(t flows.Tag) uint16 {
	if t.IsZero() {
		return 0
	}
	return uint16(t.Priority)<<13 | tagPresent | t.ID
}

// tag is the reverse of TCI.
func tag(typ, tci uint64) flows.Tag {
	if tci&tagPresent == 0 {
		return flows.Tag{}
	}
	return flows.Tag{Type: uint16(typ), ID: uint16(tci & 0xfff), Priority: uint8(tci >> 13)}
}

func (p *Packet) setTags(t flows.Tags) {
	p.SetUint(VLANTCI, uint64(TCI(t[0])))
	p.SetUint(VLANType, uint64(t[0].Type))
	p.SetUint(InnerTCI, uint64(TCI(t[1])))
	p.SetUint(InnerType, uint64(t[1].Type))
}

// SetOutside adds the condition that tags and tunnel are those of a frame.
func (m *Match) SetOutside(f flows.Frame) {
	var p Packet
	t := f.Tunnel.Value()
	p.setTags(f.Tags)
	p.setTunnel(t)
	for i := range p.Known {
		m.Key[i] = m.Key[i]&^p.Known[i] | p.Key[i]
		m.Mask[i] |= p.Known[i]
	}
	m.SetOptions(t.Options, strings.Repeat("\xff", len(t.Options)))
}

// tags returns the tags that the packet has now.
func (p *Packet) tags() flows.Tags {
	k := &p.Key
	return flows.Tags{tag(k.Uint(VLANType), k.Uint(VLANTCI)), tag(k.Uint(InnerType), k.Uint(InnerTCI))}
}

// setTunnel makes known in which tunnel the packet came in.
func (p *Packet) setTunnel(t flows.Tunnel) {
	p.SetUint(TunID, uint64(t.ID))
	p.SetUint(TunOAM, 0)
	p.SetWide(TunSrc, wide(t.Src))
	p.SetWide(TunDst, wide(t.Dst))
	p.Options = t.Options
}

// Frame returns what is around the IP packet now, but for a tunnel.
func (p *Packet) Frame() flows.Frame {
	return flows.Frame{SrcMAC: hardware(p.Key.Uint(EthSrc)), DstMAC: hardware(p.Key.Uint(EthDst)), Tags: p.tags()}
}

func mac(m flows.MAC) uint64 { return binary.BigEndian.Uint64(append([]byte{0, 0}, m[:]...)) }

func hardware(v uint64) (m flows.MAC) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], v)
	copy(m[:], b[2:])
	return m
}

// wide returns an address in the last bytes of 16; zeros for none.
func wide(a netip.Addr) (v [16]byte) {
	switch {
	case a.Is4():
		four := a.As4()
		copy(v[12:], four[:])
	case a.IsValid():
		v = a.As16()
	}
	return v
}
