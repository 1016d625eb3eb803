package link

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Announce makes the kernel tell everybody of a device that is up as if it had
// changed, though it has not: its group is set to what it is, which sends RTM_NEWLINK
// (do_setlink, net/core/rtnetlink.c). Who keeps what it believes of the device until
// the next change, as ovs-vswitchd does, looks again. Somebody who changes the group
// between the look at it and that is overruled.
func (w *Watcher) Announce(index int32) error {
	var group uint32
	err := w.get(index, func(n *notification) { group = n.group })
	if err == nil {
		err = w.setGroup(index, group)
	}
	if errors.Is(err, unix.ENODEV) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("announce network device %d: %w", index, err)
	}
	return nil
}

func (w *Watcher) setGroup(index int32, group uint32) error {
	req, err := setGroup(index, group)
	if err != nil {
		return err
	}
	return w.conn.Do(context.Background(), req, nil)
}
