package ovsdb

import (
	"strconv"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb/vswitchd"
)

func TestParseOVNZone(t *testing.T) {
	for text, want := range map[string]flows.Zone{"1": 1, "7": 7, "65535": 65535} {
		if got, err := parseOVNZone(text); got != want || err != nil {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0", "65536", "-1", "+1", "0x7", "7 ", "1_0", "seven", strings.Repeat("9", 10000)} {
		if got, err := parseOVNZone(text); got != 0 || err == nil || len(err.Error()) > 100 {
			t.Errorf("%.20q: %d, %v", text, got, err)
		}
	}
}

func TestLocalVLAN(t *testing.T) {
	tag := func(n int) *int { return &n }
	for name, test := range map[string]struct {
		tag     *int
		other   map[string]string
		want    OptionalZone
		problem bool
	}{
		"ordinary access VLAN":     {tag: tag(5)},
		"Neutron's":                {tag: tag(5), other: map[string]string{"tag": "5", "net_uuid": "n"}, want: OptionalZone{5, true}},
		"tag not written yet":      {other: map[string]string{"tag": "5", "net_uuid": "n"}, want: OptionalZone{5, true}},
		"older agent":              {tag: tag(5), other: map[string]string{"net_uuid": "n"}, want: OptionalZone{5, true}},
		"dead VLAN":                {tag: tag(4095), other: map[string]string{"tag": "5", "net_uuid": "n"}},
		"dead VLAN in both":        {tag: tag(4095), other: map[string]string{"tag": "4095"}},
		"dead VLAN, not yet bound": {other: map[string]string{"tag": "4095"}},
		"differ":                   {tag: tag(6), other: map[string]string{"tag": "5"}, problem: true},
		"no number":                {other: map[string]string{"tag": "five"}, problem: true},
		"too large":                {other: map[string]string{"tag": "4096"}, problem: true},
		"zero":                     {tag: tag(0), other: map[string]string{"net_uuid": "n"}, problem: true},
	} {
		var found problems
		got := localVLAN(&vswitchd.Port{Tag: test.tag, OtherConfig: test.other}, &found)
		if got != test.want || (len(found) > 0) != test.problem {
			t.Errorf("%s: %+v, %q", name, got, found)
		}
	}
}

func TestParseWish(t *testing.T) {
	ids := func(v string) map[string]string { return map[string]string{"flowshunt": v} }
	for _, test := range []struct {
		iface, port map[string]string
		want        Wish
		problems    int
	}{
		{nil, nil, WishNone, 0},
		{ids("on"), nil, WishOn, 0},
		{nil, ids("On"), WishOn, 0},
		{ids("on"), ids("off"), WishOff, 0},
		{ids("OFF"), ids("on"), WishOff, 0},
		{ids("false"), nil, WishOff, 1},
		{ids(""), ids("on"), WishOff, 1},
	} {
		var found problems
		if got := parseWish(test.iface, test.port, &found); got != test.want || len(found) != test.problems {
			t.Errorf("%v, %v: %q, %q", test.iface, test.port, got, found)
		}
	}
}

func TestVLANOf(t *testing.T) {
	three, mode := 3, vswitchd.PortVLANModeNativeTagged
	for name, test := range map[string]struct {
		row  vswitchd.Port
		want VLAN
	}{
		"nothing set":   {vswitchd.Port{}, VLAN{Mode: "trunk"}},
		"tag":           {vswitchd.Port{Tag: &three}, VLAN{Mode: "access", Tag: 3, HasTag: true}},
		"tag of 0":      {vswitchd.Port{Tag: new(int)}, VLAN{Mode: "access", HasTag: true}},
		"mode and tag":  {vswitchd.Port{Tag: &three, VLANMode: &mode}, VLAN{Mode: "native-tagged", Tag: 3, HasTag: true}},
		"out of bounds": {vswitchd.Port{Trunks: []int{5000}}, VLAN{Mode: "trunk", Trunks: []uint16{0}}},
		"trunks":        {vswitchd.Port{Trunks: []int{7, 3}}, VLAN{Mode: "trunk", Trunks: []uint16{3, 7}}},
	} {
		var found problems
		got := vlanOf(&test.row, &found)
		if got.Mode != test.want.Mode || got.Tag != test.want.Tag || got.HasTag != test.want.HasTag || len(got.Trunks) != len(test.want.Trunks) {
			t.Errorf("%s: %+v", name, got)
		}
		for i := range got.Trunks {
			if got.Trunks[i] != test.want.Trunks[i] {
				t.Errorf("%s: %+v", name, got)
			}
		}
	}
}

// FuzzExternalIDs checks that whatever stands in a port's rows, a field is set
// only to what the row says, and everything else is a problem.
func FuzzExternalIDs(f *testing.F) {
	f.Add("lsp-1", "7", "fa:16:3e:00:00:01", "off", "5", 5)
	f.Add("", "", "", "", "", 0)
	f.Add("x", "65536", "ff:ff:ff:ff:ff:ff", "yes", "4095", 4095)
	f.Add("x", "007", "fa163e000001", "on", "+5", -1)
	f.Fuzz(func(t *testing.T, ifaceID, zone, mac, wish, other string, tag int) {
		row := vswitchd.Bridge{Name: "br", ExternalIDs: map[string]string{ovnZonePrefix + ifaceID: zone}}
		bridge := newBridge("b", &row, newReplica())
		port := vswitchd.Port{Name: "p", Tag: &tag, OtherConfig: map[string]string{"tag": other}}
		iface := vswitchd.Interface{ExternalIDs: map[string]string{"iface-id": ifaceID, "attached-mac": mac, "flowshunt": wish}}
		b := builder{r: newReplica()}
		p := newPort(b.portFacts(&port, &bridge, Mirroring{}), &iface, &port, &bridge)

		if number, err := strconv.Atoi(zone); p.OVNZone.Known && (err != nil || number != int(p.OVNZone.Zone) || number == 0) {
			t.Errorf("zone %q is %d", zone, p.OVNZone.Zone)
		}
		if ifaceID != "" && !p.OVNZone.Known && len(p.Problems) == 0 {
			t.Errorf("zone %q is no problem", zone)
		}
		if parsed, err := flows.ParseMAC(mac); p.AttachedMAC != parsed && !p.AttachedMAC.IsZero() || err != nil && len(p.Problems) == 0 {
			t.Errorf("MAC %q is %v: %q", mac, p.AttachedMAC, p.Problems)
		}
		if p.LocalVLANZone.Known && (int(p.LocalVLANZone.Zone) != tag || tag == deadVLAN) {
			t.Errorf("local VLAN %q, tag %d is %d", other, tag, p.LocalVLANZone.Zone)
		}
		if p.Wish == WishNone || p.Wish == WishOn && !strings.EqualFold(wish, "on") {
			t.Errorf("wish %q is %v", wish, p.Wish)
		}
		for _, problem := range p.Problems {
			if len(problem) > 1000 {
				t.Errorf("a problem of %d bytes", len(problem))
			}
		}
	})
}

func TestTunnelKey(t *testing.T) {
	for want, options := range map[string]map[string]string{
		"":     {"out_key": "8"},
		"7":    {"key": "7", "out_key": "8"},
		"9":    {"key": "7", "in_key": "9"},
		"flow": {"in_key": "flow", "out_key": "8"},
	} {
		var b builder
		var port vswitchd.Port
		bridge := Bridge{}
		p := newPort(b.portFacts(&port, &bridge, Mirroring{}), &vswitchd.Interface{Options: options}, &port, &bridge)
		if p.Tunnel.Key != want {
			t.Errorf("%v: key %q, want %q", options, p.Tunnel.Key, want)
		}
	}
}
