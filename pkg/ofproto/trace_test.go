package ofproto

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
	"github.com/flowshunt/flowshunt/pkg/unixctl"
)

var update = flag.Bool("update", false, "write what OVS answers to testdata")

// ask is a TCP packet from port 1 of br0 to dst, port 80.
func ask(dst string) Query {
	return Query{
		Bridge: "br0", InPort: 1, Frame: flows.Frame{SrcMAC: flows.MAC{2, 0, 0, 0, 0, 1}, DstMAC: flows.MAC{2, 0, 0, 0, 0, 2}},
		Tuple: flows.Tuple{
			Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr(dst), SrcPort: 40000, DstPort: 80, Proto: flows.TCP,
		},
		Mark: 6, Labels: [16]byte{15: 2},
	}
}

func with(q Query, change func(*Query)) Query { change(&q); return q }

func portless(proto flows.Proto) Query {
	return with(ask("10.0.1.2"), func(q *Query) {
		q.Tuple.Proto, q.Tuple.SrcPort, q.Tuple.DstPort = proto, 0, 0
	})
}

func v6(proto flows.Proto, port uint16) Query {
	return with(ask("10.0.1.2"), func(q *Query) {
		q.Tuple = flows.Tuple{Src: netip.MustParseAddr("fd00::1"), Dst: netip.MustParseAddr("fd00::2"), SrcPort: port, DstPort: port, Proto: proto}
	})
}

func onVLAN(port uint32, dst flows.MAC) Query {
	return with(ask("10.0.1.2"), func(q *Query) { q.Bridge, q.InPort, q.DstMAC = "vlan", port, dst })
}

type testCase struct {
	name         string
	query        Query
	want         string // actions of the stages, as render writes them
	told         string // instead of want where OVS knows the original tuple
	plain, group bool
	err          error        // instead of a trace
	reason       flows.Reason // of a refusal instead of a trace
	flood        bool         // want names the ports alone
	foreign      bool         // stages are for a packet that is changed on the way
}

const (
	direct = "ct(10) recirc(1)\nb"
	lost   = "ct(10) recirc(1)\ndrop"
)

func cases() []testCase {
	w7, nobody := flows.MAC{2, 0, 0, 0, 0, 2}, flows.MAC{2, 0, 0, 0, 0, 7}
	return []testCase{
		{name: "tcp", query: ask("10.0.1.2"), want: direct, plain: true},
		{name: "reply", query: with(ask("10.0.1.2"), func(q *Query) { q.Reply = true }), want: direct, plain: true},
		{name: "blocked", query: with(ask("10.0.1.2"), func(q *Query) { q.Mark = 1 }), want: lost, plain: true},
		{name: "labelled", query: with(ask("10.0.1.2"), func(q *Query) { q.Labels = [16]byte{7: 1} }), want: lost, plain: true},
		{name: "tcp6", query: v6(flows.TCP, 80), want: direct, plain: true},
		{name: "udp", query: with(ask("10.0.1.2"), func(q *Query) { q.Tuple.Proto = flows.UDP }), want: direct, plain: true},
		{name: "udp6", query: v6(flows.UDP, 53), want: direct, plain: true},
		{name: "sctp", query: with(ask("10.0.1.2"), func(q *Query) { q.Tuple.Proto = flows.SCTP }), want: direct, plain: true},
		{name: "esp", query: portless(flows.ESP), want: direct, plain: true},
		{name: "ah", query: portless(flows.AH), want: direct, plain: true},
		{name: "gre", query: portless(flows.GRE), want: direct, plain: true},
		{name: "esp6", query: v6(flows.ESP, 0), want: direct, plain: true},
		{name: "local", query: with(ask("10.0.2.2"), func(q *Query) { q.InPort = 65534 }), want: "b c", plain: true},
		{name: "two-outputs", query: ask("10.0.2.2"), want: "b c", plain: true},
		{name: "routed", query: ask("10.0.3.2"), foreign: true,
			want: "eth_dst=20000000009 nw_ttl=3f ct(11) recirc(1)\nd"},
		{name: "patch", query: ask("10.0.4.2"), want: "ct(11) recirc(1)\nd"},
		{name: "registers", query: ask("10.0.5.2"), want: "ct(7) recirc(1)\nb"},
		{name: "group-all", query: ask("10.0.6.2"), want: "b c", plain: true, group: true},
		{name: "group-select", query: ask("10.0.7.2"), want: "b", plain: true, group: true},
		{name: "group-hash", query: ask("10.0.26.2"), reason: flows.UnsupportedGroup},
		{name: "learn", query: ask("10.0.8.2"), want: "b"},
		{name: "controller", query: ask("10.0.9.2"), reason: flows.UnsupportedUpcall},
		{name: "endless", query: ask("10.0.10.2"), err: ErrFailed},
		{name: "no-tunnel", query: ask("10.0.11.2"), err: ErrFailed},
		{name: "resubmit-port", query: ask("10.0.12.2"), want: "b"},
		{name: "nat", query: ask("10.0.13.2"), want: "ct(10 commit nat src) recirc(1)\nb", foreign: true},
		{name: "deep", query: ask("10.0.14.2"), err: ErrStages},
		{name: "push-vlan", query: ask("10.0.15.2"), want: "push(vlan 7) b"},
		{name: "clone", query: ask("10.0.16.2"), want: "path-unsupported/action<clone(ct(zone=12),recirc(N))> c\nb", plain: true},
		{name: "packet-length", query: ask("10.0.17.2"), want: "check(1400: drop, b)", plain: true},
		{name: "commit", query: ask("10.0.18.2"), want: "ct(10) recirc(1)\nct(10 commit mark=0x3/0xf) ct(10 commit force) b", plain: true},
		{name: "action-set", query: ask("10.0.19.2"), want: "b", plain: true},
		{name: "narrow", query: ask("10.0.20.2"), want: "b", plain: true},
		{name: "ct-clear", query: ask("10.0.21.2"), want: "ct(10) recirc(1)\nct_clear b", plain: true},
		{name: "no-port", query: ask("10.0.22.2"), want: "drop", plain: true},
		{name: "truncated", query: ask("10.0.23.2"), want: "path-unsupported/action<trunc(100)> b"},
		{name: "conjunction", query: ask("10.0.24.2"), want: direct, plain: true},
		{name: "original-tuple", query: ask("10.0.25.2"), want: lost, told: direct, plain: true},
		{name: "original-tuple-reply", query: with(ask("10.0.25.2"), func(q *Query) { q.Reply = true }),
			want: lost, told: "ct(10) recirc(1)\nc", plain: true},
		{name: "original-tuple6", query: with(v6(flows.TCP, 80), func(q *Query) { q.Tuple.Dst = netip.MustParseAddr("fd00::25") }),
			want: lost, told: direct, plain: true},
		{name: "mac-swap", query: ask("10.0.27.2"), want: "eth_src=20000000002 b", foreign: true},
		{name: "tunnel-flow", query: ask("10.0.28.2"), want: "b", plain: true},
		{name: "nowhere", query: ask("10.9.9.9"), want: "drop", plain: true},
		{name: "vlan-learned", query: onVLAN(1, w7), want: "w7", plain: true},
		{name: "vlan-flood", query: onVLAN(1, nobody), want: "trunk vlan w7", plain: true, flood: true},
		{name: "vlan-trunk", query: onVLAN(4, w7), want: "vlan", plain: true},
		{name: "no-bridge", query: with(ask("10.0.1.2"), func(q *Query) { q.Bridge = "br9" }), err: ErrBridge},
	}
}

