package agent

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
	"github.com/flowshunt/flowshunt/pkg/tc/tctest"
)

const (
	revoked     = 1000 // sessions that one change concerns
	repetitions = 5
	firstPort   = 6000 // of the sessions that rule in-1 permits; in-2 the next, and so on
)

// TestBenchRevoke measures from the moment when a source tells that a rule is gone until the
// eswitch has removed the last of the 1,000 sessions that it permitted, of ever more. All but
// OVS and tc is real: conntrack, the agent, a file of security groups.
func TestBenchRevoke(t *testing.T) {
	benchtest.Need(t)
	for _, total := range []int{50_000, 200_000, 500_000} {
		t.Run(strconv.Itoa(total), func(t *testing.T) {
			needConntrack(t, total+total/8)
			h := newHerd(t, func(links ...int32) eswitch.Driver { return model.New(model.Config{}, links...) })
			h.offload(total)
			var took []time.Duration
			for i := range repetitions {
				took = append(took, h.revoke(i))
			}
			median := benchtest.Median(took)
			const bound = 100 * time.Millisecond
			if t.Logf("%v; all %v", median, took); median > bound {
				t.Errorf("%v, want at most %v", median, bound)
			}
			benchtest.Report(t, benchtest.Row{
				Name: fmt.Sprintf("sg-revoke-1000-of-%dk", total/1000), Unit: "ms",
				Ours: median.Seconds() * 1e3, Peer: bound.Seconds() * 1e3, PeerName: "the bound of 100 ms", Ratio: bound.Seconds() / median.Seconds(),
			})
		})
	}
}

// TestBenchRevokeTC is the same with rules in the kernel, beside tc -b that deletes as many.
func TestBenchRevokeTC(t *testing.T) {
	benchtest.Need(t)
	needFlowerHere(t)
	h := newHerd(t, nil)
	h.offload(2 * repetitions * revoked)
	var ours, peer []float64
	for i := range repetitions {
		ours = append(ours, h.revoke(i).Seconds())
	}
	if err := h.end(); err != nil { // and keeps the others
		t.Fatal(err)
	}
	handles := rulesLeft(t)
	if len(handles) < 2*repetitions*revoked {
		t.Fatalf("%d rules are left, want %d", len(handles), 2*repetitions*revoked)
	}
	for i := range repetitions {
		batch := filepath.Join(t.TempDir(), "batch")
		text := strings.Join(handles[i*2*revoked:(i+1)*2*revoked], "\n")
		if err := os.WriteFile(batch, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		tctest.Run(t, "tc -b "+batch)
		peer = append(peer, time.Since(began).Seconds())
	}
	a, b := benchtest.Median(ours), benchtest.Median(peer)
	benchtest.Report(t, benchtest.Row{Name: "sg-revoke-vm", Unit: "s", Ours: a, Peer: b, PeerName: "tc -b deleting these rules", Ratio: b / a})
}

// needFlowerHere is tctest.NeedFlower for a process that may not make namespaces.
func needFlowerHere(t *testing.T) {
	t.Helper()
	needNamespace(t)
	for _, command := range []string{
		"tc qdisc replace dev lo clsact",
		"tc filter add dev lo ingress protocol ip flower skip_hw ip_proto tcp action drop",
		"tc qdisc del dev lo clsact",
	} {
		words := strings.Fields(command)
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Skipf("cls_flower: %s: %v: %s", command, err, out)
		}
	}
}

// rulesLeft returns the commands that delete the rules that there are.
func rulesLeft(t *testing.T) (list []string) {
	t.Helper()
	handle := regexp.MustCompile(`pref (\d+) flower .*handle (0x[0-9a-f]+)`)
	for _, dev := range []string{"p0", "p1"} {
		for _, m := range handle.FindAllStringSubmatch(tctest.Run(t, "tc filter show dev "+dev+" ingress"), -1) {
			list = append(list, fmt.Sprintf("filter del dev %s ingress pref %s handle %s flower", dev, m[1], m[2]))
		}
	}
	return list
}

