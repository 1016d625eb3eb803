package conntrack

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
)

func near(got, want uint32) bool { return got <= want && got+5 >= want }

func TestRefreshRaises(t *testing.T) {
	netns := enterNetNS(t)
	c := dial(t, Config{NetNS: netns})
	specs := []spec{established(1)}
	for i, proto := range []flows.Proto{flows.UDP, flows.ESP, flows.SCTP, flows.GRE} {
		specs = append(specs, spec{tuple: tuple(proto, i%2 == 0, i, 0, 0), status: replied})
	}
	for _, e := range createAll(t, netns, specs...) {
		got, err := refresh(t, c, Refresh{Key: e.Key, Timeout: 432_000})
		if err != nil || !near(got.Timeout, 432_000) {
			t.Errorf("%s: timeout %d, %v", e.Key.Tuple, got.Timeout, err)
		}
		if got.Timeout = e.Timeout; got != e {
			t.Errorf("more than the timeout changed:\n now %+v\nwas %+v", got, e)
		}
	}
}

func TestRefreshNeverLowers(t *testing.T) {
	netns := enterNetNS(t)
	c := dial(t, Config{NetNS: netns})
	s := established(1)
	s.timeout = 5000
	e := createAll(t, netns, s)[0]
	for _, wanted := range []uint32{0, 1, 4000, 4990} {
		c.beforeWrite = func() {}
		got, err := refresh(t, c, Refresh{Key: e.Key, Timeout: wanted})
		if err != nil || !near(got.Timeout, 5000) {
			t.Errorf("asked for %d: timeout %d, %v", wanted, got.Timeout, err)
		}
	}
}

func TestRefreshNeverInClosingState(t *testing.T) {
	netns := enterNetNS(t)
	c := dial(t, Config{NetNS: netns})
	for state := flows.TCPSynSent; state <= flows.TCPSynSent2; state++ {
		e := createAll(t, netns, spec{tuple: tcpTuple(int(state)), state: state, timeout: 100})[0]
		got, err := refresh(t, c, Refresh{Key: e.Key, Timeout: 432_000})
		switch closing := state.Closing(); {
		case closing && (!errors.Is(err, ErrClosing) || !near(got.Timeout, 100)):
			t.Errorf("%s: timeout %d, %v", state, got.Timeout, err)
		case !closing && (err != nil || !near(got.Timeout, 432_000)):
			t.Errorf("%s: timeout %d, %v", state, got.Timeout, err)
		}
		if got.TCP.State != state {
			t.Errorf("%s: state is %s now", state, got.TCP.State)
		}
	}
}

// An entry that closes between reading and writing gets its timeout back.
func TestRefreshTakesBack(t *testing.T) {
	netns := enterNetNS(t)
	setSysctl(t, "nf_conntrack_tcp_timeout_last_ack", 33)
	c := dial(t, Config{NetNS: netns})
	e := createAll(t, netns, established(1))[0]
	other := createAll(t, netns, established(2))[0]
	c.beforeWrite = func() { setState(t, netns, e.Key, flows.TCPLastAck) }
	got, err := refresh(t, c, Refresh{Key: e.Key, Timeout: 432_000})
	if !errors.Is(err, ErrClosing) || !near(got.Timeout, 33) || got.TCP.State != flows.TCPLastAck {
		t.Errorf("timeout %d in %s, %v", got.Timeout, got.TCP.State, err)
	}
	// The second entry of the batch is not affected.
	e = createAll(t, netns, established(3))[0]
	n := 0
	err = c.Refresh(t.Context(), []Refresh{{Key: e.Key, Timeout: 9000}, {Key: other.Key, Timeout: 9000}}, func(i int, got *flows.Entry, err error) {
		n++
		if i == 1 && (err != nil || !near(got.Timeout, 9000)) {
			t.Errorf("bystander: timeout %d, %v", got.Timeout, err)
		}
		if i == 0 && !errors.Is(err, ErrClosing) {
			t.Errorf("closing one: %v", err)
		}
	})
	if err != nil || n != 2 {
		t.Fatalf("%d answers, %v", n, err)
	}
}

// setState moves an entry to a TCP state, as a packet would.
func setState(t *testing.T, netns int, key flows.EntryKey, state flows.TCPState) {
	t.Helper()
	c := dial(t, Config{NetNS: netns})
	c.req.reset()
	c.seq++
	start := c.req.begin(msgNew, unix.NLM_F_ACK, c.seq, familyOf(key.Tuple))
	c.req.key(&key)
	info := c.req.nest(ctaProtoInfo)
	tcp := c.req.nest(ctaProtoInfoTCP)
	c.req.uint8(ctaTCPState, uint8(state))
	c.req.unnest(tcp)
	c.req.unnest(info)
	c.req.end(start)
	if err := c.exchange(t.Context(), c.seq, c.seq, func(_ int, m *message) { t.Errorf("set state: %v", refusal("update", m)) }); err != nil {
		t.Fatal(err)
	}
}

func TestReadTimeouts(t *testing.T) {
	netns := enterNetNS(t)
	setSysctl(t, "nf_conntrack_tcp_timeout_established", 1234)
	setSysctl(t, "nf_conntrack_udp_timeout_stream", 55)
	got, err := ReadTimeouts(netns)
	if err != nil {
		t.Fatal(err)
	}
	for proto, name := range map[flows.Proto]string{
		flows.TCP: "tcp_timeout_established", flows.UDP: "udp_timeout_stream", udpLite: "udp_timeout_stream",
		flows.SCTP: "sctp_timeout_established", flows.GRE: "gre_timeout_stream", flows.ESP: "generic_timeout",
		flows.ICMP: "icmp_timeout", flows.ICMPv6: "icmpv6_timeout", 200: "generic_timeout",
	} {
		b, err := os.ReadFile(sysctlDir + "nf_conntrack_" + name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil {
			t.Fatal(err)
		}
		if int(got.For(proto)) != want {
			t.Errorf("%s: %d, sysctl says %d", proto, got.For(proto), want)
		}
	}
	if got.For(flows.DCCP) == 0 {
		t.Error("dccp: 0 even where the kernel has no tracker for it")
	}
}
