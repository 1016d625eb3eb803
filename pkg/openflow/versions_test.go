package openflow

import (
	"net/netip"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
)

// TestVersions watches with each version what one flow, one port and one group
// go through.
func TestVersions(t *testing.T) {
	b := newBridge(t)
	for v := OpenFlow10; v <= OpenFlow15; v++ {
		t.Run(v.String(), func(t *testing.T) {
			b.protocols(v)
			r, _ := start(t, Config{Socket: b.socket()})
			if got := r.watching(t); got != v {
				t.Errorf("watching with %v", got)
			}
			oneFlow(t, b, r, v)
			onePort(t, b, r, v)
			if v.TellsGroups() {
				oneGroup(t, b, r, v)
			}
		})
	}
}

func oneFlow(t *testing.T, b *bridge, r *recorder, v Version) {
	t.Helper()
	b.ofctl("-O", v.String(), "add-flow", "br0",
		"table=3,priority=7,cookie=0x1234,in_port=3,dl_src=02:00:00:00:00:01,tcp,nw_dst=10.0.0.0/24,tp_dst=80,actions=drop")
	want := Change{
		Kind: FlowAdded, Table: 3, Priority: 7, Cookie: 0x1234, InPort: 3,
		Match: flows.PacketMatch{
			SrcMAC: flows.MAC{2, 0, 0, 0, 0, 1}, SrcMask: flows.MAC{255, 255, 255, 255, 255, 255},
			IPv4: true, Proto: flows.TCP, Dst: netip.MustParsePrefix("10.0.0.0/24"),
			DstPort: 80, DstPortMask: 0xffff,
		},
	}
	if got := r.change(t); got != want {
		t.Errorf("added:\n%+v, want\n%+v", got, want)
	}
	b.ofctl("-O", v.String(), "mod-flows", "br0", "table=3,tcp,actions=output:2")
	want.Kind = FlowModified
	got := r.change(t)
	want.Cookie = got.Cookie // OpenFlow 1.0 sets it, later versions keep it
	if got != want {
		t.Errorf("modified:\n%+v, want\n%+v", got, want)
	}
	b.ofctl("-O", v.String(), "del-flows", "br0", "table=3")
	want.Kind = FlowDeleted
	if got := r.change(t); got != want {
		t.Errorf("deleted:\n%+v, want\n%+v", got, want)
	}
}

func onePort(t *testing.T, b *bridge, r *recorder, v Version) {
	t.Helper()
	port := func(k Kind) Port {
		t.Helper()
		c := r.until(t, isKind(k)).change
		if c.Port.Name != "p0" || c.Port.Number != 9 {
			t.Errorf("%v: %+v", k, c.Port)
		}
		return c.Port
	}
	b.Vsctl("add-port", "br0", "p0", "--", "set", "interface", "p0", "type=internal", "ofport_request=9")
	port(PortAdded)
	b.ofctl("-O", v.String(), "mod-port", "br0", "p0", "no-forward")
	if p := port(PortModified); p.Config&PortNoFwd == 0 {
		t.Errorf("no-forward: %+v", p)
	}
	b.ofctl("-O", v.String(), "mod-port", "br0", "p0", "forward")
	if p := port(PortModified); p.Config&PortNoFwd != 0 {
		t.Errorf("forward: %+v", p)
	}
	b.Vsctl("del-port", "br0", "p0")
	port(PortDeleted)
}

func oneGroup(t *testing.T, b *bridge, r *recorder, v Version) {
	t.Helper()
	want := func(k Kind) {
		t.Helper()
		if got := r.change(t); got != (Change{Kind: k}) {
			t.Errorf("want %v: %+v", k, got)
		}
	}
	b.ofctl("-O", v.String(), "add-group", "br0", "group_id=1,type=all,bucket=drop")
	want(GroupChanged)
	b.ofctl("-O", v.String(), "mod-group", "br0", "group_id=1,type=all,bucket=output:1")
	want(GroupChanged)
	b.ofctl("-O", v.String(), "--bundle", "del-groups", "br0", "group_id=1")
	want(GroupChanged)
	b.ofctl("-O", v.String(), "add-meter", "br0", "meter=1,kbps,band=type=drop,rate=1000")
	want(MeterChanged)
	b.ofctl("-O", v.String(), "del-meters", "br0")
	want(MeterChanged)
}
