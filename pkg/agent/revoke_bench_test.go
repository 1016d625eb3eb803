package agent

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ti-mo/conntrack"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/hack/benchtest"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/model"
)

const (
	revoked     = 1000 // sessions that one change concerns
	repetitions = 5
	firstPort   = 6000 // of the sessions that rule in-1 permits; in-2 the next, and so on
)

// TestBenchRevoke measures from the moment when a source tells that a rule is gone until the
// eswitch has the last removal of the 1,000 sessions that it permitted, of ever more. All but
// OVS and tc is real: conntrack, the agent, a file of security groups.
func TestBenchRevoke(t *testing.T) {
	benchtest.Need(t)
	for _, total := range []int{50_000, 200_000, 500_000} {
		t.Run(strconv.Itoa(total), func(t *testing.T) {
			took := revoke(t, total)
			median := benchtest.Median(took)
			t.Logf("%v; worst %v", median, took[len(took)-1])
			const bound = 100 * time.Millisecond
			if median > bound {
				t.Errorf("%v, want at most %v", median, bound)
			}
			benchtest.Report(t, benchtest.Row{
				Name: fmt.Sprintf("sg-revoke-1000-of-%dk", total/1000), Unit: "ms",
				Ours: median.Seconds() * 1e3, Peer: bound.Seconds() * 1e3, PeerName: "the bound of 100 ms", Ratio: bound.Seconds() / median.Seconds(),
			})
		})
	}
}

// revoke returns how long each of some revocations took.
func revoke(t *testing.T, total int) (took []time.Duration) {
	kernelReady(t)
	needConntrack(t, total+total/8)
	rules := []string{"protocol: udp, port_range_min: 5201, port_range_max: 5201"}
	for i := range repetitions {
		rules = append(rules, fmt.Sprintf("protocol: udp, port_range_min: %d, port_range_max: %[1]d", firstPort+i))
	}
	f := newPolicyFile(t, rules...)
	watch := &lastRemoval{}
	r := herdOf(t, f, watch)
	for done := 0; done < total; {
		n := min(20_000, total-done)
		r.see(establish(t, done, n)...)
		done += n
		within(t, 10*time.Minute, "all are offloaded", func() bool { return r.states()[engine.Offloaded] == done })
	}
	for i := range repetitions {
		rules[i+1] = "protocol: sctp"
		watch.expect(2 * revoked)
		f.write(rules...)
		within(t, time.Minute, "the revoked are out", watch.done)
		took = append(took, watch.took())
	}
	return took
}

// herdOf starts an agent with room for all.
func herdOf(t *testing.T, f *policyFile, watch *lastRemoval) *running {
	d := newDatabase(t)
	a, b := d.wire(t)
	d.vsctl("set interface p0 external_ids:iface-id=lp0")
	d.vsctl("set interface p1 external_ids:iface-id=lp1")
	cfg := testConfig(t, d)
	cfg.Engine.Enforce, cfg.Engine.Capacity, cfg.Engine.InsertRate = true, 1_000_000, 1e6
	cfg.driver = model.New(model.Config{Fail: watch.change}, a, b)
	cfg.Groups.Host = "here"
	cfg.PollInterval, cfg.CountInterval = DefaultConfig().PollInterval, DefaultConfig().CountInterval
	if err := ParseGroups("file:"+f.path, &cfg.Groups); err != nil {
		t.Fatal(err)
	}
	r := start(t, cfg)
	if err := r.loop.ask(t.Context(), func(*engine.Engine) { watch.clock, r.loop.watch = r.loop.clock, watch.step }); err != nil {
		t.Fatal(err)
	}
	return r
}

// establish makes n connections, those from first on: some by each of the rules that go, and
// all others by the one that stays.
func establish(t *testing.T, first, n int) (tuples []flows.Tuple) {
	t.Helper()
	c, err := conntrack.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	dst := netip.MustParseAddr("10.2.0.1")
	for i := first; i < first+n; i++ {
		port := uint16(5201)
		if i < revoked*repetitions {
			port = uint16(firstPort + i/revoked)
		}
		src := netip.AddrFrom4([4]byte{10, 16 + byte(i>>16), byte(i >> 8), byte(i)})
		f := conntrack.NewFlow(17, conntrack.StatusAssured|conntrack.StatusSeenReply|conntrack.StatusConfirmed, src, dst, 40000, port, 3600, 4)
		if err := c.Create(f); err != nil {
			t.Fatal(err)
		}
		tuples = append(tuples, flows.Tuple{Src: src, Dst: dst, SrcPort: 40000, DstPort: port, Proto: flows.UDP})
	}
	return tuples
}

// needConntrack skips a test for which the conntrack table, whose bound is the host's and
// cannot be raised from a namespace, has no room.
func needConntrack(t *testing.T, n int) {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_max")
	if err != nil {
		t.Fatal(err)
	}
	if limit, err := strconv.Atoi(strings.TrimSpace(string(text))); err != nil || limit < n {
		t.Skipf("net.netfilter.nf_conntrack_max is %s: needs %d (hack/bench raises it)", strings.TrimSpace(string(text)), n)
	}
}

// lastRemoval sees policy change, and rules leave.
type lastRemoval struct {
	clock clock
	mu    sync.Mutex
	left  int
	began time.Time // when the source told the change
	ended time.Time
}

func (l *lastRemoval) expect(rules int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left, l.began = rules, time.Time{}
}

func (l *lastRemoval) step(_ flows.Instant, events []message, _ []engine.Effect) {
	for _, m := range events {
		if ev, ok := m.event.(engine.PolicyChanged); ok && len(ev.Rules) > 0 {
			l.mu.Lock()
			l.began = l.clock.wall(ev.At)
			l.mu.Unlock()
		}
	}
}

func (l *lastRemoval) change(c eswitch.Change) error {
	if c.Op == eswitch.Delete {
		l.mu.Lock()
		l.left--
		l.ended = time.Now()
		l.mu.Unlock()
	}
	return nil
}

func (l *lastRemoval) done() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.left <= 0 && !l.began.IsZero()
}

func (l *lastRemoval) took() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended.Sub(l.began)
}
