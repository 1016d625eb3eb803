package path

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/datapath"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
	"github.com/flowshunt/flowshunt/pkg/ofproto"
	"github.com/flowshunt/flowshunt/pkg/tap"
	"github.com/flowshunt/flowshunt/pkg/unixctl"
	"github.com/flowshunt/flowshunt/pkg/unixctl/ovstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is an Open vSwitch with the userspace datapath in a network namespace of
// its own, and stations behind its ports in namespaces of theirs.
type node struct {
	t     *testing.T
	ovs   *ovstest.OVS
	home  netns.NsHandle
	ports []Port
}

// station is a UDP socket behind a port.
type station struct {
	mac  flows.MAC
	addr netip.AddrPort
	conn *net.UDPConn
}

func newNode(t *testing.T) *node {
	t.Helper()
	ovs, home := ovstest.StartAlone(t)
	n := &node{t: t, home: home, ovs: ovs}
	n.ovs.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
	return n
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// attach adds port number i, tagged if tag is not 0, and the station behind it.
func (n *node) attach(i int, tag uint16) *station {
	n.t.Helper()
	s := &station{mac: flows.MAC{2, 0, 0, 0, 0, byte(i)}, addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 4000)}
	name := fmt.Sprintf("p%d", i)
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "eth0"}
	must(n.t, netlink.LinkAdd(pair))
	port, err := netlink.LinkByName(name)
	must(n.t, err)
	must(n.t, netlink.LinkSetUp(port))
	n.behind(s)
	add := []string{"add-port", "br0", name}
	if tag != 0 {
		add = append(add, fmt.Sprintf("tag=%d", tag))
	}
	n.ovs.Vsctl(add...)
	ofport, err := strconv.ParseUint(n.ovs.Vsctl("get", "Interface", name, "ofport"), 10, 32)
	must(n.t, err)
	n.ports = append(n.ports, Port{ID: flows.PortID(i), Name: name, Bridge: "br0", Ofport: uint32(ofport),
		Ifindex: int32(port.Attrs().Index), Tag: tag, Up: true, MTU: 1500})
	return s
}

// behind moves the other end of a new port into a namespace and opens a socket
// there, whose packets carry no checksum: the datapath would not complete it.
func (n *node) behind(s *station) {
	n.t.Helper()
	far, err := netlink.LinkByName("eth0")
	must(n.t, err)
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		failed <- func() error {
			ns, err := netns.New()
			if err != nil {
				return err
			}
			n.t.Cleanup(func() { ns.Close() })
			there, err := netlink.NewHandleAt(ns)
			if err != nil {
				return err
			}
			defer there.Close()
			here, err := netlink.NewHandleAt(n.home)
			if err != nil {
				return err
			}
			defer here.Close()
			if err := here.LinkSetNsFd(far, int(ns)); err != nil {
				return err
			}
			if far, err = there.LinkByName("eth0"); err != nil {
				return err
			}
			if err := there.LinkSetHardwareAddr(far, s.mac[:]); err != nil {
				return err
			}
			if err := there.AddrAdd(far, &netlink.Addr{IPNet: &net.IPNet{IP: s.addr.Addr().AsSlice(), Mask: net.CIDRMask(24, 32)}}); err != nil {
				return err
			}
			if err := there.LinkSetUp(far); err != nil {
				return err
			}
			s.conn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(s.addr))
			return err
		}()
	}()
	must(n.t, <-failed)
	n.t.Cleanup(func() { s.conn.Close() })
	raw, err := s.conn.SyscallConn()
	must(n.t, err)
	must(n.t, raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, 1) }))
}

