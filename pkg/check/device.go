package check

import (
	"cmp"
	"maps"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/pkg/link"
)

// device is a network device of the namespace of the calling thread.
type device struct {
	index int32
	link.State
}

// readDevices lists the network devices in the order of their indexes.
func readDevices() ([]device, error) {
	links, err := link.List()
	if err != nil {
		return nil, err
	}
	return devicesOf(links), nil
}

func devicesOf(links map[int32]link.State) (list []device) {
	for index, state := range links {
		list = append(list, device{index, state})
	}
	slices.SortFunc(list, func(a, b device) int { return cmp.Compare(a.index, b.index) })
	return list
}

// driver is what a device says of the one that drives it.
type driver struct{ name, firmware, bus string }

// readDriver asks with ETHTOOL_GDRVINFO, which needs no privilege.
func readDriver(name string) (driver, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return driver{}, err
	}
	defer unix.Close(fd)
	info, err := unix.IoctlGetEthtoolDrvinfo(fd, name)
	if err != nil {
		return driver{}, err
	}
	return driver{unix.ByteSliceToString(info.Driver[:]), unix.ByteSliceToString(info.Fw_version[:]), unix.ByteSliceToString(info.Bus_info[:])}, nil
}

// sortedKeys returns the keys of a map in order.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
