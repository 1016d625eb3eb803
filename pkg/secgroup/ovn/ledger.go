package ovn

import (
	"maps"
	"reflect"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// ledger keeps what was told, so that only what differs is told again. Make it with newLedger.
type ledger struct {
	ports map[flows.LogicalPort]*secgroup.Port
	rules map[secgroup.RuleID]*secgroup.Rule
	sets  map[secgroup.SetID]*addressSet
	news  secgroup.Update // what is to be told
}

func newLedger() *ledger {
	return &ledger{
		ports: map[flows.LogicalPort]*secgroup.Port{},
		rules: map[secgroup.RuleID]*secgroup.Rule{},
		sets:  map[secgroup.SetID]*addressSet{},
		news:  emptyUpdate(),
	}
}

func emptyUpdate() secgroup.Update {
	return secgroup.Update{
		Ports: map[flows.LogicalPort]*secgroup.Port{},
		Rules: map[secgroup.RuleID]*secgroup.Rule{},
		Sets:  map[secgroup.SetID]secgroup.SetChange{},
	}
}

// port notes what is so of a port: nil if there is none.
func (l *ledger) port(name flows.LogicalPort, p *secgroup.Port) {
	note(l.ports, l.news.Ports, name, p)
}

// rule notes what is so of a rule: nil if there is none.
func (l *ledger) rule(id secgroup.RuleID, r *secgroup.Rule) {
	note(l.rules, l.news.Rules, id, r)
}

func note[K comparable, V any](told, news map[K]*V, key K, now *V) {
	old, known := told[key]
	switch {
	case now == nil && !known, now != nil && known && reflect.DeepEqual(old, now):
		return
	case now == nil:
		delete(told, key)
	default:
		told[key] = now
	}
	news[key] = now
}

// set notes what a row says is in a set. It is called once for a set and Update.
func (l *ledger) set(name string, row []string) {
	id := secgroup.SetID(name)
	s := l.sets[id]
	if s == nil {
		s = newAddressSet(row)
		l.sets[id] = s
		l.news.Sets[id] = secgroup.SetChange{Replace: true, Add: s.all()}
		return
	}
	if c := s.become(row); len(c.Add)+len(c.Remove) > 0 {
		l.news.Sets[id] = c
	}
}

// dropSet notes that there is no such set.
func (l *ledger) dropSet(name string) {
	id := secgroup.SetID(name)
	if l.sets[id] != nil {
		delete(l.sets, id)
		l.news.Sets[id] = secgroup.SetChange{Gone: true}
	}
}

// kind returns what decides whether a set can be used.
func (l *ledger) kind(name string) setKind {
	if s := l.sets[secgroup.SetID(name)]; s != nil {
		return s.kind()
	}
	return setKind{}
}

// content returns what is in a set.
func (l *ledger) content(name string, f secgroup.Family) (spans, bool) {
	s := l.sets[secgroup.SetID(name)]
	if s == nil {
		return nil, false
	}
	return s.spans(f), true
}

// take returns what is to be told, and nil if that is nothing.
func (l *ledger) take() *secgroup.Update {
	if len(l.news.Ports)+len(l.news.Rules)+len(l.news.Sets) == 0 {
		return nil
	}
	u := l.news
	l.news = emptyUpdate()
	return &u
}

// all returns a Reset with all that is so, and forgets what was to be told.
func (l *ledger) all() *secgroup.Update {
	u := emptyUpdate()
	u.Reset = true
	maps.Copy(u.Ports, l.ports)
	maps.Copy(u.Rules, l.rules)
	for id, s := range l.sets {
		u.Sets[id] = secgroup.SetChange{Replace: true, Add: s.all()}
	}
	l.news = emptyUpdate()
	return &u
}