// herd is an agent with many sessions, which rules of a file permit.
type herd struct {
	*running
	file  *groupsFile
	rules []string
	watch lastRemoval
}

func newHerd(t *testing.T, driver func(links ...int32) eswitch.Driver) *herd {
	t.Helper()
	kernelReady(t)
	h := &herd{rules: []string{"protocol: udp, port_range_min: 5201, port_range_max: 5201"}}
	for i := range repetitions {
		h.rules = append(h.rules, fmt.Sprintf("protocol: udp, port_range_min: %d, port_range_max: %[1]d", firstPort+i))
	}
	h.file = newGroupsFile(t, h.rules...)
	d := newDatabase(t)
	a, b := d.wire(t)
	d.vsctl("set interface p0 external_ids:iface-id=lp0")
	d.vsctl("set interface p1 external_ids:iface-id=lp1")
	cfg := testConfig(t, d)
	cfg.Engine.Enforce, cfg.Engine.Capacity, cfg.Engine.InsertRate = true, 1_000_000, 1e6
	if driver != nil {
		cfg.driver = driver(a, b)
	}
	cfg.Groups.Host = "here"
	cfg.PollInterval, cfg.CountInterval = DefaultConfig().PollInterval, DefaultConfig().CountInterval
	cfg.KeepOnExit = true
	cfg.ConfirmEvery = time.Hour // there is no ovs-vswitchd to ask
	if err := ParseGroups("file:"+h.file.path, &cfg.Groups); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { flushConntrack(t) })
	h.running = start(t, cfg)
	if err := h.loop.ask(t.Context(), func(*engine.Engine) { h.loop.watch = h.watch.step }); err != nil {
		t.Fatal(err)
	}
	return h
}

func flushConntrack(t *testing.T) {
	c, err := conntrack.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Flush(), c.Close()); err != nil {
		t.Error(err)
	}
}

// offload waits for so many sessions.
func (h *herd) offload(total int) {
	began := time.Now()
	for done := 0; done < total; {
		n := min(20_000, total-done)
		h.see(establish(h.t, done, n)...)
		done += n
		if h.await(done); done%100_000 == 0 {
			h.t.Logf("%d sessions after %v", done, time.Since(began).Round(time.Second))
		}
	}
}

// await waits until so many sessions are offloaded. It looks at all of them, so not often.
func (h *herd) await(n int) {
	h.t.Helper()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(10 * time.Minute); h.states()[engine.Offloaded] != n; <-ticker.C {
		if time.Now().After(deadline) {
			h.t.Fatalf("%v, want %d offloaded", h.states(), n)
		}
	}
}

// revoke takes a rule back, and returns how long it took until the sessions were out.
func (h *herd) revoke(i int) time.Duration {
	h.rules[i+1] = "protocol: sctp"
	h.watch.expect(revoked)
	h.file.write(h.rules...)
	within(h.t, time.Minute, "the revoked are out", h.watch.done)
	return h.watch.took()
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

// lastRemoval sees a permission taken back, and sessions leave.
type lastRemoval struct {
	mu    sync.Mutex
	left  int
	began flows.Instant // when the source told the change
	ended flows.Instant // when the last removal was acknowledged
}

func (l *lastRemoval) expect(sessions int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left, l.began = sessions, 0
}

func (l *lastRemoval) step(_ flows.Instant, events []message, _ []engine.Effect) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range events {
		switch ev := m.event.(type) {
		case engine.PermissionsChanged:
			if len(ev.Rules) > 0 {
				l.began = ev.At
			}
		case engine.Removed:
			l.left--
			l.ended = m.at
		}
	}
}

func (l *lastRemoval) done() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.left <= 0 && l.began != 0
}

func (l *lastRemoval) took() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended.Sub(l.began)
}
