package flows

import "fmt"

// The types of VLAN tags: of a customer (IEEE 802.1Q) and of a provider (802.1ad).
const (
	TagCustomer uint16 = 0x8100
	TagProvider uint16 = 0x88a8
)

// Tag is one VLAN tag. The zero value is none; a tag that only has a priority has the
// number 0.
type Tag struct {
	Type     uint16 // TagCustomer or TagProvider; 0: there is no tag
	ID       uint16 // number of the VLAN, 12 bits
	Priority uint8  // 3 bits
}

// IsZero reports whether there is no tag.
func (t Tag) IsZero() bool { return t == Tag{} }

// String returns "vlan 7", "vlan 7 prio 3", "svlan 7" for that of a provider, or "untagged".
func (t Tag) String() string {
	if t.IsZero() {
		return "untagged"
	}
	s := fmt.Sprintf("vlan %d", t.ID)
	if t.Type == TagProvider {
		s = "s" + s
	}
	if t.Priority != 0 {
		s += fmt.Sprintf(" prio %d", t.Priority)
	}
	return s
}

// Tags are the VLAN tags of a frame, the outermost first. A frame with more cannot be
// offloaded.
type Tags [2]Tag

// Len returns how many there are.
func (t Tags) Len() int {
	switch {
	case t[0].IsZero():
		return 0
	case t[1].IsZero():
		return 1
	}
	return 2
}
