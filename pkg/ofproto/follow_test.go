package ofproto

import (
	"context"
	"errors"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

// wayFlows are ways of packets that one trace cannot follow, or that change them.
const wayFlows = `
table=0,in_port=1,ip,nw_dst=10.1.0.0/16,actions=ct(table=1,zone=1)
table=1,ip,ct_state=+est+trk-rpl,nw_dst=10.1.1.0/24,actions=dec_ttl,set_field:02:00:00:00:00:77->eth_dst,ct(commit,zone=2,nat(src=192.0.2.1),table=2)
table=1,ip,ct_state=+est+trk,ct_mark=1,nw_dst=10.1.2.0/24,actions=ct(table=3,zone=2)
table=1,ip,ct_state=+est+trk-rpl,nw_dst=10.1.3.0/24,actions=ct(table=4,zone=2)
table=2,ip,ct_state=+est+trk,nw_src=192.0.2.1,ct_nw_src=10.0.0.1,actions=output:2
table=2,ip,priority=1,actions=drop
table=3,ip,ct_mark=2,actions=output:2
table=4,ip,ct_state=+est+rpl,actions=output:2
table=0,in_port=2,ip,nw_dst=192.0.2.1,actions=ct(nat,zone=2,table=5)
table=5,ip,ct_state=+est+rpl,nw_dst=192.0.2.1,actions=CONTROLLER:65535
table=5,ip,ct_state=+est+rpl+trk,nw_dst=10.0.0.1,ct_nw_src=10.0.0.1,actions=dec_ttl,set_field:02:00:00:00:00:01->eth_dst,ct(table=6,zone=1)
table=6,ip,ct_state=+est+rpl,nw_dst=10.0.0.1,actions=output:1
table=0,in_port=1,ip,nw_dst=10.2.0.0/16,actions=dec_ttl,dec_ttl,output:2
table=0,in_port=1,ip,nw_dst=10.3.0.0/16,actions=resubmit(,10)
table=10,priority=40000,ip,nw_ttl=7,actions=drop
table=10,ip,actions=dec_ttl,output:2
table=0,in_port=1,ip,nw_dst=10.11.0.0/16,actions=resubmit(,21)
table=21,priority=9,tcp,nw_ttl=200,actions=drop
table=21,priority=1,actions=output:2
table=0,in_port=1,ip,nw_dst=10.12.0.0/16,actions=resubmit(,22)
table=22,priority=9,tcp,nw_ttl=1,actions=drop
table=22,priority=1,actions=output:2
table=0,in_port=1,ip,nw_dst=10.4.0.0/16,actions=set_field:63->nw_ttl,output:2
table=0,in_port=1,ip,nw_dst=10.5.0.0/16,actions=push_vlan:0x88a8,set_field:4200->vlan_vid,output:2
table=0,in_port=1,ip,vlan_vid=0x1007,nw_dst=10.6.0.0/16,actions=pop_vlan,push_vlan:0x8100,set_field:4104->vlan_vid,ct(table=7,zone=1)
table=7,ip,ct_state=+est,vlan_vid=0x1008,actions=output:2
table=0,in_port=1,ip,nw_dst=10.7.0.0/16,actions=dec_ttl,set_field:7->tun_id,set_field:192.0.2.2->tun_dst,set_field:0x10002->tun_metadata0,output:5
table=0,in_port=5,tun_id=7,tun_metadata0=0x20001,ip,actions=ct(table=8,zone=1)
table=8,ip,ct_state=+est,tun_metadata0=0/0xffff0000,actions=drop
table=8,ip,ct_state=+est,priority=1,actions=dec_ttl,output:2
table=0,in_port=1,ip,nw_dst=10.8.0.0/16,actions=check_pkt_larger(1400)->NXM_NX_REG0[0],resubmit(,9)
table=9,ip,reg0=1/1,actions=drop
table=9,ip,reg0=0/1,actions=output:2
table=0,in_port=1,ip,vlan_vid=0x1009,nw_dst=10.10.0.0/16,actions=pop_vlan,ct(table=11,zone=1)
table=11,ip,ct_state=+est,vlan_vid=0x1007,actions=dec_ttl,output:2
table=0,in_port=1,ip,nw_dst=10.9.0.0/16,actions=set_field:7->tun_id,output:6
`

// newWays is a world with a bridge "ways", and native tunnels over a bridge "under".
func newWays(t testing.TB) *world {
	w := newWorld(t)
	w.ovs.Vsctl("set", "Open_vSwitch", ".", "other-config:vlan-limit=2")
	w.bridge("ways", "wa=1", "wb=2")
	w.bridge("under", "up=1")
	w.ovs.Vsctl("add-port", "ways", "gn", "--", "set", "interface", "gn", "type=geneve", "options:remote_ip=flow", "options:key=flow", "options:csum=true", "options:dst_port=6083", "ofport_request=5",
		"--", "add-port", "ways", "vx", "--", "set", "interface", "vx", "type=vxlan", "options:remote_ip=192.0.2.2", "options:key=flow", "options:tos=inherit", "ofport_request=6")
	for _, args := range []string{"addr add 192.0.2.1/24 dev under", "link set under up"} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", args, err, out)
		}
	}
	w.flows(t, "under", "", "actions=output:1")
	run := exec.Command("ovs-ofctl", "add-tlv-map", "unix:"+w.ovs.Rundir+"/ways.mgmt", "{class=0x102,type=0x80,len=4}->tun_metadata0")
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	w.flows(t, "ways", "", wayFlows)
	w.call(t, "tnl/arp/set", "under", "192.0.2.2", "02:00:00:00:22:22")
	w.ports = w.call(t, "dpif/show")
	for deadline := time.Now().Add(10 * time.Second); ; { // OVS hears of the address by itself
		if strings.Contains(w.call(t, "ovs/route/show"), "192.0.2.0/24 dev under") {
			return w
		}
		if time.Now().After(deadline) {
			t.Fatal("OVS does not see the route")
		}
	}
}

