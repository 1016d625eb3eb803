package check

import (
	"encoding/binary"
	"errors"
	"os/exec"
	"slices"
	"testing"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/ovsdb"
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
		if d.index != tctest.Index(t, d.name) || d.switchID != "" {
			t.Errorf("%+v", d)
		}
	}
	if d, err := readDriver("p0"); err != nil || d.name != "veth" {
		t.Errorf("%+v, %v", d, err)
	}
	if on, err := readHWTCOffload("p0"); on || err != nil {
		t.Errorf("hw-tc-offload of a veth: %v, %v", on, err)
	}
	for _, name := range []string{"nope", "a-name-that-is-too-long-for-a-device"} {
		if _, err := readHWTCOffload(name); !errors.Is(err, unix.ENODEV) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFeatureBits switches a feature that a veth has, and reads it.
func TestFeatureBits(t *testing.T) {
	tctest.Namespace(t)
	if _, err := exec.LookPath("ethtool"); err != nil {
		t.Skip("missing: ethtool")
	}
	tctest.Veth(t, "p0", "p1")
	const feature = "tx-tcp-segmentation"
	for _, want := range []bool{false, true} {
		tctest.Run(t, "ethtool -K p0 "+feature+map[bool]string{false: " off", true: " on"}[want])
		err := withSocket(func(fd int) error {
			names, err := featureNames(fd, "p0")
			if err != nil {
				return err
			}
			got, err := activeFeature(fd, "p0", len(names), slices.Index(names, feature))
			if got != want {
				t.Errorf("%s is %v, want %v", feature, got, want)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// message is what the kernel says of a device.
func message(index uint32, attrs ...*nl.RtAttr) []byte {
	b := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(b[4:], index)
	for _, a := range attrs {
		b = append(b, a.Serialize()...)
	}
	return b
}

func TestParseDevice(t *testing.T) {
	b := message(7, nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated("rep0")),
		nl.NewRtAttr(unix.IFLA_PHYS_SWITCH_ID, []byte{0xab, 0x01}), nl.NewRtAttr(unix.IFLA_PHYS_PORT_NAME, nl.ZeroTerminated("pf0vf3")))
	want := device{7, "rep0", "ab01", "pf0vf3"}
	if d, err := parseDevice(b); err != nil || d != want {
		t.Errorf("%+v, %v", d, err)
	}
	for n := range unix.SizeofIfInfomsg {
		if _, err := parseDevice(b[:n]); err == nil {
			t.Errorf("%d bytes are a device", n)
		}
	}
	if _, err := parseDevice(append(b[:len(b):len(b)], 0xff, 0xff, 1, 0)); err == nil {
		t.Error("an attribute longer than its message is none")
	}
}

// nic is a node with two representors in a bridge, as its kernel and its database say.
func nic(t *testing.T, texts map[string]string) *node {
	t.Helper()
	n := &node{root: files(texts), devices: []device{
		{1, "lo", "", ""}, {2, "p0", "01", "p0"}, {3, "rep0", "01", "pf0vf0"}, {4, "rep1", "01", "pf0vf1"}, {5, "vf5", "", ""},
	}}
	s := &ovsdb.Snapshot{Ports: []ovsdb.Port{{Name: "rep0", Type: "system"}, {Name: "p0"}, {Name: "br0", Type: "internal"}}}
	n.inventory = inventory{s, nil}
	return n
}

func TestRepresentors(t *testing.T) {
	n := nic(t, nil)
	wantLines(t, says(t, n, representors), "ok representors: 2 are OVS ports")
	n.Ports = append(n.Ports, ovsdb.Port{Name: "vf5", Type: "system"})
	wantLines(t, says(t, n, representors), "warning representors: 2 are OVS ports; not on an eswitch: vf5")
	n.Ports = n.Ports[3:]
	wantLines(t, says(t, n, representors), "fatal representors: none of 5 devices is an OVS port")
	n.devices = n.devices[:1]
	wantLines(t, says(t, n, representors))
}

func TestVFInBridge(t *testing.T) {
	const physfn = "sys/class/net/vf5/device/physfn"
	n := nic(t, map[string]string{physfn + "/x": ""})
	wantLines(t, says(t, n, virtualFunctions))
	n.Ports = append(n.Ports, ovsdb.Port{Name: "vf5", Type: "system"})
	wantLines(t, says(t, n, virtualFunctions), "fatal vf in bridge: vf5")
}

func TestEswitchMissing(t *testing.T) {
	tctest.Namespace(t)
	n := nic(t, nil)
	n.devices = n.devices[:1]
	wantLines(t, says(t, n, eswitches), "warning eswitch: no device is on an eswitch (phys_switch_id)")
	n.devicesErr = errors.New("no netlink")
	wantLines(t, says(t, n, eswitches), "unknown eswitch: no netlink")
}
