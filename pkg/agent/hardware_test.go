package agent

import (
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb"
	"github.com/flowshunt/flowshunt/pkg/control"
	"github.com/flowshunt/flowshunt/pkg/devlink"
	"github.com/flowshunt/flowshunt/pkg/eswitch/flower"
	"github.com/flowshunt/flowshunt/pkg/link"
	"github.com/flowshunt/flowshunt/pkg/path"
	"github.com/flowshunt/flowshunt/pkg/representor"
)

// nicLinks is a host with a NIC: two representors, one with hw-tc-offload off, one whose
// kernel does not tell, and a veth.
func nicLinks() map[int32]link.State {
	rep := func(name, port string, tc link.Offload, life uint64) link.State {
		return link.State{Name: name, Admin: true, Carrier: true, Life: life, SwitchID: "a1", PortName: port, TC: tc,
			Parent: link.Parent{Bus: "pci", Name: "0000:03:00.0"}}
	}
	return map[int32]link.State{
		5: rep("rep0", "pf0vf0", link.On, 1), 6: rep("rep1", "pf0vf1", link.Off, 2), 7: rep("rep2", "pf0vf2", link.Unknown, 3),
		8: {Name: "veth0", Kind: "veth", Admin: true, Carrier: true, Life: 4, TC: link.Unsupported},
	}
}

func rowsOf(links map[int32]link.State) *ovsdb.Snapshot {
	s := &ovsdb.Snapshot{Connected: true}
	for index := int32(5); index <= 8; index++ {
		l := links[index]
		s.Ports = append(s.Ports, ovsdb.Port{ID: flows.PortID(index), Name: l.Name, Bridge: "br0", DatapathType: "system",
			OFPort: uint32(index), Ifindex: index})
	}
	return s
}

// tableOf joins as the agent does.
func (p *ports) tableOf(links map[int32]link.State) *portTable {
	return p.table(rowsOf(links), links, representor.Find(links, devlink.Snapshot{}, "/nonexistent"))
}

func hardwarePorts(mode flower.Mode, require bool) *ports {
	p, _ := testPorts(true)
	p.cfg.Hardware, p.cfg.RequireHW = mode, require
	p.cfg.Selected, _ = path.ParseSelection("all")
	return p
}

func TestHardware(t *testing.T) {
	for _, tt := range []struct {
		name    string
		mode    flower.Mode
		require bool
		eswitch [4]flows.EswitchID
		refused [4]bool
	}{
		{"skip-hw", flower.SkipHW, false, [4]flows.EswitchID{}, [4]bool{}},
		{"both", flower.Both, false, [4]flows.EswitchID{"a1", "", "a1", ""}, [4]bool{}},
		{"require", flower.Both, true, [4]flows.EswitchID{"a1", "", "a1", ""}, [4]bool{false, true, false, true}},
		{"skip-sw", flower.SkipSW, false, [4]flows.EswitchID{"a1", "", "a1", ""}, [4]bool{false, true, false, true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			list := hardwarePorts(tt.mode, tt.require).tableOf(nicLinks()).list
			for i, p := range list {
				if p.hardware.eswitch != tt.eswitch[i] {
					t.Errorf("%s is in eswitch %q, want %q", p.Name, p.hardware.eswitch, tt.eswitch[i])
				}
				if (p.reason == flows.PortNotInHW) != tt.refused[i] || (p.detail != "") != tt.refused[i] {
					t.Errorf("%s: %q (%s)", p.Name, p.reason, p.detail)
				}
			}
		})
	}
}

// A port whose hw-tc-offload is switched off is refused from then on, with what to do,
// and is the same port when it is switched on again. So is one whose switch id comes
// later than it.
func TestHardwareComesAndGoes(t *testing.T) {
	p := hardwarePorts(flower.SkipSW, false)
	links := nicLinks()
	change := func(f func(*link.State)) portStatus {
		l := links[5]
		f(&l)
		links[5] = l
		return p.tableOf(links).list[0]
	}
	before := change(func(l *link.State) { l.SwitchID = "" })
	if before.reason != flows.PortNotInHW || !strings.Contains(before.detail, "none of its representors") {
		t.Errorf("without a switch id: %+v", before)
	}
	on := change(func(l *link.State) { l.SwitchID = "a1" })
	off := change(func(l *link.State) { l.TC = link.Off })
	again := change(func(l *link.State) { l.TC = link.On })
	if on.reason != "" || again.reason != "" || off.reason != flows.PortNotInHW ||
		!strings.Contains(off.detail, "ethtool -K rep0 hw-tc-offload on") {
		t.Errorf("%+v\n%+v\n%+v", on, off, again)
	}
	if before.ID != on.ID || on.ID != off.ID || off.ID != again.ID {
		t.Error("the port became another one")
	}
	// Another device with the index and the name, as after an unbinding and a binding.
	reused := change(func(l *link.State) { l.Life = 99 })
	if reused.ID == on.ID {
		t.Error("another device is the same port")
	}
	// The VF, and with it its representor, was removed, and a veth has the ifindex.
	links[5] = link.State{Name: "veth9", Kind: "veth", Admin: true, Carrier: true, Life: 100}
	if gone := p.table(rowsOf(nicLinks()), links, representor.Find(links, devlink.Snapshot{}, "")).list[0]; gone.reason != flows.PortGone ||
		gone.hardware.eswitch != "" {
		t.Errorf("the port of a representor that is gone: %+v", gone)
	}
}

func TestShowHardware(t *testing.T) {
	list := showPorts(hardwarePorts(flower.Both, false).tableOf(nicLinks()), nil, nil)
	for i, want := range []control.Port{
		{Eswitch: "a1", Function: "pf0vf0", Device: "pci/0000:03:00.0", HWTCOffload: "on"},
		{Function: "pf0vf1", Device: "pci/0000:03:00.0", HWTCOffload: "off"},
		{Eswitch: "a1", Function: "pf0vf2", Device: "pci/0000:03:00.0", HWTCOffload: "unknown"},
		{HWTCOffload: "not supported"},
	} {
		got := control.Port{Eswitch: list[i].Eswitch, Function: list[i].Function, Device: list[i].Device, HWTCOffload: list[i].HWTCOffload}
		if got != want {
			t.Errorf("%s: %+v, want %+v", list[i].Name, got, want)
		}
	}
}
