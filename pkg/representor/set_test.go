package representor

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/devlink"
	"github.com/flowshunt/flowshunt/pkg/link"
)

const (
	pf0 = "pci/0000:03:00.0"
	pf1 = "pci/0000:03:00.1"
)

func netdev(name string, id flows.EswitchID, port string) link.State {
	return link.State{Name: name, SwitchID: id, PortName: port, TC: link.On, Parent: link.Parent{Bus: "pci", Name: "0000:03:00.0"}}
}

func vfPort(device string, ifindex int32, pf, vf uint16) devlink.Port {
	return devlink.Port{Device: device, Index: uint32(ifindex), Ifindex: ifindex, Flavour: devlink.PCIVF, PF: pf, VF: vf}
}

func find(links map[int32]link.State, ports ...devlink.Port) *Set {
	return Find(links, devlink.Snapshot{Ports: ports}, "/nonexistent")
}

func (s *Set) want(t *testing.T, index int32, id flows.EswitchID, function, device string) {
	t.Helper()
	r, ok := s.Get(index)
	if !ok || r.Ifindex != index || r.Eswitch != id || r.String() != function || r.Device != device {
		t.Errorf("device %d: %t, %+v (%s), want %s of %s in eswitch %s", index, ok, r, r, function, device, id)
	}
}

// What devlink tells and what the port name tells is the same, also when only one does.
func TestSources(t *testing.T) {
	port := vfPort(pf0, 5, 0, 3)
	for _, tt := range []struct {
		name string
		set  *Set
	}{
		{"both", find(map[int32]link.State{5: netdev("enp3s0f0_3", "a1", "pf0vf3")}, port)},
		{"the name only", find(map[int32]link.State{5: netdev("enp3s0f0_3", "a1", "pf0vf3")})},
		{"devlink only", find(map[int32]link.State{5: netdev("enp3s0f0_3", "a1", "")}, port)},
		{"a name of another grammar", find(map[int32]link.State{5: netdev("enp3s0f0_3", "a1", "rep3")}, port)},
		{"an older name", find(map[int32]link.State{5: netdev("enp3s0f0_3", "a1", "3")}, port)},
		{"a flavour that tells nothing", find(map[int32]link.State{5: netdev("enp3s0f0_3", "a1", "pf0vf3")},
			devlink.Port{Device: pf0, Ifindex: 5})},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.set.want(t, 5, "a1", "pf0vf3", pf0) })
	}
	find(map[int32]link.State{5: netdev("eth0", "a1", "")}).want(t, 5, "a1", "", pf0)
	find(map[int32]link.State{5: netdev("eth0", "a1", "7")}).want(t, 5, "a1", "vf7", pf0)
	find(map[int32]link.State{5: netdev("eth0", "a1", "7")},
		devlink.Port{Device: pf0, Ifindex: 5, Flavour: devlink.Physical, Number: 7}).want(t, 5, "a1", "uplink p7", pf0)
}

// Two PFs have a VF of the same number each.
func TestTwoPFs(t *testing.T) {
	links := map[int32]link.State{
		5: netdev("enp3s0f0_0", "a1", "pf0vf0"), 6: netdev("enp3s0f1_0", "b1", "pf1vf0"),
		7: netdev("enp3s0f0np0", "a1", "p0"), 8: netdev("enp3s0f1np1", "b1", "p1"),
	}
	s := find(links, vfPort(pf0, 5, 0, 0), vfPort(pf1, 6, 1, 0),
		devlink.Port{Device: pf0, Index: 9, Ifindex: 7, Flavour: devlink.Physical},
		devlink.Port{Device: pf1, Index: 9, Ifindex: 8, Flavour: devlink.Physical, Number: 1})
	s.want(t, 5, "a1", "pf0vf0", pf0)
	s.want(t, 6, "b1", "pf1vf0", pf1)
	s.want(t, 7, "a1", "uplink p0", pf0)
	s.want(t, 8, "b1", "uplink p1", pf1)
	if by := s.Eswitches(); len(by) != 2 || !slices.Equal(by[pf0], []flows.EswitchID{"a1"}) || !slices.Equal(by[pf1], []flows.EswitchID{"b1"}) {
		t.Errorf("eswitches %v", by)
	}
	if all := s.All(); len(all) != 4 || all[0].Ifindex != 5 || all[3].Ifindex != 8 {
		t.Errorf("all: %+v", all)
	}
	// One device with both PFs, as nfp has it.
	s = find(links, vfPort(pf0, 5, 0, 0), vfPort(pf0, 6, 1, 0))
	if by := s.Eswitches(); !slices.Equal(by[pf0], []flows.EswitchID{"a1", "b1"}) {
		t.Errorf("eswitches %v", by)
	}
	// A representor whose device nothing tells.
	if by := find(map[int32]link.State{5: {SwitchID: "a1"}}).Eswitches(); len(by) > 0 {
		t.Errorf("eswitches %v", by)
	}
}

