// Package model is an eswitch in memory: a driver for tests and benchmarks of
// what stands above it. It has a capacity, takes its time, refuses, loses rules
// and counts as it is told to, and never touches the machine.
package model

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
)

// Config says how the model behaves. The zero value has no limits.
type Config struct {
	Capacity   int           // rules; 0 means no limit
	Delay      time.Duration // that each change takes
	Generation uint8         // of the rules it makes
	Unguarded  bool          // it takes rules without the guards that they need, as tc does

	// Fail, if not nil, is asked before each change; an error refuses it. It may be
	// called from several goroutines at once and must not call the model.
	Fail func(eswitch.Change) error
}

// Model is a driver for eswitch.New. It is safe for concurrent use.
type Model struct {
	cfg Config

	mu      sync.Mutex
	links   map[int32]bool // whether prepared
	rules   map[eswitch.Ref]*entry
	byMatch map[flows.Rule]eswitch.Ref // by what matchOf leaves of the rule
	bySlot  map[slot]map[eswitch.Ref]*entry
}

type slot struct {
	link  int32
	class eswitch.Class
}

type entry struct {
	session    flows.SessionID
	generation uint8
	rule       flows.Rule
	count      flows.Counters
	software   bool // hardware does not have it any more
}

// New returns a model with the given ports.
func New(cfg Config, links ...int32) *Model {
	m := &Model{
		cfg:     cfg,
		links:   make(map[int32]bool),
		rules:   make(map[eswitch.Ref]*entry),
		byMatch: make(map[flows.Rule]eswitch.Ref),
		bySlot:  make(map[slot]map[eswitch.Ref]*entry),
	}
	for _, link := range links {
		m.links[link] = false
	}
	return m
}

// Prepare implements eswitch.Driver.
func (m *Model) Prepare(ctx context.Context, link int32) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.links[link]; !ok {
		return fmt.Errorf("ifindex %d: %w", link, eswitch.ErrPortGone)
	}
	m.links[link] = true
	return ctx.Err()
}

// Release implements eswitch.Driver.
func (m *Model) Release(ctx context.Context, link int32) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.links[link]; ok {
		m.links[link] = false
	}
	return ctx.Err()
}

// Links implements eswitch.Driver.
func (m *Model) Links(ctx context.Context) ([]int32, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var links []int32
	for link, prepared := range m.links {
		if prepared {
			links = append(links, link)
		}
	}
	return links, ctx.Err()
}

// Apply implements eswitch.Driver.
func (m *Model) Apply(ctx context.Context, changes []eswitch.Change) {
	for i := range changes {
		c := &changes[i]
		if c.Err = m.wait(ctx); c.Err != nil {
			continue
		}
		if m.cfg.Fail != nil {
			if c.Err = m.cfg.Fail(*c); c.Err != nil {
				continue
			}
		}
		m.apply(c)
	}
}

// wait spends the time that a change takes.
func (m *Model) wait(ctx context.Context) error {
	if m.cfg.Delay == 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(m.cfg.Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *Model) apply(c *eswitch.Change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.Op == eswitch.Delete {
		m.delete(c.Ref)
		return
	}
	if c.Err = m.refusal(c); c.Err != nil {
		return
	}
	e := &entry{session: c.Session, generation: m.cfg.Generation, rule: c.Rule}
	m.rules[c.Ref] = e
	m.byMatch[matchOf(c.Rule)] = c.Ref
	at := slot{c.Ref.Link, c.Ref.Class}
	if m.bySlot[at] == nil {
		m.bySlot[at] = make(map[eswitch.Ref]*entry)
	}
	m.bySlot[at][c.Ref] = e
	c.InHW = true
}

// refusal says why a rule cannot be added. m.mu is held.
func (m *Model) refusal(c *eswitch.Change) error {
	prepared, ok := m.links[c.Ref.Link]
	if _, out := m.links[c.Rule.Out]; !ok || !out && c.Session != 0 {
		return eswitch.ErrPortGone
	}
	if !prepared {
		return eswitch.ErrNotPrepared
	}
	if m.cfg.Capacity > 0 && len(m.rules) >= m.cfg.Capacity {
		return eswitch.ErrFull
	}
	if guard, needed := eswitch.GuardOf(c.Rule); needed && !m.cfg.Unguarded && !m.has(guard) {
		return errUnguarded
	}
	_, sameRef := m.rules[c.Ref]
	_, sameMatch := m.byMatch[matchOf(c.Rule)]
	if sameRef || sameMatch {
		return eswitch.ErrExists
	}
	return nil
}

// errUnguarded is the answer to who adds a rule before the guard that it needs.
var errUnguarded = errors.New("a rule that takes hops off, without its guard")

// matchOf is what two rules of one place cannot have in common.
func matchOf(r flows.Rule) flows.Rule {
	return flows.Rule{In: r.In, Frame: r.Frame, Tuple: r.Tuple}
}

// has reports whether a rule is there. m.mu is held.
func (m *Model) has(r flows.Rule) bool {
	_, ok := m.byMatch[matchOf(r)]
	return ok
}

// delete forgets a rule. m.mu is held.
func (m *Model) delete(ref eswitch.Ref) bool {
	e := m.rules[ref]
	if e == nil {
		return false
	}
	delete(m.rules, ref)
	delete(m.byMatch, matchOf(e.rule))
	delete(m.bySlot[slot{ref.Link, ref.Class}], ref)
	return true
}

// Rules implements eswitch.Driver.
func (m *Model) Rules(ctx context.Context, scope eswitch.Scope, fn func(*eswitch.Found)) error {
	for _, f := range m.snapshot(scope) {
		fn(&f)
	}
	return ctx.Err()
}

func (m *Model) snapshot(scope eswitch.Scope) (found []eswitch.Found) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for c := eswitch.Class(1); c <= eswitch.AllClasses; c++ {
		if scope.Class != 0 && scope.Class != c {
			continue
		}
		for ref, e := range m.bySlot[slot{scope.Link, c}] {
			f := eswitch.Found{Ref: ref, Session: e.session, Generation: e.generation, Count: e.count, Hardware: e.count, InHW: !e.software}
			if scope.Detail {
				f.Rule, f.Intact = e.rule, true
			}
			found = append(found, f)
		}
	}
	return found
}