// TestRealOVS asks the real one; with -update its answers become testdata.
func TestRealOVS(t *testing.T) {
	w := newWorld(t)
	save(t, "ports.txt", w.ports)
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			caller := &recorder{Caller: w}
			trace, err := (&Tracer{Caller: caller}).Trace(t.Context(), c.query)
			save(t, c.name+".txt", caller.text)
			c.check(t, trace, err, portNames(w.ports))
		})
	}
}

// ovnCases are answers of OVN 23.03: three ports of a port group that permits tcp/80
// in, two of them on one logical switch, the third behind a logical router; ovn-lb has
// a load balancer on the switch as well.
func ovnCases() []testCase {
	q := ask("10.0.0.2")
	q.Bridge, q.Mark, q.Labels, q.Datapath = "br-int", 0, [16]byte{}, &Datapath{}
	routed := with(q, func(q *Query) {
		q.DstMAC, q.Tuple.Dst = flows.MAC{2, 0, 0, 0, 1, 1}, netip.MustParseAddr("10.0.1.3")
	})
	return []testCase{
		{name: "ovn", query: q, want: "ct(3) recirc(1)\nct(8) recirc(2)\nvm2", plain: true},
		{name: "ovn-lb", query: q, want: "ct(5 nat) recirc(1)\nct(8 nat) recirc(2)\nvm2", plain: true},
		{name: "ovn-routed", query: routed, foreign: true,
			want: "ct(3) recirc(1)\nct_clear eth_src=20000000102 " +
				"eth_dst=20000000003 nw_ttl=3f ct(9) recirc(2)\nvm3"},
	}
}

func TestCapturedOVN(t *testing.T) {
	names := portNames(load(t, "ovn-ports.txt"))
	for _, c := range ovnCases() {
		t.Run(c.name, func(t *testing.T) {
			trace, err := parse(&c.query, load(t, c.name+".txt"))
			c.check(t, trace, err, names)
		})
	}
}

