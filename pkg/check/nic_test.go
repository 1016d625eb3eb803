package check

import (
	"errors"
	"fmt"
	"testing"

	"github.com/flowshunt/flowshunt/ovsdb"
	"github.com/flowshunt/flowshunt/pkg/devlink"
	"github.com/flowshunt/flowshunt/pkg/link"
	"github.com/flowshunt/flowshunt/pkg/representor"
	"github.com/flowshunt/flowshunt/pkg/tc/tctest"
)

func TestReadDevices(t *testing.T) {
	tctest.Namespace(t)
	tctest.Veth(t, "p0", "p1")
	list, err := readDevices()
	if err != nil || len(list) < 3 {
		t.Fatalf("%v, %v", list, err)
	}
	for _, d := range list {
		if d.index != tctest.Index(t, d.Name) || d.SwitchID != "" {
			t.Errorf("%+v", d)
		}
	}
	if d, err := readDriver("p0"); err != nil || d.name != "veth" {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := readDriver("nope"); err == nil {
		t.Error("a device that is not there has a driver")
	}
}

// nic is a node with two representors and an uplink, as its kernel and its database say.
// What tests change of its devices is taken over by find.
func nic(t *testing.T, texts map[string]string, change ...func(map[int32]link.State)) *node {
	t.Helper()
	parent := link.Parent{Bus: "pci", Name: "0000:03:00.0"}
	on := func(name, port string) link.State {
		return link.State{Name: name, SwitchID: "ab01", PortName: port, Parent: parent, TC: link.On}
	}
	links := map[int32]link.State{
		1: {Name: "lo"}, 2: on("p0", "p0"), 3: on("rep0", "pf0vf0"), 4: on("rep1", "pf0vf1"), 5: {Name: "vf5", Kind: "veth"},
	}
	for _, c := range change {
		c(links)
	}
	n := &node{root: files(texts)}
	n.devices = devicesOf(links)
	n.devlink = devlink.Snapshot{Modes: map[string]devlink.Mode{parent.String(): devlink.ModeSwitchdev}}
	n.set = representor.Find(links, n.devlink, representor.Sysfs(t.TempDir()))
	s := &ovsdb.Snapshot{Ports: []ovsdb.Port{{Name: "rep0", Type: "system"}, {Name: "p0"}, {Name: "br0", Type: "internal"}}}
	n.inventory = inventory{s, nil}
	return n
}

func TestEswitches(t *testing.T) {
	n := nic(t, nil)
	wantLines(t, says(t, n, eswitches), "ok eswitch pci/0000:03:00.0: mode switchdev")
	n.devlink.Modes["pci/0000:04:00.0"] = devlink.ModeLegacy
	n.devlink.Modes["pci/0000:05:00.0"] = devlink.ModeUnknown
	got := says(t, n, eswitches)
	if len(got) != 3 || got[1] != "warning eswitch pci/0000:04:00.0: mode legacy" {
		t.Error(got)
	}
	if isRoot() && got[2] != "ok eswitch pci/0000:05:00.0: none" {
		t.Error(got)
	}
	n.devlinkErr = errors.New("no socket")
	if got := says(t, n, eswitches); got[0] != "unknown devlink: no socket" {
		t.Error(got)
	}
}

func TestRepresentors(t *testing.T) {
	n := nic(t, nil)
	wantLines(t, says(t, n, representors), "ok representors: 2 are OVS ports")
	n.Ports = append(n.Ports, ovsdb.Port{Name: "vf5", Type: "system"})
	wantLines(t, says(t, n, representors), "warning representors: 2 are OVS ports; of other ports no hardware executes rules: vf5")
	n.Ports = n.Ports[3:]
	wantLines(t, says(t, n, representors), "fatal representors: none is an OVS port")
	n.devices = n.devices[:1]
	wantLines(t, says(t, n, representors))
}

func TestHWTCOffload(t *testing.T) {
	wantLines(t, says(t, nic(t, nil), hwTCOffload), "ok hw-tc-offload: on at 2 representors")
	set := func(o link.Offload) func(map[int32]link.State) {
		return func(links map[int32]link.State) {
			l := links[3]
			l.TC = o
			links[3] = l
		}
	}
	wantLines(t, says(t, nic(t, nil, set(link.Off)), hwTCOffload), "fatal hw-tc-offload: rep0 (off)")
	wantLines(t, says(t, nic(t, nil, set(link.Unknown)), hwTCOffload), "ok hw-tc-offload: on at 1 representor")
}

// A NIC may have hundreds of representors: what to do stays short.
func TestHWTCOffloadOfMany(t *testing.T) {
	n := nic(t, nil, func(links map[int32]link.State) {
		for i := range int32(256) {
			links[10+i] = link.State{Name: fmt.Sprintf("vf%03d", i), SwitchID: "ab01", TC: link.Off}
		}
	})
	for i := range 256 {
		n.Ports = append(n.Ports, ovsdb.Port{Name: fmt.Sprintf("vf%03d", i), Type: "system"})
	}
	l := hwTCOffload(t.Context(), n)[0]
	mustBeWhole(t, l)
	if len(l.Fix) != 2 || l.Fix[0] != "ethtool -K vf000 hw-tc-offload on # and 255 more; of every device of an eswitch:" || len(l.Detail) != 256 {
		t.Errorf("%+v", l)
	}
}

func TestVFInBridge(t *testing.T) {
	n := nic(t, map[string]string{"sys/class/net/vf5/device/physfn/x": "", "sys/class/net/rep0/device/physfn/x": ""})
	wantLines(t, says(t, n, virtualFunctions))
	n.Ports = append(n.Ports, ovsdb.Port{Name: "vf5", Type: "system"})
	said(t, n, virtualFunctions, "fatal vf in bridge: vf5 is no representor")
}

func TestEswitchMissing(t *testing.T) {
	n := nic(t, nil)
	n.devlink, n.devices = devlink.Snapshot{}, n.devices[:1]
	wantLines(t, says(t, n, eswitches), "warning eswitch: no device is on an eswitch (phys_switch_id)")
	n.devicesErr = errors.New("no netlink")
	wantLines(t, says(t, n, eswitches), "unknown eswitch: no netlink")
}
