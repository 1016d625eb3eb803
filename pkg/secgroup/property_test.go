package secgroup_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// seed returns a new seed, or the one of FLOWSHUNT_SEED, and prints it.
func seed(t testing.TB) uint64 {
	s := rand.Uint64()
	if env := os.Getenv("FLOWSHUNT_SEED"); env != "" {
		var err error
		if s, err = strconv.ParseUint(env, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("FLOWSHUNT_SEED=%d", s)
	return s
}

// TestTableEqualsNaive shows that after any sequence of updates the Table judges as the
// naive matcher does, that its Change names everything that is judged otherwise, and that
// the Table before is what it was.
func TestTableEqualsNaive(t *testing.T) {
	s := seed(t)
	var sum tally
	for run := range uint64(100) {
		sum.add(play(t, &world{Rand: rand.New(rand.NewPCG(s, run))}, 50, 60))
		if t.Failed() {
			t.Fatalf("in run %d", run)
		}
	}
	t.Logf("%+v", sum)
	if sum.permitted < sum.samples/20 || sum.lost < sum.samples/1000 {
		t.Error("the samples show too little")
	}
}

// TestCloudEqualsNaive shows the same for much at once.
func TestCloudEqualsNaive(t *testing.T) {
	for _, c := range clouds {
		u, n := c.update(), newNaive()
		n.apply(u)
		table, _ := secgroup.NewCompiler().Apply(u)
		for _, p := range c.packets(40) {
			if complaint := compare(n, table, p, p.judge(table)); complaint != "" {
				t.Errorf("%s: %s", c.name, complaint)
			}
		}
	}
}

// FuzzUpdates does the same with what fuzzing makes of the choices.
func FuzzUpdates(f *testing.F) {
	f.Add([]byte("security groups"))
	f.Fuzz(func(t *testing.T, data []byte) {
		play(t, &world{Rand: rand.New(&choices{data, rand.NewPCG(1, 2)})}, 5, 30)
	})
}

// choices are random numbers that are given; then others, since rand wants some again.
type choices struct {
	given []byte
	then  *rand.PCG
}

func (c *choices) Uint64() uint64 {
	if len(c.given) < 4 {
		return c.then.Uint64()
	}
	n := binary.BigEndian.Uint32(c.given)
	c.given = c.given[4:]
	return uint64(n)<<32 | uint64(n)
}

// tally counts connections: how many were judged, permitted, and not permitted any more, or
// by another rule, after an update.
type tally struct{ samples, permitted, lost int }

func (a *tally) add(b tally) {
	a.samples += b.samples
	a.permitted += b.permitted
	a.lost += b.lost
}

// play applies updates and judges packets before and after each.
func play(t *testing.T, w *world, steps, packets int) (sum tally) {
	t.Helper()
	c, n := secgroup.NewCompiler(), newNaive()
	old, _ := c.Apply(&secgroup.Update{})
	for step := range steps {
		u := w.update()
		switch {
		case step == 0:
			u = w.first()
		case w.one(10):
			u = told(n, u)
		}
		sample := make([]packet, packets)
		before := make([]flows.Permission, packets)
		for i := range sample {
			sample[i] = w.packet()
			before[i] = sample[i].judge(old)
		}
		table, change := c.Apply(u)
		n.apply(u)
		if got, want := table.Size(), n.size(); got != want {
			t.Errorf("step %d: size %+v, want %+v", step, got, want)
			return sum
		}
		for i, p := range sample {
			now := p.judge(table)
			if complaint := compare(n, table, p, now); complaint != "" {
				t.Errorf("step %d: %s", step, complaint)
				return sum
			}
			if again := p.judge(old); again != before[i] {
				t.Errorf("step %d: %v: the old table said %v and says %v", step, p, before[i], again)
				return sum
			}
			if needed(table, before[i], now) {
				sum.lost++
				if !covers(change, p, before[i]) {
					t.Errorf("step %d: %v was %v (%s), is %v (%s): not in %+v", step, p,
						before[i], old.Describe(before[i].Rule), now, table.Describe(now.Rule), change)
					return sum
				}
			}
			if now.Reason == "" {
				sum.permitted++
			}
			sum.samples++
		}
		old = table
	}
	table, change := c.Apply(snapshot(n))
	if !isEmpty(change) {
		t.Errorf("told the same again: %+v", change)
	}
	if got, want := table.Size(), n.size(); got != want {
		t.Errorf("told the same again: size %+v, want %+v", got, want)
	}
	return sum
}

// told returns what u does as all that there is after it.
func told(n *naive, u *secgroup.Update) *secgroup.Update {
	after := newNaive()
	after.ports, after.rules = maps.Clone(n.ports), maps.Clone(n.rules)
	for id, s := range n.sets {
		after.sets[id] = maps.Clone(s)
	}
	after.apply(u)
	return snapshot(after)
}

func (p packet) judge(t *secgroup.Table) flows.Permission { return t.Judge(p.port, p.dir, p.tuple) }

func compare(n *naive, table *secgroup.Table, p packet, got flows.Permission) string {
	reason, rules := n.judge(p.port, p.dir, p.tuple)
	name := table.Describe(got.Rule)
	isOne := slices.ContainsFunc(rules, func(r *secgroup.Rule) bool { return r.Name == name })
	if got.Reason == reason && (got.Rule == 0 && len(rules) == 0 || isOne) {
		return ""
	}
	var names []string
	for _, r := range rules {
		names = append(names, r.Name)
	}
	return fmt.Sprintf("%v: got %q by %q, want %q by %q", p, got.Reason, name, reason, names)
}

// needed reports whether a session that was permitted must be looked at again.
func needed(table *secgroup.Table, before, now flows.Permission) bool {
	return before.Reason == "" && (now.Reason != "" || before.Rule != 0 && table.Describe(before.Rule) == "")
}

func covers(c secgroup.Change, p packet, before flows.Permission) bool {
	return c.All || slices.Contains(c.Ports, p.port) ||
		before.Rule != 0 && slices.Contains(c.Rules, before.Rule) ||
		slices.Contains(c.Addrs, p.tuple.Src) || slices.Contains(c.Addrs, p.tuple.Dst)
}

func isEmpty(c secgroup.Change) bool {
	return !c.All && len(c.Ports)+len(c.Rules)+len(c.Addrs) == 0
}