// TestDatapathKey: the other way to ask gives the same answers, but for the original
// tuple.
func TestDatapathKey(t *testing.T) {
	w := newWorld(t)
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			if c.err == ErrBridge {
				t.Skip("no such port")
			}
			c.want = cmp.Or(c.told, c.want)
			if c.query.Datapath = at(w.ports, c.query); c.query.Datapath == nil {
				t.Fatal("port not found")
			}
			trace, err := (&Tracer{Caller: w}).Trace(t.Context(), c.query)
			c.check(t, trace, err, portNames(w.ports))
		})
	}
	q := ask("10.0.2.2")
	q.Datapath = at(w.ports, with(q, func(q *Query) { q.InPort = 2 }))
	if _, err := (&Tracer{Caller: w}).Trace(t.Context(), q); !errors.Is(err, ErrFormat) {
		t.Errorf("another port: %v", err)
	}
	q.Datapath = at(w.ports, onVLAN(1, flows.MAC{}))
	if _, err := (&Tracer{Caller: w}).Trace(t.Context(), q); !errors.Is(err, ErrFormat) {
		t.Errorf("a port of another bridge: %v", err)
	}
	for _, d := range []Datapath{{"netdev", 4711}, {"system", 1}} {
		q.Datapath = &d
		if _, err := (&Tracer{Caller: w}).Trace(t.Context(), q); !errors.Is(err, ErrBridge) {
			t.Errorf("%v: %v", d, err)
		}
	}
}

// TestCaptured needs neither OVS nor privileges.
func TestCaptured(t *testing.T) {
	names := portNames(load(t, "ports.txt"))
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			if c.err == ErrBridge {
				t.Skip("the answer is an error")
			}
			trace, err := parse(&c.query, load(t, c.name+".txt"))
			c.check(t, trace, err, names)
		})
	}
}

func (c *testCase) check(t *testing.T, trace *Trace, err error, names map[uint32]string) {
	t.Helper()
	var refusal *megaflow.Refusal
	switch {
	case c.err != nil:
		if !errors.Is(err, c.err) || trace != nil {
			t.Errorf("error %v, want %v", err, c.err)
		}
		return
	case c.reason != "":
		if !errors.As(err, &refusal) || refusal.Reason != c.reason {
			t.Errorf("error %v, want a refusal as %s", err, c.reason)
		}
		return
	case err != nil:
		t.Fatal(err)
	}
	got := render(trace, names)
	if c.flood {
		got = outputs(trace, names)
	}
	if got != c.want {
		t.Errorf("actions:\n%s\nwant:\n%s", got, c.want)
	}
	if trace.Plain != c.plain || trace.Groups != c.group {
		t.Errorf("plain %v, groups %v", trace.Plain, trace.Groups)
	}
	c.checkMatches(t, trace)
}

// checkMatches: every stage is for the packet that was asked about.
func (c *testCase) checkMatches(t *testing.T, trace *Trace) {
	t.Helper()
	q, key := c.query, packet(c.query)
	for i, stage := range trace.Stages {
		m := &stage.Match
		if i > 0 {
			key.SetUint(megaflow.RecircID, m.Key.Uint(megaflow.RecircID))
		}
		if m.Mask.Uint(megaflow.RecircID) != 1<<32-1 || m.Key.Uint(megaflow.RecircID) == 0 != (i == 0) {
			t.Errorf("stage %d: recirculation id %#x", i, m.Key.Uint(megaflow.RecircID))
		}
		if (m.Mask.Uint(megaflow.InPort) != 0) != (i == 0) {
			t.Errorf("stage %d: mask of the port %#x", i, m.Mask.Uint(megaflow.InPort))
		}
		if !c.foreign && !has(m, &key) {
			t.Errorf("stage %d is not for the packet", i)
		}
		other := key
		other.SetUint(megaflow.EthType, 0x0806)
		if has(m, &other) {
			t.Errorf("stage %d is for ARP as well", i)
		}
		if c.name == "patch" {
			q.Mark, q.Labels = 0, [16]byte{}
		}
		for _, a := range stage.Actions {
			if ct, ok := a.(megaflow.CT); ok {
				key = tracked(key, q, ct.Zone)
			}
		}
		if c.name == "clone" {
			key = tracked(key, q, 12)
		}
	}
}

// recorder keeps the answer of the last call.
type recorder struct {
	Caller
	text string
}

func (r *recorder) Call(ctx context.Context, method string, args ...string) (string, error) {
	text, err := r.Caller.Call(ctx, method, args...)
	r.text = text
	return text, err
}

func save(t *testing.T, name, text string) {
	t.Helper()
	if !*update || text == "" {
		return
	}
	if err := os.WriteFile(filepath.Join("testdata", name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func load(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestErrors: the caller's errors are passed on, and OVS's are told apart.
func TestErrors(t *testing.T) {
	w := newWorld(t)
	_, err := (&Tracer{Caller: &unixctl.Client{Rundir: t.TempDir()}}).Trace(t.Context(), ask("10.0.1.2"))
	if !errors.Is(err, unixctl.ErrNotRunning) {
		t.Errorf("not running: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (&Tracer{Caller: w}).Trace(ctx, ask("10.0.1.2")); !errors.Is(err, ctx.Err()) {
		t.Errorf("cancelled: %v", err)
	}
	var refused *unixctl.MethodError
	_, err = (&Tracer{Caller: w}).Trace(t.Context(), with(ask("10.0.1.2"), func(q *Query) { q.Bridge = "br9" }))
	if !errors.Is(err, ErrBridge) || !errors.As(err, &refused) || strings.Contains(err.Error(), "\n") {
		t.Errorf("unknown bridge: %v", err)
	}
}
