package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/ovsdb/dbctl"
	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
	policydb "github.com/flowshunt/flowshunt/pkg/policy/ovsdb"
)

// currentWithin is how late a follower may have the last change.
const currentWithin = 5 * time.Second

// raft is a story of operators who change the policies of a fleet, which are in a cluster.
type raft struct {
	t       *testing.T
	cluster *ovsdbtest.Cluster
	fleet   []*follower
	remotes string // as operators say it, with what belongs to it

	mu       sync.Mutex
	began    map[int]time.Time // of changes, by their numbers
	ended    map[int]time.Time // when the operator was told
	made     atomic.Int64
	waited   atomic.Int64 // changes that have a number
	unknown  atomic.Int64 // answers that were lost
	progress chan int     // changes made so far
}

func newRaft(t *testing.T, followers int) *raft {
	t.Helper()
	cluster := ovsdbtest.NewCluster(t, policySchema, "Flowshunt", 3, nil)
	return raftOf(t, cluster, followers, policydb.Config{Remotes: cluster.Remotes()}, cluster.Remotes())
}

func raftOf(t *testing.T, cluster *ovsdbtest.Cluster, followers int, cfg policydb.Config, remotes string) *raft {
	t.Helper()
	cfg.Interval, cfg.Inactivity, cfg.MaxBackoff = 100*time.Millisecond, 2*time.Second, time.Second
	return &raft{t: t, cluster: cluster, remotes: remotes, began: map[int]time.Time{}, ended: map[int]time.Time{}, progress: make(chan int, maxChanges),
		fleet: fleet(t, followers, cfg)}
}

// operators is how many there are at a time.
const operators = 4

// change has operators make the changes from one number to another, and returns at once; each
// fourth is waited for until it is in force on all nodes.
func (r *raft) change(from, to int) *sync.WaitGroup {
	var group sync.WaitGroup
	for o := range operators {
		group.Go(func() {
			for i := from + o; i < to; i += operators {
				r.changeOne(i)
			}
		})
	}
	return &group
}

// changeOne does what an operator does who is not told whether a change was made: he makes it
// unless it is there.
func (r *raft) changeOne(i int) {
	wait, unless := "none", ""
	if i/operators%4 == 3 {
		wait = "all"
		r.waited.Add(1)
	}
	r.mu.Lock()
	r.began[i] = time.Now()
	r.mu.Unlock()
	for {
		code, _, stderr := ctlAt(r.t.Context(), r.remotes, fmt.Sprintf("--retry --timeout=60 --wait=%s %s %s", wait, unless, change(i)))
		switch {
		case code == 0:
			r.mu.Lock()
			r.ended[i] = time.Now()
			r.mu.Unlock()
			r.progress <- int(r.made.Add(1))
			return
		case strings.Contains(stderr, dbctl.ErrUncertain.Error()):
			r.unknown.Add(1)
			unless = "--may-exist"
		default:
			r.t.Errorf("change %d: exit code %d, %s", i, code, stderr)
			return
		}
	}
}

// until waits until so many changes are made.
func (r *raft) until(n int) {
	r.t.Helper()
	late := time.After(2 * ovsdbtest.Patience)
	for {
		select {
		case made := <-r.progress:
			if made >= n {
				return
			}
		case <-late:
			r.t.Fatalf("%d changes of %d are made", r.made.Load(), n)
		}
	}
}

