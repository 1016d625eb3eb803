package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb"
	"github.com/flowshunt/flowshunt/pkg/devlink"
	"github.com/flowshunt/flowshunt/pkg/link"
	"github.com/flowshunt/flowshunt/pkg/representor"
)

// nics is what the kernel says of network devices and of the eswitches below them.
type nics struct {
	devices    []device
	devicesErr error
	devlink    devlink.Snapshot
	devlinkErr error
	set        *representor.Set
}

func readNICs(ctx context.Context) (n nics) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	links, err := link.List()
	n.devices, n.devicesErr = devicesOf(links), err
	n.devlink, n.devlinkErr = devlink.Read(ctx)
	n.set = representor.Find(links, n.devlink, "")
	return n
}

// eswitches says what mode each NIC is in that devlink knows.
func eswitches(_ context.Context, n *node) []Line {
	const name = "eswitch"
	var lines []Line
	if n.devlinkErr != nil {
		lines = append(lines, unknown("devlink", n.devlinkErr))
	}
	for _, id := range sortedKeys(n.devlink.Modes) {
		lines = append(lines, modeLine(id, n.devlink.Modes[id]))
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

func modeLine(id string, mode devlink.Mode) Line {
	name := "eswitch " + id
	switch {
	case mode == devlink.ModeSwitchdev:
		return ok(name, "mode switchdev")
	case mode == devlink.ModeLegacy:
		return warning(name, "mode legacy").
			why("without representors its VFs cannot be plugged into OVS, and nothing can be offloaded on it").
			fix("devlink dev eswitch set " + id + " mode switchdev # interrupts all traffic of this NIC; VFs must be unbound with some drivers")
	case !isRoot():
		l := unknown(name, errors.New("its mode is told to root only"))
		l.Root = true
		return l.fix("run flowshuntctl check as root")
	}
	return ok(name, "none")
}

// switchIDs returns the devices of each eswitch.
func (n *nics) switchIDs() map[flows.EswitchID][]device {
	by := make(map[flows.EswitchID][]device)
	for _, d := range n.devices {
		if d.SwitchID != "" {
			by[d.SwitchID] = append(by[d.SwitchID], d)
		}
	}
	return by
}

// plugged returns the device of an OVS port.
func (n *node) plugged(p *ovsdb.Port) (device, bool) {
	i := slices.IndexFunc(n.devices, func(d device) bool { return d.Name == p.Name })
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
	slices.SortFunc(list, func(a, b device) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

func representors(_ context.Context, n *node) []Line {
	const name = "representors"
	if len(n.switchIDs()) == 0 {
		return nil // eswitches has said it
	}
	if lines, undone := n.undone(name); undone {
		return lines
	}
	var in, out, why []string
	for _, d := range n.pluggedDevices() {
		if r, is := n.set.Get(d.index); is {
			in = append(in, fmt.Sprintf("%s is %s", d.Name, cmp.Or(r.String(), "not told which")))
		} else {
			out, why = append(out, d.Name), append(why, n.set.Refuse(d.index))
		}
	}
	switch {
	case len(in) == 0:
		return []Line{fatal(name, "none is an OVS port").
			why("the NIC can forward only between ports of its own eswitch").
			fix("devlink port show", "ovs-vsctl add-port BRIDGE REPRESENTOR").detail(why)}
	case len(out) > 0:
		return []Line{warning(name, "%d are OVS ports; of other ports no hardware executes rules: %s", len(in), some(out)).
			why("connections of those ports can be offloaded by the kernel only").detail(append(in, why...))}
	}
	return []Line{ok(name, "%d are OVS ports", len(in)).detail(in)}
}

// maxCommands bounds how often the same is suggested of one device after the other.
const maxCommands = 4

func hwTCOffload(_ context.Context, n *node) []Line {
	const name = "hw-tc-offload"
	var on int
	var off, fix []string
	for _, d := range n.pluggedDevices() {
		switch {
		case d.SwitchID == "" || d.TC == link.Unknown: // kernels before 5.8 do not tell
		case d.TC.IsOn():
			on++
		default:
			off = append(off, fmt.Sprintf("%s (%s)", d.Name, d.TC))
			fix = append(fix, "ethtool -K "+d.Name+" hw-tc-offload on")
		}
	}
	if len(fix) > maxCommands { // a NIC has some hundred representors
		fix = []string{fmt.Sprintf("%s # and %d more; of every device of an eswitch:", fix[0], len(fix)-1),
			"for d in $(grep -ls . /sys/class/net/*/phys_switch_id | cut -d/ -f5); do ethtool -K $d hw-tc-offload on; done"}
	}
	switch {
	case len(off) > 0:
		return []Line{fatal(name, "%s", some(off)).
			why("the driver is not asked to take rules of these ports (port-not-in-hw)").
			fix(fix...).detail(off)}
	case on > 0:
		return []Line{ok(name, "on at %s", plural(on, "representor", "representors"))}
	}
	return nil
}

// virtualFunctions finds VFs themselves in bridges: the PCI function of a VF has a
// physfn, that of no representor does.
func virtualFunctions(_ context.Context, n *node) []Line {
	var wrong, fix []string
	for _, d := range n.pluggedDevices() {
		if d.SwitchID == "" && n.exists("sys/class/net/"+d.Name+"/device/physfn") {
			wrong = append(wrong, n.set.Refuse(d.index))
			fix = append(fix, "ovs-vsctl del-port "+d.Name)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return []Line{fatal("vf in bridge", "%s", strings.Join(wrong, "; ")).
		why("packets of the guest never pass a VF that the host has: its representor belongs into the bridge").
		fix(append(fix, "devlink port show # the representor: flavour pcivf of the same number")...)}
}
