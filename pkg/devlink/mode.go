package devlink

import (
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Mode is what the eswitch of a device does.
type Mode uint8

// The modes. ModeUnknown is that of devices that do not tell, or have none.
const (
	ModeUnknown Mode = iota
	ModeLegacy       // forwards by itself; there are no representors
	ModeSwitchdev
)

// String returns the name that the devlink tool has for it.
func (m Mode) String() string {
	switch m {
	case ModeLegacy:
		return "legacy"
	case ModeSwitchdev:
		return "switchdev"
	default:
		return "unknown"
	}
}

// decodeMode reads the answer to DEVLINK_CMD_ESWITCH_GET.
func decodeMode(a *netlink.AttributeDecoder) (m Mode, err error) {
	for a.Next() {
		if a.Type() == unix.DEVLINK_ATTR_ESWITCH_MODE {
			switch a.Uint16() {
			case unix.DEVLINK_ESWITCH_MODE_LEGACY:
				m = ModeLegacy
			case unix.DEVLINK_ESWITCH_MODE_SWITCHDEV:
				m = ModeSwitchdev
			}
		}
	}
	return m, a.Err()
}