// all wants every follower to have all of n changes in time, the database to have each once, on
// each member, and the followers to say so.
func (r *raft) all(n int) {
	r.t.Helper()
	last := time.Now()
	for i, f := range r.fleet {
		f.await(r.t, fmt.Sprintf("follower %d has all", i), func(news policydb.News) bool {
			return news.Err == nil && news.Table.Len() == n && news.NextCfg == int(r.waited.Load())
		})
	}
	took := time.Since(last)
	r.t.Logf("all have the last change %v after it was made; %d answers were lost", took.Round(time.Millisecond), r.unknown.Load())
	if took > currentWithin {
		r.t.Errorf("want %v", currentWithin)
	}
	for _, s := range r.cluster.Members {
		read := func(table, column string) []string {
			out := s.Run("ovsdb-client", "--timeout=20", "--no-leader-only", "--format=csv", "--no-headings", "dump", s.Endpoint(), "Flowshunt", table, column)
			return strings.Fields(out)[2:] // behind "TABLE table"
		}
		var names []string // a member that was away catches up after the others
		if !ovsdbtest.Eventually(func() bool {
			names = read("Offload_Policy", "name")
			return len(names) >= n
		}) || len(names) != n {
			r.t.Errorf("%s has %d policies, want %d", s.Endpoint(), len(names), n)
		}
		if slices.Sort(names); len(slices.Compact(names)) != len(names) {
			r.t.Errorf("%s has some policies twice: %s", s.Endpoint(), names)
		}
		if next := read("Flowshunt", "next_cfg"); len(next) != 1 || next[0] != fmt.Sprint(r.waited.Load()) {
			r.t.Errorf("%s has next_cfg %s, want %d", s.Endpoint(), next, r.waited.Load())
		}
	}
	if code, _, stderr := ctlAt(r.t.Context(), r.remotes, fmt.Sprintf("--timeout=20 wait-until Flowshunt . next_cfg=%d", r.waited.Load())); code != 0 {
		r.t.Errorf("next_cfg: %s", stderr)
	}
	for i := range r.fleet {
		line := fmt.Sprintf("--timeout=20 wait-until Node node-%d cur_cfg=%d policies=%d", i, r.waited.Load(), n)
		if code, _, stderr := ctlAt(r.t.Context(), r.remotes, line); code != 0 {
			r.t.Errorf("node %d: %s", i, stderr)
		}
	}
	if _, out, _ := ctlAt(r.t.Context(), r.remotes, "--bare --columns=system_id list Node"); len(strings.Fields(out)) != len(r.fleet) {
		r.t.Errorf("nodes: %s", out)
	}
}

// tellLatency prints how long it was from the beginning of each commit to each follower's news: of the changes
// that began after one time and were made before another.
func (r *raft) tellLatency(what string, from, to time.Time) {
	r.mu.Lock()
	began := map[int]time.Time{}
	for i, at := range r.began {
		if !at.Before(from) && r.ended[i].Before(to) {
			began[i] = at
		}
	}
	r.mu.Unlock()
	var all latency
	var each []string
	for _, f := range r.fleet {
		l := f.latencies(began)
		all = append(all, l...)
		each = append(each, fmt.Sprintf("%v/%v", l.at(0.5), l.at(0.99)))
	}
	slices.Sort(all)
	if len(all) > 0 && all[0] < 0 {
		r.t.Errorf("a change was told before it was made: %v", all[0])
	}
	r.t.Logf("%s: %d changes, %d followers: from commit to news %v; p50/p99 of each follower: %s", what, len(began), len(r.fleet), all, strings.Join(each, " "))
}

// The leader of a cluster dies in the middle of 100 changes and comes back: nothing is lost,
// nothing is made twice, and all 20 followers have all of it within 5 s.
func TestRaftLeaderDies(t *testing.T) {
	rounds, changes := 1, 100
	if os.Getenv("FLOWSHUNT_SLOW") != "" {
		rounds, changes = 5, 200
	}
	r := newRaft(t, 20)
	for round := range rounds {
		first := round * changes
		began := time.Now()
		group := r.change(first, first+changes)
		r.until(first + changes/2)
		leader := r.cluster.Leader()
		died := time.Now()
		leader.Kill()
		r.until(first + changes*3/4)
		leader.Start()
		r.cluster.Joined(leader)
		group.Wait()
		r.all(first + changes)
		r.tellLatency("made before the leader died", began, died)
		r.tellLatency("all", began, time.Now())
	}
}

