package path

import (
	"testing"

	"github.com/flowshunt/flowshunt/flows"
)

func TestUsable(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Port)
		want   flows.Reason
	}{
		{"good", func(*Port) {}, ""},
		{"spelled out", func(p *Port) { p.Type, p.Datapath = "system", "system" }, ""},
		{"internal", func(p *Port) { p.Type = "internal" }, flows.UnsupportedInternal},
		{"patch", func(p *Port) { p.Type = "patch" }, flows.UnsupportedPatch},
		{"gre", func(p *Port) { p.Type = "gre" }, flows.UnsupportedTunnel},
		{"dpdk", func(p *Port) { p.Type = "dpdk" }, flows.UnsupportedPortType},
		{"dpdkvhostuserclient", func(p *Port) { p.Type = "dpdkvhostuserclient" }, flows.UnsupportedPortType},
		{"unheard of", func(p *Port) { p.Type = "warp" }, flows.UnsupportedPortType},
		{"userspace datapath", func(p *Port) { p.Datapath, p.AsFlows = "netdev", true }, ""},
		{"unheard-of datapath", func(p *Port) { p.Datapath = "warp" }, flows.UnsupportedDatapath},
		{"flows that somebody removes", func(p *Port) { p.AsFlows, p.Owner = true, "ovn-controller" }, flows.BridgeOwned},
		{"bond that balances", func(p *Port) { p.Bond, p.BondMode = "b", "balance-tcp" }, flows.UnsupportedBond},
		{"bond", func(p *Port) { p.Bond, p.BondMode = "b", "active-backup" }, ""},
		{"off", func(p *Port) { p.Optout = true }, flows.PortOff},
		{"on", func(p *Port) { p.Name, p.Chosen = "eth1", true }, ""},
		{"on and off", func(p *Port) { p.Chosen, p.Optout = true, true }, flows.PortOff},
		{"on, of a bridge that somebody owns", func(p *Port) { p.Name, p.Chosen, p.Owner = "eth1", true, "ovn-controller" }, flows.BridgeOwned},
		{"on and internal", func(p *Port) { p.Chosen, p.Type = true, "internal" }, flows.UnsupportedInternal},
		{"on and mirrored", func(p *Port) { p.Chosen, p.Mirrored = true, true }, flows.PortMirrored},
		{"on and not in hardware", func(p *Port) { p.Chosen, p.NotInHW = true, true }, flows.PortNotInHW},
		{"not selected", func(p *Port) { p.Name = "eth1" }, flows.PortUnchosen},
		{"no device", func(p *Port) { p.Ifindex = 0 }, flows.PortGone},
		{"no OpenFlow port", func(p *Port) { p.Ofport = 0 }, flows.PortGone},
		{"no id", func(p *Port) { p.ID = 0 }, flows.PortGone},
		{"not in hardware", func(p *Port) { p.NotInHW = true }, flows.PortNotInHW},
		{"not in hardware and down", func(p *Port) { p.NotInHW, p.Up = true, false }, flows.PortNotInHW},
		{"not in hardware and gone", func(p *Port) { p.NotInHW, p.Ifindex = true, 0 }, flows.PortGone},
		{"down", func(p *Port) { p.Up = false }, flows.PortDown},
		{"wire without its inspector", func(p *Port) { p.Closed = true }, flows.InspectorDown},
		{"policing", func(p *Port) { p.QoS = true }, flows.PortQoS},
		{"mirrored", func(p *Port) { p.Mirrored = true }, flows.PortMirrored},
		{"internal and down", func(p *Port) { p.Type, p.Up = "internal", false }, flows.UnsupportedInternal},
	}
	selected, err := ParseSelection("uplink, vf*")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		p := Port{ID: 1, Name: "vf3", Bridge: "br0", Ofport: 1, Ifindex: 1, Up: true}
		test.change(&p)
		if got := Usable(p, selected); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestSelection(t *testing.T) {
	for _, test := range []struct {
		list, name string
		want       bool
	}{
		{"", "vf0", false}, {"none", "none", false}, {"none,vf0", "vf0", true}, {"all", "vf0", true}, {"*", "vf0", true}, {"vf0", "vf0", true}, {"vf0", "vf01", false},
		{"a,vf?", "vf9", true}, {"a,vf?", "vf10", false}, {"vf[0-3]", "vf4", false}, {" ,", "", false},
	} {
		s, err := ParseSelection(test.list)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Has(test.name); got != test.want {
			t.Errorf("%q has %q: %t", test.list, test.name, got)
		}
	}
	if _, err := ParseSelection("vf["); err == nil {
		t.Error("malformed glob accepted")
	}
	if (Selection{}).Has("vf0") {
		t.Error("the zero value selects a port")
	}
}
