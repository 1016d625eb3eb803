package link

import (
	"fmt"

	"github.com/vishvananda/netlink"
)

// Announce makes the kernel tell everybody of a device that is up as if it had
// changed, though it has not: its group is set to what it is, which sends RTM_NEWLINK
// (do_setlink, net/core/rtnetlink.c). Who keeps what it believes of the device until
// the next change, as ovs-vswitchd does, looks again. Somebody who changes the group
// between the look at it and that is overruled.
func (w *Watcher) Announce(index int32) error {
	l, err := w.handle.LinkByIndex(int(index))
	if err == nil {
		err = w.handle.LinkSetGroup(l, int(l.Attrs().Group))
	}
	if _, gone := err.(netlink.LinkNotFoundError); gone {
		return nil
	}
	if err != nil {
		return fmt.Errorf("announce network device %d: %w", index, err)
	}
	return nil
}
