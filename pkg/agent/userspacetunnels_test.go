package agent

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb"
	ofswitch "github.com/flowshunt/flowshunt/pkg/eswitch/openflow"
	"github.com/flowshunt/flowshunt/pkg/link"
	"github.com/flowshunt/flowshunt/pkg/path"
	"github.com/flowshunt/flowshunt/pkg/tap"
)

func userspaceTunnel(id flows.PortID, name, kind string, t ovsdb.Tunnel) ovsdb.Port {
	return ovsdb.Port{ID: id, Name: name, Bridge: "br0", DatapathType: userspace, Type: kind, OFPort: uint32(id), AdminUp: true, LinkUp: true, Tunnel: t}
}

// TestUserspaceTunnels: a tunnel that is alone at its port of the datapath stands for
// that; of several, and of those that taps cannot look into, none can be used.
func TestUserspaceTunnels(t *testing.T) {
	links := map[int32]link.State{2: {Name: "eth0"}}
	kernel := ovsdb.Port{ID: 9, Name: "vx9", Type: "vxlan", DatapathType: "system", OFPort: 9, Ifindex: 5}
	for name, tt := range map[string]struct {
		rows    []ovsdb.Port
		names   string
		refused map[flows.PortID]string
	}{
		"one of each kind": {[]ovsdb.Port{userspaceTunnel(1, "vx1", "vxlan", ovsdb.Tunnel{}), userspaceTunnel(2, "gnv2", "geneve", ovsdb.Tunnel{}), kernel},
			"vxlan_sys_4789 genev_sys_6081 vx9", nil},
		"two of a kind": {[]ovsdb.Port{userspaceTunnel(1, "vx1", "vxlan", ovsdb.Tunnel{}), userspaceTunnel(2, "vx2", "vxlan", ovsdb.Tunnel{})},
			"vx1 vx2", map[flows.PortID]string{1: "several tunnels", 2: "several tunnels"}},
		"another UDP port": {[]ovsdb.Port{userspaceTunnel(1, "vx1", "vxlan", ovsdb.Tunnel{Port: "8472"}), userspaceTunnel(2, "vx2", "vxlan", ovsdb.Tunnel{Port: "4789"})},
			"vx1 vxlan_sys_4789", map[flows.PortID]string{1: "8472"}},
	} {
		all, refused := userspaceTunnels(tt.rows, links)
		var names []string
		for _, p := range tt.rows {
			names = append(names, p.Name)
			usable := p.DatapathType == userspace && tt.refused[p.ID] == ""
			if usable && (all[p.Ifindex].Name != p.Name || !all[p.Ifindex].Up() || p.Ifindex != ofswitch.TunnelLink("br0", p.OFPort)) {
				t.Errorf("%s: %s has the device %d, %+v", name, p.Name, p.Ifindex, all[p.Ifindex])
			}
			if why := tt.refused[p.ID]; (why == "") != (refused[p.ID] == "") || !strings.Contains(refused[p.ID], why) {
				t.Errorf("%s: %s is refused for %q, want %q", name, p.Name, refused[p.ID], why)
			}
		}
		if got := strings.Join(names, " "); got != tt.names || len(links) != 1 {
			t.Errorf("%s: %s, want %s; %v", name, got, tt.names, links)
		}
	}
}

// TestArrival: what a tap sees inside of a tunnel came in by the port that takes such
// packets, if there is one.
func TestArrival(t *testing.T) {
	for name, tt := range map[string]struct {
		kind   string
		config ovsdb.Tunnel
		want   bool
	}{
		"any":           {"vxlan", ovsdb.Tunnel{Remote: "flow", Local: "flow", Key: "flow"}, true},
		"configured":    {"vxlan", ovsdb.Tunnel{Remote: "192.0.2.2", Local: "192.0.2.1", Key: "7"}, true},
		"another end":   {"vxlan", ovsdb.Tunnel{Remote: "192.0.2.3", Key: "7"}, false},
		"another own":   {"vxlan", ovsdb.Tunnel{Remote: "192.0.2.2", Local: "192.0.2.3", Key: "7"}, false},
		"another key":   {"vxlan", ovsdb.Tunnel{Remote: "192.0.2.2", Key: "0x8"}, false},
		"no key":        {"vxlan", ovsdb.Tunnel{Remote: "192.0.2.2"}, false},
		"another kind":  {"geneve", ovsdb.Tunnel{Remote: "flow", Key: "flow"}, false},
		"not to be had": {"gre", ovsdb.Tunnel{Remote: "flow", Key: "flow"}, false},
	} {
		p := portStatus{Port: path.Port{ID: 3, Type: tt.kind, Datapath: userspace, Ifindex: 1 << 30}, tunnel: tt.config}
		seen := flows.Tunnel{Src: netip.MustParseAddr("192.0.2.2"), Dst: netip.MustParseAddr("192.0.2.1"), ID: 7, Port: tap.VXLANPort}
		s := tap.Sighting{Port: 1, Frame: flows.Frame{Tunnel: flows.RefTo(seen)}}
		ok := tunnelsOf([]portStatus{p}).arrival(&s)
		seen.Port = 0
		if ok != tt.want || ok && (s.Port != 3 || s.Seen != 1 || s.Tunnel != flows.RefTo(seen)) {
			t.Errorf("%s: %v, %+v", name, ok, s)
		}
	}
}