// counter counts calls, and may fail them.
type counter struct {
	Caller
	calls int
	fail  func(args []string) error
}

func (c *counter) Call(ctx context.Context, method string, args ...string) (string, error) {
	c.calls++
	if c.fail != nil {
		if err := c.fail(args); err != nil {
			return "", err
		}
	}
	return c.Caller.Call(ctx, method, args...)
}

// resumed reports whether a call asks about a packet that is recirculated.
func resumed(args []string) bool { return !strings.HasPrefix(args[1], "recirc_id(0)") }

// way is a question about a way, and what the answer is.
type way struct {
	name   string
	in     uint32
	change func(*Query)
	tuple  string
	states []flows.ZoneState
	out    string
	leaves func(*flows.Frame) // beside what comes in
	hops   uint8
	to     string // tuple in the end; "": the same
	calls  int
	reason flows.Reason // instead
	detail string
}

func mustTuple(t testing.TB, s string) flows.Tuple {
	tuple, err := flows.ParseTuple(s)
	if err != nil {
		t.Fatal(err)
	}
	return tuple
}

// in is the state of a zone in which a connection is translated, or not: FROM, or FROM TO.
func inZone(t testing.TB, zone flows.Zone, mark uint32, from string, to ...string) flows.ZoneState {
	s := flows.ZoneState{Zone: zone, Tuple: mustTuple(t, from), Reply: mustTuple(t, append(to, from)[0]).Reverse(), Mark: mark}
	return s
}

