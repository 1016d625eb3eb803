package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb/flowshunt"
	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
	policydb "github.com/flowshunt/flowshunt/pkg/policy/ovsdb"
)

// follower follows the policy database and reports to it as an agent does.
type follower struct {
	source *policydb.Source

	mu   sync.Mutex
	last policydb.News
	came map[int]time.Time // when a change was told first, by its number
	lost int               // connections, and attempts at them
	node policydb.Node
}

// fleet starts n followers, which end with the test.
func fleet(t *testing.T, n int, cfg policydb.Config) []*follower {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	var all []*follower
	for i := range n {
		cfg.SystemID = fmt.Sprint("node-", i)
		source, err := policydb.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		f := &follower{source: source, came: map[int]time.Time{}, node: policydb.Node{
			Hostname: cfg.SystemID, Mode: flowshunt.NodeModeEnforce, Started: time.Now()}}
		all = append(all, f)
		running.Go(func() { _ = source.Run(ctx, f.tell) })
	}
	for i, f := range all {
		f.await(t, fmt.Sprintf("follower %d reads", i), func(n policydb.News) bool { return n.Table != nil && n.Err == nil })
	}
	return all
}

func (f *follower) tell(n policydb.News) {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = n
	if n.Err != nil {
		f.lost++
		return
	}
	for i := range maxChanges {
		if _, ok := f.came[i]; !ok && decides(n, i) {
			f.came[i] = now
		}
	}
	f.node.CurCfg, f.node.Policies = n.NextCfg, n.Table.Len()
	f.source.Report(f.node)
}

// maxChanges is how many changes a story makes at most: each is a policy with a port of its own.
const maxChanges = 1000

// change is the command that makes change i.
func change(i int) string {
	return fmt.Sprintf("add-policy p%d 5 offload protocols=tcp dst_ports=%d", i, firstPort+i)
}

const firstPort = 20000

// decides reports whether the policy of change i is in force.
func decides(n policydb.News, i int) bool {
	tuple := flows.Tuple{Proto: flows.TCP, Src: netip.AddrFrom4([4]byte{10, 0, 0, 1}), SrcPort: 1,
		Dst: netip.AddrFrom4([4]byte{10, 0, 0, 2}), DstPort: uint16(firstPort + i)}
	d := n.Table.Decide(&flows.Subject{Tuple: tuple, Far: tuple})
	return n.Table.Describe(d.Policy) == fmt.Sprint("p", i)
}

func (f *follower) await(t *testing.T, what string, good func(policydb.News) bool) {
	t.Helper()
	if !ovsdbtest.Eventually(func() bool { return good(f.news()) }) {
		t.Fatalf("waiting for: %s; the last news are %+v", what, f.news())
	}
}

func (f *follower) news() policydb.News {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

// latency is how long changes took to come to followers.
type latency []time.Duration

// latencies of the changes that began at those times, for one follower.
func (f *follower) latencies(began map[int]time.Time) (l latency) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, at := range began {
		l = append(l, f.came[i].Sub(at))
	}
	slices.Sort(l)
	return l
}

func (l latency) at(quantile float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	return l[min(int(quantile*float64(len(l))), len(l)-1)].Round(time.Millisecond)
}

func (l latency) String() string {
	return fmt.Sprintf("p50 %v, p99 %v, most %v", l.at(0.5), l.at(0.99), l.at(1))
}
