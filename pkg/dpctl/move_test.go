package dpctl_test

import (
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

func moveLink(name string, to netns.NsHandle) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkSetNsFd(link, int(to))
}