// A device that was renamed is the same: devlink's port has its index.
func TestRename(t *testing.T) {
	port := vfPort(pf0, 5, 0, 3)
	s := find(map[int32]link.State{5: netdev("vm7", "a1", "pf0vf3")}, port)
	s.want(t, 5, "a1", "pf0vf3", pf0)
	if r, _ := s.Get(5); r.Name != "vm7" {
		t.Errorf("is %s", r.Name)
	}
}

// A device that has the ifindex of a representor that was is not it.
func TestIfindexReused(t *testing.T) {
	port := vfPort(pf0, 5, 0, 3) // told before, or of another network namespace
	if r, ok := find(map[int32]link.State{5: {Name: "veth0", Kind: "veth"}}, port).Get(5); ok {
		t.Errorf("a veth became %+v", r)
	}
	other := netdev("eth9", "b1", "pf1vf0")
	other.Parent.Name = "0000:03:00.1"
	find(map[int32]link.State{5: other}, port).want(t, 5, "b1", "pf1vf0", pf1)
}

// The switch id may come after the device, and with it everything.
func TestSwitchIDComesLater(t *testing.T) {
	l := netdev("eth0", "", "")
	port := vfPort(pf0, 5, 0, 3)
	if _, ok := find(map[int32]link.State{5: l}, port).Get(5); ok {
		t.Error("a device without switch id is a representor")
	}
	l.SwitchID = "a1"
	find(map[int32]link.State{5: l}, port).want(t, 5, "a1", "pf0vf3", pf0)
}

func TestGoneAndZero(t *testing.T) {
	s := find(map[int32]link.State{}, vfPort(pf0, 5, 0, 3))
	if _, ok := s.Get(5); ok || s.Refuse(5) == "" {
		t.Error("a device that is gone is a representor")
	}
	var none *Set
	if _, ok := none.Get(5); ok || none.All() != nil || len(none.Eswitches()) > 0 {
		t.Error("nothing has a representor")
	}
}

