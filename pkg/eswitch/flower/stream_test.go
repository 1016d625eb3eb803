package flower_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch/eswitchtest"
	"github.com/flowshunt/flowshunt/pkg/eswitch/flower"
	"github.com/flowshunt/flowshunt/pkg/tc/tctest"
)

// host is a network namespace with a thread in it.
type host struct {
	tid   int
	calls chan func()
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{calls: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread()
		h.tid = unix.Gettid()
		ready <- unix.Unshare(unix.CLONE_NEWNET)
		for fn := range h.calls {
			fn()
		}
	}()
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(h.calls) })
	return h
}

// do calls fn in the namespace. Sockets that it makes stay there.
func (h *host) do(fn func()) {
	done := make(chan struct{})
	h.calls <- func() { defer close(done); fn() }
	<-done
}

// move takes a device over, with an address, and a neighbour by which it reaches far.
func (h *host) move(t *testing.T, dev string, mac flows.MAC, addr, far string, neighbour flows.MAC) {
	t.Helper()
	tctest.Run(t, fmt.Sprintf("ip link set %s netns %d", dev, h.tid))
	h.do(func() {
		tctest.Run(t, fmt.Sprintf("ip link set %s address %s up", dev, mac))
		nodad := ""
		if strings.Contains(addr, ":") {
			nodad = " nodad"
		}
		tctest.Run(t, "ip addr add "+addr+" dev "+dev+nodad)
		tctest.Run(t, "ip route add "+far+" dev "+dev)
		tctest.Run(t, fmt.Sprintf("ip neigh add %s lladdr %s dev %s", far, neighbour, dev))
	})
}

// badChecksums returns how many TCP segments the host has thrown away for them.
func (h *host) badChecksums(t *testing.T) (n string) {
	t.Helper()
	h.do(func() {
		b, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/net/snmp", h.tid))
		if err != nil {
			t.Error(err)
		}
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); f[0] == "Tcp:" {
				n = f[len(f)-1]
			}
		}
	})
	return n
}

// TestStream sends megabytes there and back through rules that rewrite, in segments as
// large as the kernel makes them, to receivers that check every checksum: the ports in
// between segment in software. What opens the connection takes filters of tc that do the
// same.
func TestStream(t *testing.T) {
	tctest.NeedFlower(t)
	for name, shape := range map[string]eswitchtest.Shape{
		"NAT":              {Proto: flows.TCP, Hops: 1, NAT: translate},
		"routed":           {Proto: flows.TCP, Hops: 2},
		"routed over IPv6": {Proto: flows.TCP, V6: true, Hops: 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := rig(t, flower.Config{})
			e := prepared(t, r)
			session := r.Shaped(1, shape)
			there, back := session.Rules[0], session.Rules[1]
			to := there.Change.Value()
			to.Tuple = addressed(there)
			a, b := newHost(t), newHost(t)
			bits := map[bool]string{false: "/32", true: "/128"}[shape.V6]
			a.move(t, "q0", there.SrcMAC, there.Tuple.Src.String()+bits, there.Tuple.Dst.String(), there.DstMAC)
			b.move(t, "q1", to.DstMAC, to.Tuple.Dst.String()+bits, to.Tuple.Src.String(), to.SrcMAC)
			for _, dev := range []string{"p0", "p1"} { // they pass on what a cable would carry
				tctest.Run(t, "ethtool -K "+dev+" tso off gso off tx off")
				tctest.Run(t, "ip link set "+dev+" up")
			}
			slowPath(t, "p0", there, "p1")
			slowPath(t, "p1", back, "p0")
			// No rule may be met before the handshake is over: it takes the last ACK.
			got := make(chan int64, 1)
			listener := listen(t, b, to.Tuple)
			conn := connect(t, a, there.Tuple)
			peer, err := listener.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if res := e.Install(t.Context(), []flows.Session{session}); res[0].Err != nil {
				t.Fatal(res[0].Err)
			}
			const size = 8 << 20
			go func() {
				n, _ := io.Copy(peer, io.LimitReader(peer, size)) // there and back again
				got <- n
			}()
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			go func() { _, _ = conn.Write(make([]byte, size)) }()
			n, err := io.Copy(io.Discard, io.LimitReader(conn, size))
			if n != size {
				t.Errorf("%d of %d bytes came back, %v", n, size, err)
			}
			_ = conn.Close()
			_ = peer.Close()
			<-got
			for _, h := range []*host{a, b} {
				if bad := h.badChecksums(t); bad != "0" {
					t.Errorf("%s segments with a wrong checksum", bad)
				}
			}
			c, _, err := e.Counters(t.Context())
			if err != nil || len(c) != 1 || c[0].Count[0].Bytes < size || c[0].Count[1].Bytes < size {
				t.Errorf("counters %+v, %v", c, err)
			} else {
				t.Logf("%+v", c[0].Count)
			}
		})
	}
}

// translate changes all that NAT can.
func translate(t flows.Tuple) flows.Tuple {
	t.Src, t.Dst = netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("203.0.113.2")
	t.SrcPort, t.DstPort = 1024, 80
	return t
}

func addressed(r flows.Rule) flows.Tuple { return flows.Path{Change: r.Change}.Addressed(r.Tuple) }

// slowPath makes tc do with every packet of one direction what a rule does.
func slowPath(t *testing.T, dev string, r flows.Rule, out string) {
	t.Helper()
	c := r.Change.Value()
	c.Tuple = addressed(r)
	ip, protocol, hops, sums := "ip", "ip", "ttl", "ip4h and tcp"
	if r.Tuple.IsIPv6() {
		ip, protocol, hops, sums = "ip6", "ipv6", "hoplimit", "tcp"
	}
	tctest.Run(t, fmt.Sprintf("tc filter add dev %s ingress pref 40000 protocol %s flower skip_hw ip_proto tcp dst_ip %s action pedit ex "+
		"munge eth src set %s munge eth dst set %s munge %s src set %s munge %s dst set %s munge %s %s add %d munge tcp sport set %d munge tcp dport set %d "+
		"pipe action csum %s pipe action mirred egress redirect dev %s", dev, protocol, r.Tuple.Dst, c.SrcMAC, c.DstMAC,
		ip, c.Tuple.Src, ip, c.Tuple.Dst, ip, hops, 256-int(c.Hops), c.Tuple.SrcPort, c.Tuple.DstPort, sums, out))
}

func listen(t *testing.T, h *host, to flows.Tuple) (l net.Listener) {
	t.Helper()
	var err error
	h.do(func() {
		l, err = net.ListenTCP("tcp", &net.TCPAddr{IP: to.Dst.AsSlice(), Port: int(to.DstPort)})
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func connect(t *testing.T, h *host, by flows.Tuple) (c net.Conn) {
	t.Helper()
	var err error
	h.do(func() {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: by.Src.AsSlice(), Port: int(by.SrcPort)}, Timeout: 20 * time.Second}
		c, err = d.DialContext(t.Context(), "tcp", net.JoinHostPort(by.Dst.String(), fmt.Sprint(by.DstPort)))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