// TestUnderlayBridges: packets in tunnels come in at the bridge by which they go out, or
// anywhere else where that is not known.
func TestUnderlayBridges(t *testing.T) {
	eth := func(bridge, datapath string) ovsdb.Port {
		return ovsdb.Port{Name: "eth-" + bridge, Bridge: bridge, DatapathType: datapath}
	}
	others := []ovsdb.Port{eth("br0", userspace), eth("brp", userspace), eth("brq", userspace), eth("brk", "system")}
	for name, tt := range map[string]struct {
		tunnel ovsdb.Port
		want   string
	}{
		"known":      {userspaceTunnel(1, "vx1", "vxlan", ovsdb.Tunnel{Egress: "brp"}), "brp"},
		"not known":  {userspaceTunnel(1, "vx1", "vxlan", ovsdb.Tunnel{Remote: "flow"}), "brp brq"},
		"kernel's":   {ovsdb.Port{Type: "vxlan", DatapathType: "system", Tunnel: ovsdb.Tunnel{Egress: "brp"}}, ""},
		"not a kind": {userspaceTunnel(1, "gre1", "gre", ovsdb.Tunnel{}), ""},
	} {
		got := underlayBridges(append(others, tt.tunnel))
		if text := strings.Join(slices.Sorted(maps.Keys(got)), " "); text != tt.want {
			t.Errorf("%s: %s, want %s", name, text, tt.want)
		}
	}
}

// TestTunnelsOfGuests: what guests send each other in tunnels did not come in by one of
// the host's.
func TestTunnelsOfGuests(t *testing.T) {
	taps := newTaps(path.NewResolver(path.Config{}), newUserspaceConns(nil), testLoop(), newComponent("taps", silent))
	fails := errors.New("not now")
	own, err := []netip.Addr{netip.MustParseAddr("192.0.2.1")}, error(nil)
	taps.own.list = func() ([]netip.Addr, error) { return own, err }
	n := uint16(0)
	see := func(dst string) bool {
		n++
		tunnel := flows.RefTo(flows.Tunnel{Src: netip.MustParseAddr("192.0.2.2"), Dst: netip.MustParseAddr(dst), ID: 7, Port: tap.VXLANPort})
		tuple := flows.Tuple{Proto: flows.UDP, SrcPort: n}
		taps.sighted(tap.Sighting{Port: 1, Frame: flows.Frame{Tunnel: tunnel}, Tuple: tuple, Length: 100})
		return taps.user.seen.Get(tuple).Packets > 0
	}
	port := portStatus{Port: path.Port{ID: 3, Type: "vxlan", Datapath: userspace, Ifindex: 1 << 30}, tunnel: ovsdb.Tunnel{Remote: "flow", Key: "flow"}}
	if taps.apply(); see("192.0.2.1") {
		t.Error("seen before there is a tunnel")
	}
	taps.set([]portStatus{port})
	for dst, want := range map[string]bool{"192.0.2.1": true, "192.0.2.9": false} {
		if see(dst) != want {
			t.Errorf("to %s: seen is %t", dst, !want)
		}
	}
	own, err, taps.own.read = nil, fails, time.Time{} // as some time later
	if taps.apply(); !see("192.0.2.1") || !strings.Contains(taps.health.get().LastError, fails.Error()) {
		t.Errorf("what was known is forgotten, or nobody is told: %+v", taps.health.get())
	}
	err = nil
	if taps.apply(); see("192.0.2.1") {
		t.Error("an address that is gone is taken for one of the host")
	}
}
