package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"

	"github.com/flowshunt/flowshunt/ovsdb"
)

// eswitches lists the NICs that have an eswitch, by devlink, and what mode it is in. It
// takes the NIC as a whole; "switchdev" is where VFs have representors.
func eswitches(_ context.Context, n *node) []Line {
	const name = "eswitch"
	list, err := netlink.DevLinkGetDeviceList()
	if err != nil && denied(err) {
		return []Line{unknown(name, err)}
	}
	// Any other error is that of a kernel without devlink: no NIC of such a kind then.
	var lines []Line
	for _, d := range list {
		id := d.BusName + "/" + d.DeviceName
		switch mode := d.Attrs.Eswitch.Mode; mode {
		case "switchdev":
			lines = append(lines, ok(name, "%s is in mode switchdev", id))
		case "":
			lines = append(lines, modeNotTold(id))
		default:
			lines = append(lines, warning(name, "%s is in mode %s", id, mode).
				why("without representors its VFs cannot be plugged into OVS, and nothing can be offloaded on it").
				fix("devlink dev eswitch set "+id+" mode switchdev"))
		}
	}
	if n.devicesErr != nil {
		lines = append(lines, unknown(name, n.devicesErr))
	} else if len(n.switchIDs()) == 0 {
		lines = append(lines, warning(name, "no device is on an eswitch (phys_switch_id)").
			why("only the kernel can execute rules: packets bypass OVS and conntrack, not the host").
			fix("devlink dev eswitch show pci/ADDRESS", "or run the agent with --hardware=skip-hw, if there is no such NIC"))
	}
	return lines
}

// modeNotTold: a device without an eswitch says nothing, nor does any to who is not root.
func modeNotTold(id string) Line {
	const name = "eswitch"
	if !isRoot() {
		l := unknown(name, fmt.Errorf("%s tells its mode to root only", id))
		l.Root = true
		return l.fix("run flowshuntctl check as root")
	}
	return ok(name, "%s has none", id)
}

// switchIDs returns the devices of each eswitch.
func (n *node) switchIDs() map[string][]device {
	by := make(map[string][]device)
	for _, d := range n.devices {
		if d.switchID != "" {
			by[d.switchID] = append(by[d.switchID], d)
		}
	}
	return by
}

// plugged returns the device of an OVS port.
func (n *node) plugged(p *ovsdb.Port) (device, bool) {
	i := slices.IndexFunc(n.devices, func(d device) bool { return d.name == p.Name })
	if i < 0 || p.Type != "" && p.Type != "system" {
		return device{}, false
	}
	return n.devices[i], true
}

// pluggedDevices are the devices of all OVS ports, by name.
func (n *node) pluggedDevices() (list []device) {
	for i := range n.Ports {
		if d, found := n.plugged(&n.Ports[i]); found {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b device) int { return cmp.Compare(a.name, b.name) })
	return list
}

func representors(_ context.Context, n *node) []Line {
	const name = "representors"
	if lines, undone := n.undone(name); undone {
		return lines
	}
	all := n.switchIDs()
	if len(all) == 0 {
		return nil // eswitches has said it
	}
	var in, out []string
	for _, d := range n.pluggedDevices() {
		if d.switchID != "" {
			in = append(in, fmt.Sprintf("%s (%s)", d.name, cmp.Or(d.portName, "no port name")))
		} else {
			out = append(out, d.name)
		}
	}
	switch {
	case len(in) == 0:
		return []Line{fatal(name, "none of %s is an OVS port", plural(len(n.devices), "device", "devices")).
			why("the NIC can forward only between ports of its own eswitch").
			fix("ovs-vsctl add-port BRIDGE REPRESENTOR")}
	case len(out) > 0:
		return []Line{warning(name, "%d are OVS ports; not on an eswitch: %s", len(in), some(out)).
			why("connections of those ports can be offloaded by the kernel only").detail(append(in, out...))}
	}
	return []Line{ok(name, "%d are OVS ports", len(in)).detail(in)}
}

func hwTCOffload(_ context.Context, n *node) []Line {
	var on int
	var off, why []string
	for _, d := range n.pluggedDevices() {
		if d.switchID == "" {
			continue
		}
		active, err := readHWTCOffload(d.name)
		switch {
		case err != nil && !errors.Is(err, errNoFeature):
			why = append(why, d.name+": "+err.Error())
		case !active:
			off = append(off, d.name)
		default:
			on++
		}
	}
	switch {
	case len(off) > 0:
		return []Line{fatal(hwTCOffloadName, "off: %s", some(off)).
			why("the driver is not asked to take rules of these ports (port-not-in-hw, not-in-hw)").
			fix("ethtool -K " + off[0] + " hw-tc-offload on").detail(off)}
	case len(why) > 0:
		return []Line{unknown(hwTCOffloadName, errors.New(some(why))).detail(why)}
	case on > 0:
		return []Line{ok(hwTCOffloadName, "on at %s", plural(on, "representor", "representors"))}
	}
	return nil
}

// virtualFunctions finds VFs themselves in bridges: the VF's PCI function has a physfn,
// that of no representor does.
func virtualFunctions(_ context.Context, n *node) []Line {
	var wrong []string
	for _, d := range n.pluggedDevices() {
		if d.switchID == "" && n.exists("sys/class/net/"+d.name+"/device/physfn") {
			wrong = append(wrong, d.name)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return []Line{fatal("vf in bridge", "%s", some(wrong)).
		why("a VF itself is plugged where its representor belongs: packets of the guest never pass there").
		fix("ovs-vsctl del-port "+wrong[0], "devlink port show # the representor: flavour pcivf of the same number").detail(wrong)}
}

// driverNotes are what is known of drivers (their sources; not tried here).
var driverNotes = map[string]string{
	"nfp":       "takes tcp_flags of FIN, SYN, RST, PSH and URG only; those that Flowshunt matches are among them",
	"mlx5_core": "devlink param flow_steering_mode: smfs (the default since 5.17) and hmfs insert faster than dmfs; set it before switchdev",
}

func drivers(_ context.Context, n *node) []Line {
	var lines []Line
	by := n.switchIDs()
	for _, id := range sortedKeys(by) {
		name := "driver " + id
		d, err := readDriver(by[id][0].name)
		if err != nil {
			lines = append(lines, unknown(name, err))
			continue
		}
		found := fmt.Sprintf("%s, firmware %s, %s", d.name, cmp.Or(d.firmware, "not told"), plural(len(by[id]), "device", "devices"))
		if note := driverNotes[d.name]; note != "" {
			found += "; it " + note
		}
		lines = append(lines, steeringMode(n, name, d, found))
	}
	return lines
}

// steeringMode warns of the slow way by the firmware.
func steeringMode(_ *node, name string, d driver, found string) Line {
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
			fix("devlink dev eswitch set pci/"+d.bus+" mode legacy",
				"devlink dev param set pci/"+d.bus+" name flow_steering_mode value smfs cmode runtime",
				"devlink dev eswitch set pci/"+d.bus+" mode switchdev")
	}
	return ok(name, "%s; now %s", found, mode)
}
