package tc

import "fmt"

// VLANMatch compares one VLAN tag. The zero value matches any.
type VLANMatch struct {
	TCI     Match16 // tag control information: see VLANID and VLANTag
	EthType uint16  // of what follows the tag; 0 matches any
}

// The parts of a tag's control information (IEEE 802.1Q). The kernel's filters and
// actions take or leave each as a whole, and do not look at the drop bit in between.
const (
	tciID   = 0x0fff
	tciPrio = 0xe000
)

// VLANID is the control information of a tag with this identifier and any priority.
func VLANID(id uint16) Match16 { return Match16{id & tciID, tciID} }

// VLANTag is the control information of a tag with this identifier and priority.
func VLANTag(id uint16, prio uint8) Match16 {
	return Match16{uint16(prio)<<13 | id&tciID, tciID | tciPrio}
}

// isTCI reports whether the mask is made of whole parts.
func isTCI(mask uint16) bool {
	id, prio := mask&tciID, mask&tciPrio
	return id|prio == mask && (id == 0 || id == tciID) && (prio == 0 || prio == tciPrio)
}

func (m *Match) validateTags(protocol uint16) error {
	for _, tag := range [...]*VLANMatch{&m.VLAN, &m.CVLAN} {
		switch {
		case *tag == VLANMatch{}:
		case !isTag(protocol):
			return fmt.Errorf("%w: a tag in protocol %#04x", ErrInvalid, protocol)
		case !isTCI(tag.TCI.Mask):
			return fmt.Errorf("%w: tag %#04x under mask %#04x", ErrInvalid, tag.TCI.Value, tag.TCI.Mask)
		}
		protocol = tag.EthType
	}
	return nil
}

func (m *VLANMatch) append(b []byte, id, prio, ethType uint16) []byte {
	if m.TCI.Mask&tciID != 0 {
		b = appendU16(b, id, m.TCI.Value&tciID)
	}
	if m.TCI.Mask&tciPrio != 0 {
		b = appendU8(b, prio, uint8(m.TCI.Value>>13))
	}
	if m.EthType != 0 {
		b = appendBE16(b, ethType, m.EthType)
	}
	return b
}

// decodeTag takes one key of a tag. It reports whether it knows the attribute.
func (m *Match) decodeTag(a *attrs) bool {
	switch a.typ {
	case flowerVLANID:
		m.VLAN.TCI.decodeID(a)
	case flowerVLANPrio:
		m.VLAN.TCI.decodePrio(a)
	case flowerVLANType:
		m.VLAN.EthType = a.be16()
	case flowerCVLANID:
		m.CVLAN.TCI.decodeID(a)
	case flowerCVLANPrio:
		m.CVLAN.TCI.decodePrio(a)
	case flowerCVLANType:
		m.CVLAN.EthType = a.be16()
	default:
		return false
	}
	return true
}

// decodeID takes a VLAN identifier, which the kernel writes in the order of the host.
func (m *Match16) decodeID(a *attrs) {
	m.Value, m.Mask = m.Value&^tciID|a.u16()&tciID, m.Mask|tciID
}

func (m *Match16) decodePrio(a *attrs) {
	m.Value, m.Mask = m.Value&^tciPrio|uint16(a.u8())<<13, m.Mask|tciPrio
}
