package flower_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/eswitchtest"
	"github.com/flowshunt/flowshunt/pkg/eswitch/flower"
	"github.com/flowshunt/flowshunt/pkg/tc/tctest"
)

// tunnelNode is one end of a tunnel: a port p0 to which q0 leads, and the device tun0
// over the underlay u0.
type tunnelNode struct {
	*host
	rig  *eswitchtest.Rig // from p0 to tun0
	e    *eswitch.Eswitch
	wire *wire
}

func newTunnelNode(t *testing.T, kind, underlay string) *tunnelNode {
	t.Helper()
	n := &tunnelNode{host: newHost(t)}
	tctest.Run(t, fmt.Sprintf("ip link set u0 netns %d", n.tid))
	n.do(func() {
		tctest.Run(t, "ip link set lo up")
		tctest.Veth(t, "p0", "q0")
		tctest.Run(t, "ip addr add "+underlay+" dev u0")
		tctest.Run(t, "ip link set u0 up")
		tctest.Run(t, "ip link add tun0 type "+kind)
		tctest.Run(t, "ip link set tun0 up")
		d, err := flower.Open(flower.Config{})
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { d.Close() })
		n.rig = &eswitchtest.Rig{Driver: d, A: tctest.Index(t, "p0"), B: tctest.Index(t, "tun0")}
		n.e = eswitch.New(d, eswitch.Config{})
		for _, link := range []int32{n.rig.A, n.rig.B} {
			if err := n.e.PreparePort(t.Context(), link); err != nil {
				t.Error(err)
			}
		}
		n.wire = openWire(t, "q0")
	})
	if n.wire == nil {
		t.FailNow()
	}
	return n
}

// TestTunnels sends packets from port to port of two nodes through a tunnel that only
// rules fill and empty.
func TestTunnels(t *testing.T) {
	tctest.NeedFlower(t)
	options := "\x01\x02\x80\x01\x00\x03\x00\x04\x01\x03\x01\x02\x00\x00\x00\x05\x00\x00\x00\x06"
	v4 := [2]string{"198.51.100.1", "198.51.100.2"}
	v6 := [2]string{"2001:db8:f::1", "2001:db8:f::2"}
	for _, tt := range []struct {
		name, kind string
		ends       [2]string
		tunnel     flows.Tunnel
		inner      eswitchtest.Shape
	}{
		{"Geneve", "geneve external dstport 6081", v4, flows.Tunnel{ID: 0x123456, Port: 6081, Options: options, TOS: 0x28, TTL: 63},
			eswitchtest.Shape{Proto: flows.TCP, Hops: 1}},
		{"Geneve over IPv6", "geneve external dstport 6081", v6, flows.Tunnel{ID: 7, Options: options, TTL: 64, Checksum: true},
			eswitchtest.Shape{Proto: flows.UDP, V6: true, Hops: 1}},
		{"VXLAN", "vxlan external dstport 4789", v4, flows.Tunnel{ID: 7, TTL: 64},
			eswitchtest.Shape{Proto: flows.UDP, Hops: 2}},
		{"VXLAN, switched", "vxlan external dstport 4789", v4, flows.Tunnel{ID: 7, TTL: 64, MayBreak: true},
			eswitchtest.Shape{Proto: flows.ESP}},
		{"a tag inside", "geneve external dstport 6081", v4, flows.Tunnel{ID: 7, TTL: 64},
			eswitchtest.Shape{Proto: flows.TCP, A: flows.Tags{{Type: flows.TagCustomer, ID: 5}}, B: flows.Tags{{Type: flows.TagCustomer, ID: 6}}, Hops: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tctest.Namespace(t)
			bits := map[bool]string{true: "/24", false: "/64 nodad"}[tt.ends == v4]
			tctest.Run(t, "ip link add u0 type veth peer name u1")
			near := newTunnelNode(t, tt.kind, tt.ends[0]+bits)
			tctest.Run(t, "ip link set u1 name u0")
			far := newTunnelNode(t, tt.kind, tt.ends[1]+bits)

			tt.inner.Tunnel = tt.tunnel
			tt.inner.Tunnel.Src, tt.inner.Tunnel.Dst = netip.MustParseAddr(tt.ends[0]), netip.MustParseAddr(tt.ends[1])
			session := near.rig.Shaped(1, tt.inner)
			opposite := mirrored(session, far.rig, tt.inner.Hops)
			for n, s := range map[*tunnelNode]flows.Session{near: session, far: opposite} {
				if res := n.e.Install(t.Context(), []flows.Session{s}); res[0].Err != nil {
					t.Fatal(res[0].Err)
				}
				counted(t, n.e, 0, 0)
			}
			var underlay *wire
			far.do(func() { underlay = openWire(t, "u0") })
			through(t, near.wire, far.wire, session.Rules[0], opposite.Rules[0])
			if tt.ends == v4 {
				checkOuter(t, underlay, tt.inner.Tunnel)
			}
			through(t, far.wire, near.wire, opposite.Rules[1], session.Rules[1])
			counted(t, near.e, 3, 2)
			counted(t, far.e, 2, 3)
		})
	}
}

