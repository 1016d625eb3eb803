package ovn_test

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
	"github.com/flowshunt/flowshunt/pkg/secgroup/ovn"
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

// source makes a source of one of a central's databases.
type source func(c *central) (*ovn.Source, error)

func southbound(c *central) (*ovn.Source, error) {
	return ovn.NewSouthbound(ovn.Config{Remotes: c.southbound(), Chassis: chassis})
}

func northbound(c *central) (*ovn.Source, error) {
	return ovn.NewNorthbound(ovn.Config{Remotes: c.northbound()})
}

// follow runs a source until it is stopped or the test ends.
func follow(t testing.TB, c *central, of source) *follower {
	t.Helper()
	f := &follower{t: t, compiler: secgroup.NewCompiler()}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	s, err := of(c)
	if err != nil {
		t.Fatal(err)
	}
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
	a, b := f.named(), o.named()
	return differs("port", a.ports, b.ports) + differs("rule", a.rules, b.rules) + differs("set", f.sets, o.sets)
}

// sum is what updates come to, with groups named after their ports: a source of the
// Northbound database numbers switches in the order in which it sees them.
type sum struct {
	ports map[flows.LogicalPort]secgroup.Port
	rules map[secgroup.RuleID]secgroup.Rule
}

func (f *follower) named() sum {
	members := map[secgroup.GroupID][]string{}
	for _, name := range slices.Sorted(maps.Keys(f.ports)) {
		for _, g := range f.ports[name].Groups {
			members[g] = append(members[g], string(name))
		}
	}
	rename := func(groups []secgroup.GroupID) (names []secgroup.GroupID) {
		for _, g := range groups {
			_, name, _ := strings.Cut(strings.ReplaceAll(string(g), ":", "_"), "_")
			names = append(names, secgroup.GroupID(strings.TrimLeft(name, "0123456789")+" of "+strings.Join(members[g], " ")))
		}
		slices.Sort(names)
		return names
	}
	s := sum{map[flows.LogicalPort]secgroup.Port{}, map[secgroup.RuleID]secgroup.Rule{}}
	for name, p := range f.ports {
		q := *p
		q.Groups = rename(p.Groups)
		s.ports[name] = q
	}
	for id, r := range f.rules {
		q := *r
		q.Groups = rename(r.Groups)
		s.rules[id] = q
	}
	return s
}

func differs[K ~string, V any](what string, a, b map[K]V) (text string) {
	keys := map[K]bool{}
	for _, m := range []map[K]V{a, b} {
		for k := range m {
			keys[k] = true
		}
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if !reflect.DeepEqual(a[k], b[k]) {
			text += fmt.Sprintf("\n%s %s: %+v, anew %+v", what, k, a[k], b[k])
		}
	}
	return text
}