// talk sends a datagram from s to a peer until it arrives.
func (s *station) talk(t *testing.T, peer *station) {
	t.Helper()
	buffer := make([]byte, 100)
	for range 100 {
		_, err := s.conn.WriteToUDPAddrPort([]byte("hello"), peer.addr)
		must(t, err)
		must(t, peer.conn.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
		if _, from, err := peer.conn.ReadFromUDPAddrPort(buffer); err == nil && from == s.addr {
			return
		}
	}
	t.Fatalf("nothing from %s arrived at %s", s.addr, peer.addr)
}

// userspace is a datapath of which nothing but the port numbers is read: OVS's userspace
// datapath is none that package datapath could read.
type userspace struct{ client *unixctl.Client }

// Ports implements Datapath.
func (u userspace) Ports(ctx context.Context) ([]datapath.Port, error) {
	text, err := u.client.Call(ctx, "dpctl/show")
	if err != nil {
		return nil, err
	}
	var ports []datapath.Port
	for line := range strings.Lines(text) {
		var p datapath.Port
		if n, _ := fmt.Sscanf(strings.TrimSpace(line), "port %d: %s", &p.Number, &p.Name); n == 2 {
			ports = append(ports, p)
		}
	}
	return ports, nil
}

// Flows implements Datapath.
func (userspace) Flows(context.Context) ([]megaflow.Flow, error) { return nil, nil }

// tracked lets a bridge switch by MAC and track in a zone; what a port number is
// blocked sends, it drops.
func tracked(zone int, blocked ...int) []string {
	list := []string{
		"priority=0,actions=NORMAL",
		fmt.Sprintf("priority=10,ip,actions=ct(table=1,zone=%d)", zone),
		"table=1,priority=0,actions=NORMAL",
	}
	for _, port := range blocked {
		list = append(list, fmt.Sprintf("priority=20,in_port=%d,actions=drop", port))
	}
	return list
}

// The whole chain on real packets and a real OVS: a connection that nothing is
// known of is refused, which switches sampling on; its packets are seen; OVS confirms
// where it sends them; sampling ends. Then OVS changes its mind.
func TestRealOVS(t *testing.T) {
	for _, tag := range []uint16{0, 10} {
		t.Run(fmt.Sprintf("tag %d", tag), func(t *testing.T) { realOVS(t, tag) })
	}
}

func realOVS(t *testing.T, tag uint16) {
	n := newNode(t)
	a, b, other := n.attach(1, tag), n.attach(2, tag), n.attach(3, tag)
	n.ovs.Flows("br0", tracked(5)...)
	start := time.Now()
	clock := func() flows.Instant { return flows.Instant(time.Since(start)) }
	selected, err := ParseSelection("p*")
	must(t, err)
	found := make(chan flows.Tuple, 100)
	client := &unixctl.Client{Rundir: n.ovs.Rundir}
	judge := NewJudge(JudgeConfig{Datapath: userspace{client}, Tracer: &tracer{Tracer: &ofproto.Tracer{Caller: client}}})
	r := NewResolver(Config{Judge: judge, Selected: selected, Found: func(o flows.Tuple) { found <- o }})
	ports := NewPorts(n.ports)
	judge.SetPorts(ports)
	r.SetPorts(ports)
	taps := tap.New(tap.Config{Now: clock, Sighted: r.Sighted})
	t.Cleanup(taps.Close)
	sample := func(at flows.Instant) (sampled int) {
		t.Helper()
		on := r.Sampling(at)
		var set []tap.Port
		for _, p := range n.ports {
			want := tap.Port{ID: p.ID, Ifindex: p.Ifindex}
			for _, o := range on {
				if o.ID == p.ID {
					want.Sample = 1
				}
			}
			set = append(set, want)
		}
		must(t, taps.Set(set))
		return len(on)
	}
	if sample(clock()) != 0 {
		t.Error("sampling, although nothing is wanted")
	}
	a.talk(t, b)
	b.talk(t, a)

	tuple := flows.Tuple{Src: a.addr.Addr(), Dst: b.addr.Addr(), SrcPort: a.addr.Port(), DstPort: b.addr.Port(), Proto: flows.UDP}
	states := standing(tuple, 5)
	req := Request{Key: flows.EntryKey{Zone: 5, Tuple: tuple}, Reply: tuple.Reverse(), States: states}
	if got, err := r.Resolve(t.Context(), req, clock()); reasonOf(err) != flows.PathUnknown {
		t.Fatalf("before a packet was seen: %+v, %v", got, err)
	}
	if got := sample(clock()); got != 3 {
		t.Errorf("%d ports are sampled, want 3", got)
	}
	a.talk(t, b)
	b.talk(t, a)
	other.talk(t, b)
	for range 2 {
		select {
		case o := <-found:
			if o != tuple {
				t.Errorf("found %s", o)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("the packets were not found within 5 s")
		}
	}
	answer, err := r.Resolve(t.Context(), req, clock())
	if err != nil || answer.Paths != paths(1, 2, a.mac, b.mac) || !slices.Equal(zonesOf(answer.Stands), []flows.Zone{5}) || !answer.Plain {
		t.Fatalf("%+v, %v", answer, err)
	}
	if sample(clock().Add(wantedAge)) != 0 {
		t.Error("sampling goes on")
	}
	validate := func(what string, want flows.Reason) {
		t.Helper()
		judge.Doubt(clock())
		got, err := r.Validate(t.Context(), Validation{Tuples: answer.Tuples, Paths: answer.Paths, States: states}, clock())
		if reasonOf(err) != want || err == nil && got.Paths != answer.Paths || err != nil && want == "" {
			t.Errorf("%s: %+v, %v, want %q", what, got, err, want)
		}
	}
	validate("nothing has changed", "")
	n.ovs.Flows("br0", tracked(5, int(n.ports[1].Ofport))...)
	validate("replies are dropped", flows.PathDropped)
	n.ovs.Flows("br0", tracked(6)...)
	validate("tracked in a zone where it is not established", flows.ZoneUnknown)
	n.ovs.Flows("br0", tracked(5)...)
	validate("as it was", "")
	// OVS is told that b is elsewhere, as if it had moved.
	_, err = client.Call(t.Context(), "fdb/add", "br0", "p3", strconv.Itoa(int(tag)), b.mac.String())
	must(t, err)
	validate("the peer has moved", flows.PathChanged)
	if got, err := r.Resolve(t.Context(), req, clock()); reasonOf(err) == "" {
		t.Errorf("after the move: %+v", got)
	}
}

// One trace answers for all connections that OVS treats alike, until something changes.
func TestTracesAreShared(t *testing.T) {
	n := newNode(t)
	a, b := n.attach(1, 0), n.attach(2, 0)
	n.ovs.Flows("br0", tracked(5)...)
	a.talk(t, b)
	b.talk(t, a)
	client := &unixctl.Client{Rundir: n.ovs.Rundir}
	calls := &tracer{Tracer: &ofproto.Tracer{Caller: client}}
	judge := NewJudge(JudgeConfig{Datapath: userspace{client}, Tracer: calls})
	ports := NewPorts(n.ports)
	judge.SetPorts(ports)
	ask := func() {
		t.Helper()
		for i := range 100 {
			p := ports.byID[1]
			tuple := flows.Tuple{Src: a.addr.Addr(), Dst: b.addr.Addr(), SrcPort: uint16(1000 + i), DstPort: 80, Proto: flows.TCP}
			got, err := judge.Forward(t.Context(), Question{In: p, Frame: between(a.mac, b.mac), Tuple: tuple, States: standing(tuple, 5)}, now)
			if err != nil || got.Out != 2 {
				t.Fatalf("%+v, %v", got, err)
			}
		}
	}
	ask()
	if calls.n != 1 {
		t.Errorf("100 connections took %d traces, want 1", calls.n)
	}
	judge.Doubt(now)
	ask()
	if calls.n != 2 {
		t.Errorf("after a doubt there were %d traces, want 2", calls.n)
	}
	n.ovs.Flows("br0", append(tracked(5), "priority=30,tcp,tp_src=1007,actions=drop")...)
	judge.Doubt(now)
	tuple := flows.Tuple{Src: a.addr.Addr(), Dst: b.addr.Addr(), SrcPort: 1000, DstPort: 80, Proto: flows.TCP}
	q := Question{In: ports.byID[1], Frame: between(a.mac, b.mac), Tuple: tuple, States: standing(tuple, 5)}
	if _, err := judge.Forward(t.Context(), q, now); err != nil {
		t.Error(err)
	}
	q.Tuple.SrcPort = 1007
	q.States = standing(q.Tuple, 5)
	if got, err := judge.Forward(t.Context(), q, now); reasonOf(err) != flows.PathDropped {
		t.Errorf("one that is dropped: %+v, %v", got, err)
	}
}

// tracer counts traces, and asks the userspace datapath, on which nothing of a real
// agent is offloaded.
type tracer struct {
	Tracer
	n int
}

// Follow implements Tracer.
func (c *tracer) Follow(ctx context.Context, q ofproto.Query, conn megaflow.Connection) (*ofproto.Trace, error) {
	c.n++
	q.Datapath.Type = "netdev"
	return c.Tracer.Follow(ctx, q, conn)
}