func ways(t testing.TB) []way {
	out, snat := "tcp,10.0.0.1:40000,10.1.1.2:80", "tcp,192.0.2.1:40000,10.1.1.2:80"
	translated := []flows.ZoneState{inZone(t, 1, 0, out), inZone(t, 2, 0, out, snat)}
	marks, turned := "tcp,10.0.0.1:40000,10.1.2.2:80", "tcp,10.0.0.1:40000,10.1.3.2:80"
	reversed := inZone(t, 2, 0, "tcp,10.1.3.2:80,10.0.0.1:40000")
	dst := func(last byte) func(*flows.Frame) {
		return func(f *flows.Frame) { f.DstMAC[5] = last }
	}
	tunnel := func(t flows.Tunnel) func(*flows.Frame) {
		return func(f *flows.Frame) { f.Tunnel = flows.RefTo(t) }
	}
	under, far := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	arriving := flows.Tunnel{Src: far, Dst: under, ID: 7, Options: "\x01\x02\x80\x01\x00\x02\x00\x01"}
	tagged := flows.Tag{Type: flows.TagCustomer, ID: 7, Priority: 3}
	return []way{
		{name: "source NAT", in: 1, tuple: out, states: translated, out: "wb", leaves: dst(0x77), hops: 1, to: snat, calls: 2},
		{name: "source NAT, back", in: 2, tuple: "tcp,10.1.1.2:80,192.0.2.1:40000", states: translated, out: "wa", leaves: dst(1), hops: 1,
			to: "tcp,10.1.1.2:80,10.0.0.1:40000", calls: 4},
		{name: "a mark in each zone", in: 1, tuple: marks, states: []flows.ZoneState{inZone(t, 2, 2, marks), inZone(t, 1, 1, marks)}, out: "wb", calls: 3},
		{name: "the other way round in one", in: 1, tuple: turned, states: []flows.ZoneState{inZone(t, 1, 0, turned), reversed}, out: "wb", calls: 2},
		{name: "two routers", in: 1, tuple: "tcp,10.0.0.1:1,10.2.0.1:2", out: "wb", hops: 2, calls: 2},
		{name: "a TTL of its own", in: 1, tuple: "tcp,10.0.0.1:1,10.3.0.1:2", calls: 2, reason: flows.UnsupportedRouted, detail: "depends on the TTL"},
		{name: "a TTL that is set", in: 1, tuple: "tcp,10.0.0.1:1,10.4.0.1:2", calls: 2, reason: flows.UnsupportedRouted, detail: "depends on the TTL"},
		{name: "a TTL that is looked at", in: 1, tuple: "tcp,10.0.0.1:1,10.11.0.1:2", out: "wb", calls: 6},
		{name: "a TTL of one hop that matters", in: 1, tuple: "tcp,10.0.0.1:1,10.12.0.1:2", calls: 3, reason: flows.UnsupportedRouted, detail: "does not lower it"},
		{name: "a provider's tag", in: 1, tuple: "tcp,10.0.0.1:1,10.5.0.1:2", out: "wb", calls: 1,
			leaves: func(f *flows.Frame) { f.Tags[0] = flows.Tag{Type: flows.TagProvider, ID: 104} }},
		{name: "a provider's tag outside of a customer's", in: 1, tuple: "tcp,10.0.0.1:1,10.5.0.1:2", out: "wb", calls: 1,
			change: func(q *Query) { q.Tags[0] = tagged },
			leaves: func(f *flows.Frame) { f.Tags = flows.Tags{{Type: flows.TagProvider, ID: 104}, tagged} }},
		{name: "another tag", in: 1, tuple: "tcp,10.0.0.1:1,10.6.0.1:2", states: []flows.ZoneState{inZone(t, 1, 0, "tcp,10.0.0.1:1,10.6.0.1:2")}, out: "wb", calls: 1,
			change: func(q *Query) { q.Tags[0] = tagged }, leaves: func(f *flows.Frame) { f.Tags[0].ID, f.Tags[0].Priority = 8, 0 }},
		{name: "out of a provider's tag", in: 1, tuple: "tcp,10.0.0.1:1,10.10.0.1:2", states: []flows.ZoneState{inZone(t, 1, 5, "tcp,10.0.0.1:1,10.10.0.1:2")}, out: "wb", hops: 1, calls: 2,
			change: func(q *Query) { q.Tags = flows.Tags{{Type: flows.TagProvider, ID: 9}, tagged} }, leaves: func(f *flows.Frame) { f.Tags = flows.Tags{tagged} }},
		{name: "into a tunnel", in: 1, tuple: "tcp,10.0.0.1:1,10.7.0.1:2", out: "gn", hops: 1, calls: 2,
			leaves: tunnel(flows.Tunnel{Src: under, Dst: far, ID: 7, Port: 6083, TTL: 64, Checksum: true, Options: "\x01\x02\x80\x01\x00\x01\x00\x02"})},
		{name: "out of a tunnel", in: 5, tuple: "tcp,10.7.0.1:2,10.0.0.1:1", states: []flows.ZoneState{inZone(t, 1, 0, "tcp,10.0.0.1:1,10.7.0.1:2")}, out: "wb", hops: 1, calls: 2,
			change: func(q *Query) { q.Tunnel = flows.RefTo(arriving) }, leaves: func(f *flows.Frame) { f.Tunnel = flows.Ref[flows.Tunnel]{} }},
		{name: "out of another tunnel", in: 5, tuple: "tcp,10.7.0.1:2,10.0.0.1:1", calls: 1, reason: flows.PathDropped,
			change: func(q *Query) { other := arriving; other.ID = 8; q.Tunnel = flows.RefTo(other) }},
		{name: "what fits", in: 1, tuple: "tcp,10.0.0.1:1,10.8.0.1:2", out: "wb", calls: 1},
		{name: "a tunnel that inherits the TOS", in: 1, tuple: "tcp,10.0.0.1:1,10.9.0.1:2", calls: 1, reason: flows.UnsupportedTunnel, detail: "TOS"},
	}
}

