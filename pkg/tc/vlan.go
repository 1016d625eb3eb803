package tc

import "fmt"

// VLANOp is what the vlan action does (TCA_VLAN_ACT_*).
type VLANOp int32

// What vlan can do with the outer tag.
const (
	VLANPop    VLANOp = 1
	VLANPush   VLANOp = 2
	VLANModify VLANOp = 3
)

// VLANChange is what the vlan action does to the outermost tag. Pop has no other
// fields.
type VLANChange struct {
	Op VLANOp

	// TCI is made by VLANTag, or by VLANID: then modify keeps the priority, and push
	// takes 0.
	TCI Match16

	// Protocol is the tag's own type, ProtocolVLAN or ProtocolQinQ. The kernel takes 0
	// for ProtocolVLAN, and reports that.
	Protocol uint16
}

// Attributes of vlan (linux/tc_act/tc_vlan.h, TCA_VLAN_*).
const (
	vlanID       = 3
	vlanProtocol = 4
	vlanPrio     = 6
)

func (v *VLANChange) validate() error {
	ok := v.Op == VLANPop && *v == VLANChange{Op: VLANPop}
	if v.Op == VLANPush || v.Op == VLANModify {
		ok = v.TCI.Mask&tciID != 0 && isTCI(v.TCI.Mask) && (v.Protocol == 0 || isTag(v.Protocol))
	}
	if !ok {
		return fmt.Errorf("%w: change of a tag %+v", ErrInvalid, *v)
	}
	return nil
}

func (a *Action) appendVLAN(b []byte) ([]byte, error) {
	v := &a.VLAN
	if err := v.validate(); err != nil {
		return b, err
	}
	b = native.AppendUint32(a.appendGeneric(appendHeader(b, optParms, 24)), uint32(v.Op))
	if v.Op == VLANPop {
		return b, nil
	}
	b = appendU16(b, vlanID, v.TCI.Value&tciID)
	if v.Protocol != 0 {
		b = appendBE16(b, vlanProtocol, v.Protocol)
	}
	if v.TCI.Mask&tciPrio != 0 {
		b = appendU8(b, vlanPrio, uint8(v.TCI.Value>>13))
	}
	return b, nil
}

func (a *Action) decodeVLAN(n *attrs) bool {
	switch n.typ {
	case optParms:
		v := n.bytes(24)
		a.decodeGeneric(v)
		a.VLAN.Op = VLANOp(native.Uint32(v[20:]))
		return a.VLAN.Op >= VLANPop && a.VLAN.Op <= VLANModify
	case vlanID:
		a.VLAN.TCI.decodeID(n)
	case vlanProtocol:
		a.VLAN.Protocol = n.be16()
	case vlanPrio:
		a.VLAN.TCI.decodePrio(n)
	default:
		return a.decodeTimes(n, optTM, 5)
	}
	return true
}
