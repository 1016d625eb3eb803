package link

import (
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/pkg/nlsocket"
)

// message is one about device 5, which is up.
func message(t testing.TB, typ uint16, family uint8, attributes func(*netlink.AttributeEncoder)) nlsocket.Message {
	t.Helper()
	m := ifinfo(typ, 5)
	m.Payload[0], m.Payload[8], m.Payload[10] = family, unix.IFF_UP, unix.IFF_LOWER_UP>>16
	e := netlink.NewAttributeEncoder()
	e.String(unix.IFLA_IFNAME, "port")
	if attributes != nil {
		attributes(e)
	}
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	m.Payload = append(m.Payload, b...)
	return m
}

func TestDecode(t *testing.T) {
	representor := func(e *netlink.AttributeEncoder) {
		e.Bytes(unix.IFLA_PHYS_SWITCH_ID, []byte{0xa0, 0x8a, 0x1e, 0x00, 0x03, 0x9c, 0x63, 0x00})
		e.String(unix.IFLA_PHYS_PORT_NAME, "pf0vf3")
		e.String(unix.IFLA_PARENT_DEV_NAME, "0000:03:00.0")
		e.String(unix.IFLA_PARENT_DEV_BUS_NAME, "pci")
		e.Uint32(unix.IFLA_GROUP, 7)
	}
	base := State{Name: "port", Admin: true, Carrier: true}
	full := base
	full.SwitchID, full.PortName, full.Parent = "a08a1e00039c6300", "pf0vf3", Parent{"pci", "0000:03:00.0"}
	kind, short := base, base
	kind.Kind, short.SwitchID = "veth", "01"
	for _, tt := range []struct {
		name  string
		m     nlsocket.Message
		state State
		group uint32
		gone  bool
		ok    bool
	}{
		{"plain", message(t, unix.RTM_NEWLINK, unix.AF_UNSPEC, nil), base, 0, false, true},
		{"representor", message(t, unix.RTM_NEWLINK, unix.AF_UNSPEC, representor), full, 7, false, true},
		{"of one byte", message(t, unix.RTM_NEWLINK, unix.AF_UNSPEC, func(e *netlink.AttributeEncoder) {
			e.Bytes(unix.IFLA_PHYS_SWITCH_ID, []byte{1})
		}), short, 0, false, true},
		{"longer than the kernel's", message(t, unix.RTM_NEWLINK, unix.AF_UNSPEC, func(e *netlink.AttributeEncoder) {
			e.Bytes(unix.IFLA_PHYS_SWITCH_ID, make([]byte, maxSwitchID+1))
		}), base, 0, false, true},
		{"kind", message(t, unix.RTM_NEWLINK, unix.AF_UNSPEC, func(e *netlink.AttributeEncoder) {
			e.Nested(unix.IFLA_LINKINFO, func(e *netlink.AttributeEncoder) error {
				e.String(unix.IFLA_INFO_KIND, "veth")
				return nil
			})
		}), kind, 0, false, true},
		{"deleted", message(t, unix.RTM_DELLINK, unix.AF_UNSPEC, nil), base, 0, true, true},
		{"left a bridge", message(t, unix.RTM_DELLINK, unix.AF_BRIDGE, nil), State{}, 0, false, false},
		{"an address", message(t, unix.RTM_NEWADDR, unix.AF_UNSPEC, nil), State{}, 0, false, false},
	} {
		n, ok, err := decode(tt.m)
		if err != nil || ok != tt.ok || ok && (n.state != tt.state || n.index != 5 || n.gone != tt.gone || n.group != tt.group) {
			t.Errorf("%s: %+v, %t, %v", tt.name, n, ok, err)
		}
	}
	if _, _, err := decode(nlsocket.Message{Type: unix.RTM_NEWLINK, Payload: make([]byte, 15)}); err == nil {
		t.Error("half a header was accepted")
	}
	if full.Parent.String() != "pci/0000:03:00.0" || (Parent{}).String() != "" {
		t.Error(full.Parent)
	}
}

func TestTableKeepsLives(t *testing.T) {
	tab := table{states: make(map[int32]State)}
	up := &notification{index: 5, state: State{Admin: true, Carrier: true}}
	if !tab.apply(up) || tab.apply(up) {
		t.Error("a change is what differs")
	}
	named := &notification{index: 5, state: State{Admin: true, Carrier: true, SwitchID: "01"}}
	if !tab.apply(named) || tab.snapshot()[5].Life != 1 {
		t.Error("a switch id that comes later is a change of the same device")
	}
	if !tab.apply(&notification{index: 5, gone: true}) || len(tab.snapshot()) != 0 {
		t.Error("deletion not noticed")
	}
	if !tab.apply(up) || tab.snapshot()[5].Life != 2 || tab.snapshot()[5].SwitchID != "" {
		t.Error("another device with the index is the one before")
	}
}

func TestOffloadOf(t *testing.T) {
	for _, tt := range []struct {
		can, active, fixed bool
		want               Offload
	}{
		{false, false, false, Unsupported}, {true, true, false, On}, {true, false, false, Off},
		{false, true, false, OnFixed}, {true, true, true, OnFixed}, {true, false, true, OffFixed}, {false, false, true, Unsupported},
	} {
		if got := offloadOf(tt.can, tt.active, tt.fixed); got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
		if tt.want.IsOn() != tt.active {
			t.Errorf("%v: on is %t", tt.want, tt.want.IsOn())
		}
	}
	if Offload(99).String() != "unknown" {
		t.Error(Offload(99))
	}
}

// FuzzDecode: whatever the bytes are, nothing panics.
func FuzzDecode(f *testing.F) {
	f.Add(uint16(unix.RTM_NEWLINK), message(f, unix.RTM_NEWLINK, unix.AF_UNSPEC, func(e *netlink.AttributeEncoder) {
		e.Bytes(unix.IFLA_PHYS_SWITCH_ID, []byte{1, 2})
	}).Payload)
	f.Fuzz(func(t *testing.T, typ uint16, payload []byte) {
		n, _, _ := decode(nlsocket.Message{Type: typ, Payload: payload})
		if len(n.state.SwitchID) > 2*maxSwitchID {
			t.Errorf("a switch id of %d digits", len(n.state.SwitchID))
		}
		if a, err := netlink.NewAttributeDecoder(payload); err == nil {
			_, _, _ = decodeFeatures(a, 70)
		}
		if a, err := netlink.NewAttributeDecoder(payload); err == nil {
			_, _ = stringIndex(a, hwTC)
		}
	})
}