// query is what is asked about a way.
func (y *way) query(t testing.TB, w *world) (Query, megaflow.Connection) {
	q := Query{Bridge: "ways", InPort: y.in, Frame: flows.Frame{SrcMAC: flows.MAC{2, 5: 1}, DstMAC: flows.MAC{2, 5: 2}}, Tuple: mustTuple(t, y.tuple)}
	q.Datapath = at(w.ports, q)
	if y.change != nil {
		y.change(&q)
	}
	return q, megaflow.Connection{Tuple: q.Tuple, States: y.states, MaxFrame: 1400}
}

// compose is what the user of a trace does.
func compose(trace *Trace, q Query, conn megaflow.Connection) (megaflow.Path, error) {
	return megaflow.Compose(megaflow.NewTable(trace.Stages), megaflow.NewPacket(q.Datapath.Port, q.Frame, conn.Tuple), conn)
}

// TestFollow: what OVS does with packets of established connections, with how many
// questions.
func TestFollow(t *testing.T) {
	w := newWays(t)
	names := portNames(w.ports)
	for _, y := range ways(t) {
		t.Run(y.name, func(t *testing.T) {
			q, conn := y.query(t, w)
			caller := &counter{Caller: w}
			trace, err := (&Tracer{Caller: caller}).Follow(t.Context(), q, conn)
			var path megaflow.Path
			if err == nil {
				path, err = compose(trace, q, conn)
			}
			if caller.calls != y.calls {
				t.Errorf("%d calls, want %d", caller.calls, y.calls)
			}
			var refusal *megaflow.Refusal
			if y.reason != "" {
				if !errors.As(err, &refusal) || refusal.Reason != y.reason || !strings.Contains(refusal.Detail, y.detail) {
					t.Errorf("%+v, %v, want %s", path, err, y.reason)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			leaves, to := q.Frame, q.Tuple
			if y.leaves != nil {
				y.leaves(&leaves)
			}
			if y.to != "" {
				to = mustTuple(t, y.to)
			}
			if names[path.Out] != y.out || path.Leaves != leaves || path.Hops != y.hops || path.Tuple != to {
				t.Errorf("out of %s as %+v in %s, %d hops, %s\nwant %s as %+v in %s, %d hops, %s", names[path.Out], path.Leaves, path.Leaves.Tunnel.Value(), path.Hops, path.Tuple,
					y.out, leaves, leaves.Tunnel.Value(), y.hops, to)
			}
			other := q
			other.Tags[0].ID++
			other.Tags[0].Type = flows.TagCustomer
			if path, err := compose(trace, other, conn); !errors.Is(err, megaflow.ErrUnknown) {
				t.Errorf("with another tag: %+v, %v", path, err)
			}
			if trace.Plain && (to != q.Tuple || leaves != q.Frame && y.in == 1 && leaves.Tunnel == q.Tunnel) {
				t.Error("it is called plain")
			}
		})
	}
}

// TestResumedKey: a packet as the datapath would ask about it.
func TestResumedKey(t *testing.T) {
	q := Query{Datapath: &Datapath{"system", 3}, Frame: flows.Frame{SrcMAC: flows.MAC{2, 5: 1}, DstMAC: flows.MAC{2, 5: 2},
		Tags: flows.Tags{{Type: flows.TagProvider, ID: 9}, {Type: flows.TagCustomer, ID: 7, Priority: 3}}}, Tuple: mustTuple(t, "tcp,[fd00::1]:1,[fd00::2]:2")}
	q.Tunnel = flows.RefTo(flows.Tunnel{Src: netip.MustParseAddr("fd00::8"), Dst: netip.MustParseAddr("fd00::9"), ID: 7, Options: "\x01\x02\x80\x01\x00\x02\x00\x01"})
	p := megaflow.NewPacket(3, q.Frame, q.Tuple)
	p.SetUint(megaflow.RecircID, 0x1c)
	p.SetUint(megaflow.CTState, 0x62)
	p.SetUint(megaflow.CTZone, 5)
	p.SetUint(megaflow.CTMark, 6)
	p.SetWide(megaflow.CTLabel, [16]byte{15: 7})
	p.SetWide(megaflow.CTIPSrc, netip.MustParseAddr("fd00::1").As16())
	p.SetWide(megaflow.CTIPDst, netip.MustParseAddr("fd00::3").As16())
	p.SetUint(megaflow.CTTPSrc, 1)
	p.SetUint(megaflow.CTTPDst, 4)
	p.Hops = 2
	q.from = &p
	want := "recirc_id(0x1c),tunnel(tun_id=0x7,ipv6_src=fd00::8,ipv6_dst=fd00::9,tos=0,ttl=64,geneve({class=0x102,type=0x80,len=4,0x00020001}),flags(csum|key)),in_port(3)," +
		"eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x88a8),vlan(vid=9,pcp=0),encap(eth_type(0x8100),vlan(vid=7,pcp=3),encap(" +
		"eth_type(0x86dd),ipv6(src=fd00::1,dst=fd00::2,label=0,proto=6,tclass=0,hlimit=62,frag=no),tcp(src=1,dst=2),tcp_flags(ack)))," +
		"ct_state(0x62),ct_zone(5),ct_mark(0x6),ct_label(0x00000000000000000000000000000007),ct_tuple6(src=fd00::1,dst=fd00::3,proto=6,tp_src=1,tp_dst=4)"
	if got := q.key(); got != want {
		t.Errorf("\n%s\n%s", got, want)
	}
	p.SetUint(megaflow.CTState, 0)
	if got := q.key(); strings.Contains(got, "ct_") {
		t.Errorf("untracked: %s", got)
	}
}

// TestForgotten: a recirculation that OVS does not know any more.
func TestForgotten(t *testing.T) {
	w := newWays(t)
	y := ways(t)[1]
	q, conn := y.query(t, w)
	failures := 1
	caller := &counter{Caller: w, fail: func(args []string) error {
		if failures > 0 && resumed(args) {
			failures--
			return errors.New("no recirculation data for recirc_id 0x7")
		}
		return nil
	}}
	if trace, err := (&Tracer{Caller: caller}).Follow(t.Context(), q, conn); err != nil || len(trace.Stages) != 3 || caller.calls != y.calls+2 {
		t.Errorf("%v after %d calls", err, caller.calls)
	}
	failures = 100
	if _, err := (&Tracer{Caller: caller}).Follow(t.Context(), q, conn); !errors.Is(err, errForgotten) || failures != 100-maxTries {
		t.Errorf("%v, %d left", err, failures)
	}
}

// TestFollowWithoutDatapath: where OVS cannot be asked again, the flows do not tell.
func TestFollowWithoutDatapath(t *testing.T) {
	w := newWays(t)
	y := ways(t)[2]
	q, conn := y.query(t, w)
	q.Datapath = nil
	trace, err := (&Tracer{Caller: w}).Follow(t.Context(), q, conn)
	if err != nil {
		t.Fatal(err)
	}
	p := megaflow.NewPacket(q.InPort, q.Frame, q.Tuple)
	if path, err := megaflow.Compose(megaflow.NewTable(trace.Stages), p, conn); !errors.Is(err, megaflow.ErrUnknown) {
		t.Errorf("%+v, %v", path, err)
	}
}
