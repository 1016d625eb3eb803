package flows

import (
	"net/netip"
	"testing"
)

func TestChangeTo(t *testing.T) {
	in := Frame{SrcMAC: MAC{2, 1}, DstMAC: MAC{2, 2}}
	if !ChangeTo(in, in, 0, Tuple{}).IsZero() {
		t.Error("no change is one")
	}
	out := in
	out.DstMAC = MAC{2, 3}
	a, b := ChangeTo(in, out, 1, Tuple{}), ChangeTo(in, out, 1, Tuple{})
	if a != b || a.IsZero() || a.Value() != (Change{Frame: out, Hops: 1}) {
		t.Errorf("%v and %v", a.Value(), b.Value())
	}
	if p := (Path{Frame: in, Change: a}); p.Leaves() != out || (Path{Frame: in}).Leaves() != in {
		t.Errorf("leaves as %v", p.Leaves())
	}
}

func TestChangeString(t *testing.T) {
	tuple, err := ParseTuple("tcp,203.0.113.9:6000,10.0.0.2:5201")
	if err != nil {
		t.Fatal(err)
	}
	tunnel := Tunnel{Dst: netip.MustParseAddr("10.0.0.2"), ID: 5}
	for want, c := range map[string]Change{
		"": {},
		"02:00:00:00:00:01>02:00:00:00:00:02, ttl -1": {Frame: Frame{SrcMAC: MAC{2, 5: 1}, DstMAC: MAC{2, 5: 2}}, Hops: 1},
		"02:00:00:00:00:01>02:00:00:00:00:02 svlan 9 vlan 7 in any->10.0.0.2 vni 5, as tcp,203.0.113.9:6000,10.0.0.2:5201": {
			Frame: Frame{SrcMAC: MAC{2, 5: 1}, DstMAC: MAC{2, 5: 2}, Tags: Tags{{TagProvider, 9, 0}, {TagCustomer, 7, 0}}, Tunnel: RefTo(tunnel)},
			Tuple: tuple,
		},
	} {
		if got := c.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestTranslate(t *testing.T) {
	orig, _ := ParseTuple("tcp,10.0.0.1:40000,10.0.0.2:5201")
	reply, _ := ParseTuple("tcp,10.0.0.2:5201,203.0.113.9:6000")
	s := ZoneState{Tuple: orig, Reply: reply}
	for _, test := range []struct {
		came, leaves Tuple
		dir          Dir
		ok           bool
	}{
		{orig, reply.Reverse(), Orig, true},
		{reply, orig.Reverse(), Reply, true},
		{reply.Reverse(), reply.Reverse(), Orig, false},
	} {
		if dir, leaves, ok := s.Translate(test.came); dir != test.dir || leaves != test.leaves || ok != test.ok {
			t.Errorf("%v: %v, %v, %t", test.came, dir, leaves, ok)
		}
	}
}
