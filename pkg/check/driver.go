package check

import (
	"cmp"
	"context"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// driverNotes are what is known of drivers (their sources; not tried here).
var driverNotes = map[string]string{
	"nfp":       "it takes tcp_flags of FIN, SYN, RST, PSH and URG only; those that Flowshunt matches are among them",
	"mlx5_core": "devlink param flow_steering_mode: smfs (the default since 5.17) and hmfs insert faster than dmfs; set it before switchdev",
}

func drivers(_ context.Context, n *node) []Line {
	var lines []Line
	by := n.switchIDs()
	for _, id := range sortedKeys(by) {
		name := "driver of " + string(id)
		d, err := readDriver(by[id][0].Name)
		if err != nil {
			lines = append(lines, unknown(name, err))
			continue
		}
		found := fmt.Sprintf("%s, firmware %s, %s", d.name, cmp.Or(d.firmware, "not told"), plural(len(by[id]), "device", "devices"))
		if note := driverNotes[d.name]; note != "" {
			found += "; " + note
		}
		lines = append(lines, steeringMode(name, d, found))
	}
	return lines
}

// steeringMode warns of the slow way by the firmware.
func steeringMode(name string, d driver, found string) Line {
	if d.name != "mlx5_core" || d.bus == "" {
		return ok(name, "%s", found)
	}
	param, err := netlink.DevlinkGetDeviceParamByName("pci", d.bus, "flow_steering_mode")
	if err != nil || len(param.Values) == 0 {
		return ok(name, "%s", found)
	}
	mode := fmt.Sprint(param.Values[0].Data)
	if mode == "dmfs" {
		return warning(name, "%s; now dmfs", found).why("each rule is inserted by the firmware").
			fix("devlink dev eswitch set pci/"+d.bus+" mode legacy # interrupts all traffic of this NIC, and its representors leave their bridges",
				"devlink dev param set pci/"+d.bus+" name flow_steering_mode value smfs cmode runtime",
				"devlink dev eswitch set pci/"+d.bus+" mode switchdev")
	}
	return ok(name, "%s; now %s", found, mode)
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