// through sends packets past a rule of one node and that of the other. One of them has
// so many hops left that only the first node takes it.
func through(t *testing.T, from, to *wire, first, second flows.Rule) {
	t.Helper()
	hops := first.Change.Value().Hops
	last := flows.Path{Frame: second.Frame, Change: second.Change}
	send := []byte{64, flows.MaxHops + 1, 65}
	if hops == 0 { // nothing stops it
		send = []byte{64, 65}
	}
	for _, ttl := range send {
		from.send(packet(first.Frame, first.Tuple, ttl, 0x10))
	}
	for _, ttl := range []byte{64, 65} {
		to.expect("through the tunnel", packet(last.Leaves(), last.Addressed(second.Tuple), ttl-2*hops, 0x10))
	}
}

func counted(t *testing.T, e *eswitch.Eswitch, there, back uint64) {
	t.Helper()
	c, lost, err := e.Counters(t.Context())
	if err != nil || len(lost) > 0 || len(c) != 1 {
		t.Fatalf("counters %+v, lost %v, %v", c, lost, err)
	}
	if got := c[0].Count; there > 0 && (got[0].Packets < 2 || got[0].Packets > there || got[1].Packets < 2 || got[1].Packets > back) {
		t.Errorf("counters %+v, want about %d and %d packets", got, there, back)
	}
}

// mirrored returns what the node at the other end of the tunnel does with the packets
// of a session.
func mirrored(s flows.Session, far *eswitchtest.Rig, hops uint8) flows.Session {
	there, back := s.Rules[0], s.Rules[1]
	leaves := there.Change.Value().Frame
	out := leaves.Tunnel.Value()
	arrives := flows.Frame{SrcMAC: leaves.SrcMAC, DstMAC: leaves.DstMAC, Tags: leaves.Tags}
	inner := arrives
	arrives.Tunnel = flows.RefTo(flows.Tunnel{Src: out.Src, Dst: out.Dst, ID: out.ID, Port: out.Port, Options: out.Options})
	reply := flows.Frame{SrcMAC: inner.DstMAC, DstMAC: inner.SrcMAC, Tags: inner.Tags}
	sent := reply
	answer := out
	answer.Src, answer.Dst = out.Dst, out.Src
	sent.Tunnel = flows.RefTo(answer)
	return flows.Session{ID: s.ID, Rules: []flows.Rule{
		{Dir: flows.Orig, In: far.B, Out: far.A, Frame: arrives, Tuple: addressed(there), Change: flows.ChangeTo(arrives, inner, hops, flows.Tuple{})},
		{Dir: flows.Reply, In: far.A, Out: far.B, Frame: reply, Tuple: back.Tuple, Change: flows.ChangeTo(reply, sent, hops, flows.Tuple{})},
	}}
}

// checkOuter looks at the outer header of the first packet on the underlay.
func checkOuter(t *testing.T, underlay *wire, want flows.Tunnel) {
	t.Helper()
	buf := make([]byte, 2048)
	for {
		n, err := unix.Read(underlay.fd, buf)
		if err != nil {
			t.Fatalf("nothing on the underlay: %v", err)
		}
		if b := buf[14:n]; buf[12] == 8 && buf[13] == 0 && b[9] == 17 {
			if b[8] != want.TTL || b[1]&^3 != want.TOS {
				t.Errorf("outer TTL %d and TOS %#x, want %d and %#x", b[8], b[1], want.TTL, want.TOS)
			}
			if !bytes.Contains(b, []byte(want.Options)) {
				t.Errorf("no options in % x", b)
			}
			t.Logf("DF %t", b[6]&0x40 != 0)
			return
		}
	}
}
