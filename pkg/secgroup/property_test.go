package secgroup_test

import (
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
	samples, permitted, lost := 0, 0, 0
	for run := range uint64(150) {
		w := &world{Rand: rand.New(rand.NewPCG(s, run))}
		c, n := secgroup.NewCompiler(), newNaive()
		old, _ := c.Apply(&secgroup.Update{})
		for step := range 60 {
			u := w.update()
			switch {
			case step == 0:
				u = w.first()
			case w.one(10):
				other := newNaive()
				other.ports, other.rules, other.sets = maps.Clone(n.ports), maps.Clone(n.rules), n.sets
				other.apply(u)
				u = snapshot(other)
			}
			fail := func(format string, args ...any) {
				t.Helper()
				t.Fatalf("run %d, step %d: %s", run, step, fmt.Sprintf(format, args...))
			}
			packets := make([]packet, 80)
			before := make([]flows.Permission, len(packets))
			for i := range packets {
				packets[i] = w.packet()
				before[i] = old.Judge(packets[i].port, packets[i].dir, packets[i].tuple)
			}
			table, change := c.Apply(u)
			n.apply(u)
			for i, p := range packets {
				samples++
				now := table.Judge(p.port, p.dir, p.tuple)
				if complaint := compare(n, table, p, now); complaint != "" {
					fail("%s", complaint)
				}
				if now.Reason == "" {
					permitted++
				}
				if again := old.Judge(p.port, p.dir, p.tuple); again != before[i] {
					fail("%v: the old table said %v and says %v", p, before[i], again)
				}
				if needed(table, before[i], now) {
					lost++
					if !covers(change, p, before[i]) {
						fail("%v was %v (%s), is %v (%s): not in %+v", p, before[i], old.Describe(before[i].Rule), now, table.Describe(now.Rule), change)
					}
				}
			}
			old = table
		}
		table, change := c.Apply(snapshot(n))
		if !isEmpty(change) {
			t.Fatalf("run %d: told the same again: %+v", run, change)
		}
		if table.Size() != old.Size() {
			t.Fatalf("run %d: size was %+v, is %+v", run, old.Size(), table.Size())
		}
	}
	t.Logf("%d samples, %d permitted, %d not any more", samples, permitted, lost)
	if permitted < samples/20 || lost < samples/1000 {
		t.Error("the samples show too little")
	}
}

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