// Members change roles, lose the others, and stand still, under way: no follower stays at one that
// is behind, and no change is lost.
func TestRaftWeather(t *testing.T) {
	if os.Getenv("FLOWSHUNT_SLOW") == "" {
		t.Skip("FLOWSHUNT_SLOW is not set")
	}
	t.Parallel()
	const each = 20
	r := newRaft(t, 6)
	made := 0
	during := func(what string, act func() (undo func())) {
		t.Helper()
		began := time.Now()
		group := r.change(made, made+each)
		r.until(made + each/4)
		undo := act()
		group.Wait() // also without that member
		undo()
		made += each
		r.all(made)
		r.tellLatency(what, began, time.Now())
	}

	lost := r.losses()
	during("the leader hands over", func() func() {
		from, to := r.cluster.Transfer()
		if from == to {
			t.Error("to itself")
		}
		return func() {}
	})
	if n := r.losses(); n != lost {
		t.Errorf("%d connections were lost, though every member is good for reading", n-lost)
	}

	cut := r.cluster.Followers(r.cluster.Leader())[0]
	during("a follower is cut off", func() func() {
		r.cluster.Cut(cut)
		r.leave(cut)
		return func() {
			r.cluster.Mend(cut)
			r.cluster.Joined(cut)
		}
	})

	frozen := r.cluster.Leader()
	during("the leader stands still", func() func() {
		frozen.Signal(syscall.SIGSTOP)
		r.leave(frozen)
		return func() {
			frozen.Signal(syscall.SIGCONT)
			r.cluster.Joined(frozen)
		}
	})
}

func (r *raft) losses() (n int) {
	for _, f := range r.fleet {
		f.mu.Lock()
		n += f.lost
		f.mu.Unlock()
	}
	return n
}

// leave waits until no follower is at a member any more.
func (r *raft) leave(s *ovsdbtest.Server) {
	r.t.Helper()
	at := func() (n int) {
		for _, f := range r.fleet {
			if connection, _ := f.source.State(); connection.Endpoint.String() == s.Endpoint() || !connection.Synced {
				n++
			}
		}
		return n
	}
	there, begin := at(), time.Now()
	if !ovsdbtest.Eventually(func() bool { return at() == 0 }) {
		r.t.Fatal("followers stay at a member that is behind")
	}
	r.t.Logf("%d followers were there, and have left after %v", there, time.Since(begin).Round(time.Millisecond))
}

// The same with TLS, by the certificates of one authority.
func TestRaftTLS(t *testing.T) {
	t.Parallel()
	authority := ovsdbtest.NewAuthority(t)
	cluster := ovsdbtest.NewCluster(t, policySchema, "Flowshunt", 3, func(s *ovsdbtest.Server) { authority.Serve(s, nil) })
	var list []string
	for _, s := range cluster.Members {
		list = append(list, "ssl:127.0.0.1:"+s.Listen("pssl:0:127.0.0.1"))
	}
	remotes := strings.Join(list, ",")
	cert, key := authority.Issue("client", nil)
	files := client.TLS{PrivateKey: key, Certificate: cert, CACert: authority.File}
	r := raftOf(t, cluster, 3, policydb.Config{Remotes: remotes, TLS: files},
		fmt.Sprintf("%s --private-key=%s --certificate=%s --ca-cert=%s", remotes, key, cert, authority.File))
	group := r.change(0, 16)
	r.until(4)
	cluster.Leader().Kill()
	group.Wait()
	if n := r.losses(); n == 0 {
		t.Log("nobody was at the leader")
	}
	for _, s := range cluster.Members {
		if !s.Running() {
			s.Start()
			cluster.Joined(s)
		}
	}
	r.all(16)
	if code, _, stderr := ctlAt(t.Context(), remotes, "list-policies"); code != 1 || !strings.Contains(stderr, "ssl") {
		t.Errorf("without a certificate: exit code %d, %s", code, stderr)
	}
}
