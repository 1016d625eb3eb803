package devlink

import (
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Health is what a health reporter says of a device (Documentation/networking/devlink/
// devlink-health.rst): when it reports an error, and when it has recovered.
type Health struct {
	Device     string
	OfPort     bool // the reporter is about one port, not about the device
	Reporter   string
	Failed     bool // DEVLINK_HEALTH_REPORTER_STATE_ERROR
	Errors     uint64
	Recoveries uint64
}

// harmless are reporters whose trouble, and the way out of it, concerns queues or
// guests and leaves the eswitch's table alone: a transmit or receive queue that hangs
// is set up again, and "mdd" (malicious driver detection) can be made to report by
// any guest.
var harmless = map[string]bool{"tx": true, "rx": true, "mdd": true, "vnic": true}

// MayReset reports whether the eswitch may have lost its rules.
func (h *Health) MayReset() bool { return !h.OfPort && !harmless[h.Reporter] }

// String says it in words.
func (h *Health) String() string {
	what := "recovered"
	if h.Failed {
		what = "reports an error"
	}
	return fmt.Sprintf("health reporter %s of %s %s (%d errors, %d recoveries)", h.Reporter, h.Device, what, h.Errors, h.Recoveries)
}

// decodeHealth reads the attributes of DEVLINK_CMD_HEALTH_REPORTER_RECOVER as the
// kernel announces it.
func decodeHealth(a *netlink.AttributeDecoder) (r Health, err error) {
	var h handle
	for a.Next() {
		h.attribute(a)
		switch a.Type() {
		case unix.DEVLINK_ATTR_PORT_INDEX:
			r.OfPort = true
		case unix.DEVLINK_ATTR_HEALTH_REPORTER:
			a.Nested(r.reporter)
		}
	}
	r.Device = h.String()
	return r, a.Err()
}

func (h *Health) reporter(a *netlink.AttributeDecoder) error {
	for a.Next() {
		switch a.Type() {
		case unix.DEVLINK_ATTR_HEALTH_REPORTER_NAME:
			h.Reporter = a.String()
		case unix.DEVLINK_ATTR_HEALTH_REPORTER_STATE:
			h.Failed = a.Uint8() != 0
		case unix.DEVLINK_ATTR_HEALTH_REPORTER_ERR_COUNT:
			h.Errors = a.Uint64()
		case unix.DEVLINK_ATTR_HEALTH_REPORTER_RECOVER_COUNT:
			h.Recoveries = a.Uint64()
		}
	}
	return nil
}
