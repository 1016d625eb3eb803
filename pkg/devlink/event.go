package devlink

import (
	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/pkg/nlsocket"
)

// Reset says that a device may have lost what was in its tables, or soon will.
type Reset struct {
	Device string // empty: any
	Reload bool   // it was reloaded, added or removed; else it had trouble
	Cause  string
}

// event is one notification of the group "config" (net/devlink).
type event struct {
	port   *Port  // appeared or changed
	gone   *Port  // only its key
	device string // appeared, changed as a whole, or is gone
	health *Health
}

// decodeEvent reads a notification. It is false for those that concern nobody here.
func decodeEvent(m nlsocket.Message, family uint16) (ev event, ok bool, err error) {
	if m.Type != family {
		return ev, false, nil
	}
	command, a, err := nlsocket.Generic(m)
	if err != nil {
		return ev, false, err
	}
	switch command {
	case unix.DEVLINK_CMD_PORT_NEW:
		p, err := decodePort(a)
		return event{port: &p}, err == nil, err
	case unix.DEVLINK_CMD_PORT_DEL:
		p, err := decodePort(a)
		return event{gone: &p}, err == nil, err
	case unix.DEVLINK_CMD_NEW, unix.DEVLINK_CMD_DEL, unix.DEVLINK_CMD_RELOAD:
		p, err := decodePort(a)
		return event{device: p.Device}, err == nil, err
	case unix.DEVLINK_CMD_HEALTH_REPORTER_RECOVER:
		h, err := decodeHealth(a)
		return event{health: &h}, err == nil, err
	}
	return ev, false, nil
}
