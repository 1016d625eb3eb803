package check

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// device is a network device of the namespace of the calling thread.
type device struct {
	index    int32
	name     string
	switchID string // phys_switch_id in hexadecimal; empty: on no eswitch
	portName string // phys_port_name
}

// readDevices lists the network devices (rtnetlink(7), linux/if_link.h).
func readDevices() ([]device, error) {
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	answers, err := conn.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.RTM_GETLINK, Flags: netlink.Request | netlink.Dump},
		Data:   make([]byte, unix.SizeofIfInfomsg),
	})
	if err != nil {
		return nil, fmt.Errorf("list network devices: %w", err)
	}
	var list []device
	for _, m := range answers {
		d, err := parseDevice(m.Data)
		if err != nil {
			return nil, fmt.Errorf("list network devices: %w", err)
		}
		list = append(list, d)
	}
	return list, nil
}

func parseDevice(b []byte) (d device, err error) {
	if len(b) < unix.SizeofIfInfomsg {
		return d, fmt.Errorf("%d bytes are no ifinfomsg", len(b))
	}
	d.index = int32(binary.NativeEndian.Uint32(b[4:]))
	attrs, err := netlink.NewAttributeDecoder(b[unix.SizeofIfInfomsg:])
	if err != nil {
		return d, err
	}
	for attrs.Next() {
		switch attrs.Type() {
		case unix.IFLA_IFNAME:
			d.name = attrs.String()
		case unix.IFLA_PHYS_SWITCH_ID:
			d.switchID = hex.EncodeToString(attrs.Bytes())
		case unix.IFLA_PHYS_PORT_NAME:
			d.portName = attrs.String()
		}
	}
	return d, attrs.Err()
}

// driver is what a device says of the one that drives it.
type driver struct{ name, firmware, bus string }

// readDriver asks with ETHTOOL_GDRVINFO, which needs no privilege.
func readDriver(name string) (d driver, err error) {
	err = withSocket(func(fd int) error {
		info, err := unix.IoctlGetEthtoolDrvinfo(fd, name)
		if err == nil {
			d = driver{unix.ByteSliceToString(info.Driver[:]), unix.ByteSliceToString(info.Fw_version[:]), unix.ByteSliceToString(info.Bus_info[:])}
		}
		return err
	})
	return d, err
}

// withSocket opens what ioctls on network devices want.
func withSocket(fn func(fd int) error) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return fn(fd)
}