// machine is a sysfs with a NIC of two PFs; eth3 is the third VF of the first one.
func machine(t *testing.T) Sysfs {
	t.Helper()
	root := t.TempDir()
	devices := filepath.Join(root, "bus/pci/devices")
	for _, d := range []string{"0000:03:00.0", "0000:03:00.1", "0000:03:00.2", "0000:03:00.5/net/eth3", "0000:04:00.0"} {
		if err := os.MkdirAll(filepath.Join(devices, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{
		"0000:03:00.0/virtfn0": "../0000:03:00.2", "0000:03:00.2/physfn": "../0000:03:00.0",
		"0000:03:00.0/virtfn1": "../0000:03:00.3", "0000:03:00.0/virtfn2": "../0000:03:00.4",
		"0000:03:00.0/virtfn3": "../0000:03:00.5", "0000:03:00.5/physfn": "../0000:03:00.0",
	} {
		if err := os.Symlink(target, filepath.Join(devices, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, pf := range []string{"0000:03:00.0", "0000:03:00.1"} {
		if err := os.WriteFile(filepath.Join(devices, pf, "sriov_totalvfs"), []byte("8\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Sysfs(root)
}

func TestVFNetdev(t *testing.T) {
	sysfs := machine(t)
	vf := Representor{Function: Function{Flavour: devlink.PCIVF, HasPF: true, VF: 3}, Device: pf0}
	if got := sysfs.VFNetdev(vf); got != "eth3" {
		t.Errorf("got %q", got)
	}
	guest, external, uplink, elsewhere := vf, vf, vf, vf
	guest.VF = 0 // bound to vfio
	external.External = true
	uplink.Flavour = devlink.Physical
	elsewhere.Device = "auxiliary/mlx5_core.sf.4"
	for _, r := range []Representor{guest, external, uplink, elsewhere, {}} {
		if got := sysfs.VFNetdev(r); got != "" {
			t.Errorf("%+v has %q", r, got)
		}
	}
}

func TestRefuse(t *testing.T) {
	at := func(pci string) link.Parent { return link.Parent{Bus: "pci", Name: pci} }
	off, none, unknown := netdev("enp3s0f0_1", "a1", "pf0vf1"), netdev("enp3s0f0_2", "a1", "pf0vf2"), netdev("enp3s0f0_4", "a1", "pf0vf4")
	off.TC, none.TC, unknown.TC = link.Off, link.Unsupported, link.Unknown
	uplink := netdev("enp9s0np0", "c1", "p0")
	uplink.Parent = at("0000:09:00.0")
	links := map[int32]link.State{
		1: netdev("enp3s0f0_3", "a1", "pf0vf3"), 2: off, 3: none, 4: unknown,
		5:  {Name: "eth3", Parent: at("0000:03:00.5")},
		6:  {Name: "eth0", Parent: at("0000:03:00.2")},
		7:  {Name: "enp3s0f1", Parent: at("0000:03:00.1")},
		8:  {Name: "veth0", Kind: "veth"},
		9:  {Name: "nic1v0", Parent: link.Parent{Bus: "model", Name: "nic1"}},
		10: uplink,
		11: {Name: "eno1", Parent: at("0000:04:00.0")},
		12: {Name: "nic1r0", SwitchID: "d1", PortName: "pf0vf0", TC: link.On, Parent: link.Parent{Bus: "model", Name: "nic1"}},
	}
	s := Find(links, devlink.Snapshot{
		Ports: []devlink.Port{vfPort(pf0, 1, 0, 3), {Device: "pci/0000:09:00.0", Ifindex: 10, Flavour: devlink.Physical}},
		Modes: map[string]devlink.Mode{pf0: devlink.ModeSwitchdev, "pci/0000:09:00.0": devlink.ModeLegacy},
	}, machine(t))
	for index, want := range map[int32]string{
		1:  "",
		2:  "hw-tc-offload of enp3s0f0_1 is off: ethtool -K enp3s0f0_1 hw-tc-offload on",
		3:  "does not offload tc",
		4:  "",
		5:  "eth3 is virtual function 3 of pf0 itself; its representor is enp3s0f0_3",
		6:  "eth0 is virtual function 0 of pci/0000:03:00.0 itself, and has no representor here: devlink dev eswitch show pci/0000:03:00.0",
		7:  "enp3s0f1 is the physical function 0000:03:00.1 and no representor",
		8:  "veth0 is no representor but a veth",
		9:  "nic1v0 is a device of model/nic1 but none of its representors, which are nic1r0 (pf0vf0)",
		10: "the eswitch of enp9s0np0 is not in switchdev mode: devlink dev eswitch set pci/0000:09:00.0 mode switchdev",
		11: "eno1 is no representor: it has no phys_switch_id",
		12: "",
		99: "no such network device",
	} {
		if got := s.Refuse(index); !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("device %d: %q, want %q", index, got, want)
		}
	}
}
