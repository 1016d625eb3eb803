package devlink

import (
	"reflect"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/pkg/nlsocket"
)

func TestDecodeEvent(t *testing.T) {
	uplink := Port{Device: "eswsim/n0", Index: 1, Flavour: Physical, Ifindex: 4, Number: 1}
	vf := Port{Device: "eswsim/n0", Index: 3, Flavour: PCIVF, Ifindex: 8, PF: 1}
	bare := vf
	bare.Ifindex = 0
	last := Port{Device: "eswsim/n0", Index: 3, Flavour: PCIVF, Ifindex: 18, PF: 1}
	for _, tt := range []struct {
		name string
		want event
	}{
		{"port new uplink", event{port: &uplink}},
		{"port new vf", event{port: &vf}},
		{"netdev gone", event{port: &bare}},
		{"port del", event{gone: &last}},
		{"device new", event{device: "eswsim/n0"}},
		{"device del", event{device: "eswsim/n0"}},
		{"health error", event{health: &Health{Device: "eswsim/n0", Reporter: "fw", Failed: true, Errors: 1}}},
		{"health recovered", event{health: &Health{Device: "eswsim/n0", Reporter: "fw", Errors: 1, Recoveries: 1}}},
	} {
		got, ok, err := decodeEvent(message(t, tt.name), familyID)
		if !ok || err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, %t, %v", tt.name, got, ok, err)
		}
	}
	m := message(t, "port new vf")
	if _, ok, _ := decodeEvent(m, familyID+1); ok {
		t.Error("a message of another family was taken")
	}
	m.Payload[0] = unix.DEVLINK_CMD_PARAM_NEW
	if _, ok, err := decodeEvent(m, familyID); ok || err != nil {
		t.Errorf("what concerns nobody: %t, %v", ok, err)
	}
	if _, _, err := decodeEvent(nlsocket.Message{Type: familyID, Payload: []byte{7}}, familyID); err == nil {
		t.Error("half a header was accepted")
	}
}

func TestDecodeMode(t *testing.T) {
	_, a, err := nlsocket.Generic(message(t, "mode"))
	if err != nil {
		t.Fatal(err)
	}
	if m, err := decodeMode(a); m != ModeSwitchdev || err != nil {
		t.Errorf("%v, %v", m, err)
	}
	for value, want := range map[uint16]Mode{0: ModeLegacy, 1: ModeSwitchdev, 2: ModeUnknown} {
		a := attributes(t, func(e *netlink.AttributeEncoder) { e.Uint16(unix.DEVLINK_ATTR_ESWITCH_MODE, value) })
		if m, err := decodeMode(a); m != want || err != nil {
			t.Errorf("%d: %v, %v", value, m, err)
		}
	}
}

func attributes(t testing.TB, f func(*netlink.AttributeEncoder)) *netlink.AttributeDecoder {
	t.Helper()
	e := netlink.NewAttributeEncoder()
	f(e)
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	a, err := netlink.NewAttributeDecoder(b)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// What the model has no ports of: subfunctions, and those of another host.
func TestDecodePort(t *testing.T) {
	a := attributes(t, func(e *netlink.AttributeEncoder) {
		e.String(unix.DEVLINK_ATTR_BUS_NAME, "pci")
		e.String(unix.DEVLINK_ATTR_DEV_NAME, "0000:03:00.0")
		e.Uint32(unix.DEVLINK_ATTR_PORT_INDEX, 32768)
		e.Uint16(unix.DEVLINK_ATTR_PORT_FLAVOUR, 7)
		e.Uint32(unix.DEVLINK_ATTR_PORT_CONTROLLER_NUMBER, 1)
		e.Uint16(unix.DEVLINK_ATTR_PORT_PCI_PF_NUMBER, 2)
		e.Uint32(unix.DEVLINK_ATTR_PORT_PCI_SF_NUMBER, 88000)
		e.Uint8(unix.DEVLINK_ATTR_PORT_EXTERNAL, 1)
	})
	want := Port{Device: "pci/0000:03:00.0", Index: 32768, Flavour: PCISF, Controller: 1, External: true, PF: 2, SF: 88000}
	if p, err := decodePort(a); err != nil || p != want {
		t.Errorf("%+v, %v", p, err)
	}
	a = attributes(t, func(e *netlink.AttributeEncoder) { e.Uint16(unix.DEVLINK_ATTR_PORT_FLAVOUR, 999) })
	if p, err := decodePort(a); err != nil || p != (Port{}) {
		t.Errorf("a flavour that is not known: %+v, %v", p, err)
	}
	if PCISF.String() != "pcisf" || Flavour(99).String() != "unknown" {
		t.Error(PCISF, Flavour(99))
	}
}

func TestMayReset(t *testing.T) {
	for _, tt := range []struct {
		h    Health
		want bool
	}{
		{Health{Reporter: "fw"}, true}, {Health{Reporter: "fw_fatal"}, true}, {Health{Reporter: "hw"}, true},
		{Health{Reporter: "fw", OfPort: true}, false}, {Health{Reporter: "tx"}, false}, {Health{Reporter: "mdd"}, false},
	} {
		if got := tt.h.MayReset(); got != tt.want {
			t.Errorf("%v: %t", &tt.h, got)
		}
	}
	a := attributes(t, func(e *netlink.AttributeEncoder) {
		e.Uint32(unix.DEVLINK_ATTR_PORT_INDEX, 1)
		e.Nested(unix.DEVLINK_ATTR_HEALTH_REPORTER, func(e *netlink.AttributeEncoder) error {
			e.String(unix.DEVLINK_ATTR_HEALTH_REPORTER_NAME, "fw")
			return nil
		})
	})
	if h, err := decodeHealth(a); err != nil || !h.OfPort || h.Reporter != "fw" {
		t.Errorf("%+v, %v", h, err)
	}
}

// FuzzDecodeEvent: whatever the bytes are, nothing panics.
func FuzzDecodeEvent(f *testing.F) {
	for name := range golden {
		f.Add(message(f, name).Payload)
	}
	f.Fuzz(func(_ *testing.T, payload []byte) {
		ev, ok, err := decodeEvent(nlsocket.Message{Type: familyID, Payload: payload}, familyID)
		if ok && err == nil {
			ev.reset()
		}
		if _, a, err := nlsocket.Generic(nlsocket.Message{Payload: payload}); err == nil {
			_, _ = decodeMode(a)
		}
	})
}
