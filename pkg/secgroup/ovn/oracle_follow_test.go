package ovn_test

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"sync"

	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// follower is who a source tells its news to: the Table of all of them, and their sum.
type follower struct {
	t        testing.TB
	stop     func()
	mu       sync.Mutex
	compiler *secgroup.Compiler
	table    *secgroup.Table
	label    bool
	err      error

	ports map[flows.LogicalPort]*secgroup.Port
	rules map[secgroup.RuleID]*secgroup.Rule
	sets  map[secgroup.SetID]map[netip.Prefix]bool
}

// follow runs a source of the Southbound database until it is stopped or the test ends.
func follow(t testing.TB, c *central) *follower {
	t.Helper()
	f := &follower{t: t, compiler: secgroup.NewCompiler()}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	s := source(t, c)
	go func() {
		defer close(ended)
		_ = s.Run(ctx, f.tell)
	}()
	f.stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(f.stop)
	return f
}

func (f *follower) tell(n secgroup.News) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err, f.label = n.Err, n.Label
	if n.Update == nil {
		return
	}
	f.table, _ = f.compiler.Apply(n.Update)
	f.add(n.Update)
}

// add sums up updates.
func (f *follower) add(u *secgroup.Update) {
	if u.Reset {
		f.ports, f.rules, f.sets = nil, nil, nil
	}
	if f.ports == nil {
		f.ports = map[flows.LogicalPort]*secgroup.Port{}
		f.rules = map[secgroup.RuleID]*secgroup.Rule{}
		f.sets = map[secgroup.SetID]map[netip.Prefix]bool{}
	}
	put(f.ports, u.Ports)
	put(f.rules, u.Rules)
	for id, change := range u.Sets {
		if change.Gone {
			delete(f.sets, id)
			continue
		}
		if change.Replace || f.sets[id] == nil {
			f.sets[id] = map[netip.Prefix]bool{}
		}
		for _, p := range change.Remove {
			delete(f.sets[id], p)
		}
		for _, p := range change.Add {
			f.sets[id][p] = true
		}
	}
}

// put sets what is there and deletes what is nil.
func put[K comparable, V any](to, from map[K]*V) {
	for k, v := range from {
		if v == nil {
			delete(to, k)
		} else {
			to[k] = v
		}
	}
}

// at returns the Table when the source has told a mark; the first Table for the zero mark.
func (f *follower) at(c *central, mark netip.Prefix) *secgroup.Table {
	f.t.Helper()
	var table *secgroup.Table
	c.wait("the source to tell of "+mark.String(), func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		table = f.table
		return table != nil && f.err == nil && (f.sets[markSet][mark] || mark == netip.Prefix{})
	})
	return table
}

// difference says what another follower was told otherwise.
func (f *follower) difference(o *follower) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	return differs("port", f.ports, o.ports) + differs("rule", f.rules, o.rules) + differs("set", f.sets, o.sets)
}

func differs[K ~string, V any](what string, a, b map[K]V) (text string) {
	keys := maps.Clone(a)
	maps.Copy(keys, b)
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if !reflect.DeepEqual(a[k], b[k]) {
			text += fmt.Sprintf("\n%s %s: %+v, anew %+v", what, k, a[k], b[k])
		}
	}
	return text
}
