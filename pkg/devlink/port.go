package devlink

import (
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Flavour is what a port is (enum devlink_port_flavour). The zero value is that of
// ports whose driver does not tell.
type Flavour uint8

// The flavours in the kernel's order.
const (
	Unknown  Flavour = iota
	Physical         // a connector of the device: an uplink
	CPU
	DSA
	PCIPF // stands for a physical function
	PCIVF // stands for a virtual function
	Virtual
	Unused
	PCISF // stands for a subfunction
)

var flavours = [...]string{"unknown", "physical", "cpu", "dsa", "pcipf", "pcivf", "virtual", "unused", "pcisf"}

// String returns the name that the devlink tool has for it.
func (f Flavour) String() string {
	if int(f) < len(flavours) {
		return flavours[f]
	}
	return flavours[Unknown]
}

// Port is a port of a device.
type Port struct {
	Device  string // as "pci/0000:03:00.0"
	Index   uint32 // unique in the device
	Flavour Flavour
	// Ifindex is that of the port's network device, if it has one in the network namespace
	// of the device; else 0.
	Ifindex int32

	Number     uint32 // of Physical: as it is printed on the device
	Controller uint32 // of PCIPF, PCIVF, PCISF: 0 is the one that the device is in
	External   bool   // of these: another host's
	PF         uint16
	VF         uint16
	SF         uint32
}

// key names a port.
type key struct {
	device string
	index  uint32
}

func (p *Port) key() key { return key{p.Device, p.Index} }

// handle collects the two parts of a device's name.
type handle struct{ bus, name string }

func (h *handle) attribute(a *netlink.AttributeDecoder) {
	switch a.Type() {
	case unix.DEVLINK_ATTR_BUS_NAME:
		h.bus = a.String()
	case unix.DEVLINK_ATTR_DEV_NAME:
		h.name = a.String()
	}
}

func (h *handle) String() string {
	if h.name == "" {
		return ""
	}
	return h.bus + "/" + h.name
}

// decodePort reads the attributes of DEVLINK_CMD_PORT_NEW, or _DEL, which has only the
// first of them.
func decodePort(a *netlink.AttributeDecoder) (p Port, err error) {
	var h handle
	for a.Next() {
		h.attribute(a)
		p.attribute(a)
	}
	p.Device = h.String()
	return p, a.Err()
}

func (p *Port) attribute(a *netlink.AttributeDecoder) {
	switch a.Type() {
	case unix.DEVLINK_ATTR_PORT_INDEX:
		p.Index = a.Uint32()
	case unix.DEVLINK_ATTR_PORT_FLAVOUR:
		if f := a.Uint16(); int(f)+1 < len(flavours) {
			p.Flavour = Flavour(f + 1)
		}
	case unix.DEVLINK_ATTR_PORT_NETDEV_IFINDEX:
		p.Ifindex = int32(a.Uint32())
	case unix.DEVLINK_ATTR_PORT_NUMBER:
		p.Number = a.Uint32()
	case unix.DEVLINK_ATTR_PORT_CONTROLLER_NUMBER:
		p.Controller = a.Uint32()
	case unix.DEVLINK_ATTR_PORT_EXTERNAL:
		p.External = a.Uint8() != 0
	case unix.DEVLINK_ATTR_PORT_PCI_PF_NUMBER:
		p.PF = a.Uint16()
	case unix.DEVLINK_ATTR_PORT_PCI_VF_NUMBER:
		p.VF = a.Uint16()
	case unix.DEVLINK_ATTR_PORT_PCI_SF_NUMBER:
		p.SF = a.Uint32()
	}
}
