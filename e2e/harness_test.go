package e2e

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// The harness itself, without an agent: two rules made by the tc command take
// a download away from OVS and conntrack, as those of an agent will.
func TestHarnessElephantByHand(t *testing.T) {
	slowly(t)
	for name, pair := range map[string]func(testing.TB) *harness.Pair{"switch": harness.SwitchedPair, "wire": harness.WiredPair} {
		t.Run(name, func(t *testing.T) { elephantByHand(t, pair(t)) })
	}
}

func elephantByHand(t *testing.T, w *harness.Pair) {
	const sport = "40000"
	filter := []string{"-p", "tcp", "--orig-port-src", sport}
	w.B.Iperf3Server(t)
	iperf := w.A.Iperf3(t, w.B.IP4, 40000, "-t", "10", "-R")
	harness.Within(t, 20*time.Second, "10 MB in the slow path", func() error {
		entries, err := w.Conntrack(filter...)
		if err == nil && (len(entries) != 1 || entries[0].Bytes() < 10e6) {
			err = fmt.Errorf("entries: %+v", entries)
		}
		return err
	})
	e := w.Entry(filter...)
	if e.Zone != w.Zone || e.State != "ESTABLISHED" || !e.Has("ASSURED") {
		t.Errorf("entry %+v, want ESTABLISHED, ASSURED, zone %d", e, w.Zone)
	}

	redirect(w, w.A, w.B, sport, "5201")
	redirect(w, w.B, w.A, "5201", sport)
	// a packet may have been under way while the rules came
	before := w.Entry(filter...).Packets() + 3
	slow := w.SlowPathPackets(w.A)
	start := moved(w)
	harness.Within(t, 20*time.Second, "50 MB moved by the rules", func() error {
		if n := moved(w) - start; n < 50e6 {
			return fmt.Errorf("%d bytes", n)
		}
		return nil
	})
	if now := w.Entry(filter...).Packets(); now > before {
		t.Errorf("conntrack counted %d packets more than 3 while the rules moved %d bytes", now-before, moved(w)-start)
	}
	t.Logf("%d bytes moved; slow-path packets of vm1: %d then, %d now", moved(w)-start, slow, w.SlowPathPackets(w.A))
	if r := harness.Iperf3Result(t, iperf, 30*time.Second); r.ReceivedBytes < 50e6 {
		t.Errorf("iperf3 received %d bytes", r.ReceivedBytes)
	}
	harness.Within(t, 10*time.Second, "the connection closed", func() error {
		entries, err := w.Conntrack(filter...)
		if err == nil && len(entries) == 1 && entries[0].State == "ESTABLISHED" {
			err = errors.New("still ESTABLISHED: FIN and RST did not take the slow path")
		}
		return err
	})
	for _, vm := range []*harness.VM{w.A, w.B} {
		w.Run(t, "tc", "qdisc", "del", "dev", vm.Rep, "clsact")
	}
	if rules := w.Rules(); len(rules) != 0 {
		t.Errorf("rules left: %v", rules)
	}
}

// redirect makes the rule for one direction as an agent should make it.
func redirect(w *harness.Pair, from, to *harness.VM, sport, dport string) {
	w.T.Helper()
	w.Run(w.T, "tc", "qdisc", "add", "dev", from.Rep, "clsact")
	w.Run(w.T, strings.Fields(fmt.Sprintf("tc filter add dev %s ingress prio 100 protocol ip flower %s src_mac %s dst_mac %s"+
		" ip_proto tcp ip_flags nofrag src_ip %s dst_ip %s src_port %s dst_port %s tcp_flags 0x0/0x7"+
		" action mirred egress redirect dev %s cookie aabbccddeeff001122334455",
		from.Rep, skip(w.World), from.MAC, to.MAC, from.IP4, to.IP4, sport, dport, to.Rep))...)
}

func moved(w *harness.Pair) (bytes uint64) {
	for _, r := range w.Rules() {
		bytes += r.Bytes()
	}
	return bytes
}

// The traffic program: data in both directions with the same checksums, FIN,
// RST and UDP, over IPv4 and IPv6.
func TestHarnessTraffic(t *testing.T) {
	w := harness.SwitchedPair(t)
	tcp, udp := w.B.Listen(t, "tcp", 9000, false), w.B.Listen(t, "udp", 9000, true)
	for i, v6 := range []bool{false, true} {
		conn := i + 1
		c := w.A.Dial(t, "tcp", netip.AddrPortFrom(w.B.Addr(v6), 9000), 41000, 2)
		first := tcp.Conn(netip.AddrPortFrom(w.A.Addr(v6), 41000))
		second := tcp.Conn(netip.AddrPortFrom(w.A.Addr(v6), 41001))
		c.Do(1, "send 3000000")
		c.Event(20*time.Second, 1, "sent")
		c.Do(1, "fin")
		got, sent := tcp.Event(20*time.Second, first, "eof"), c.Report(1)
		if got.Received != 3e6 || got.RecvCRC != sent.SentCRC {
			t.Errorf("tcp: sent %+v, received %+v", sent, got)
		}
		tcp.Do(first, "send 1000")
		tcp.Do(first, "close")
		if eof := c.Event(20*time.Second, 1, "eof"); eof.Received > 1000 {
			t.Errorf("tcp: %+v", eof)
		}
		c.Do(2, "rst")
		tcp.Event(20*time.Second, second, "reset")

		u := w.A.Dial(t, "udp", netip.AddrPortFrom(w.B.Addr(v6), 9000), 42000, 1)
		u.Do(1, "send 60000 60000")
		u.Event(20*time.Second, 1, "sent")
		if r := udp.Report(conn); r.Received == 0 {
			t.Errorf("udp: %+v", r)
		}
		harness.Within(t, 10*time.Second, "UDP echoed", func() error {
			if r := u.Report(1); r.Received != 60000 {
				return fmt.Errorf("%+v", r)
			}
			return nil
		})
	}
}

// A mouse: what curl gets is what the server has.
func TestHarnessMouse(t *testing.T) {
	w := harness.WiredPair(t)
	dir := t.TempDir()
	page := strings.Repeat("cheese\n", 100)
	if err := os.WriteFile(filepath.Join(dir, "page"), []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	w.B.HTTPServer(t, 80, dir)
	for _, v6 := range []bool{false, true} {
		url := "http://" + netip.AddrPortFrom(w.B.Addr(v6), 80).String() + "/page"
		if got := w.A.Curl(t, url); got != page {
			t.Errorf("%s: %q", url, got)
		}
	}
	entries, err := w.Conntrack("-p", "tcp", "--orig-port-dst", "80", "--zone", fmt.Sprint(w.Zone))
	if err != nil || len(entries) != 2 {
		t.Errorf("conntrack: %+v, %v; want one entry for each family", entries, err)
	}
}
