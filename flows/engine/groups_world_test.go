package engine

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// groupKey is what a rule of the simulated security groups permits: a share of the
// connections in one direction at one port.
type groupKey struct {
	port  flows.LogicalPort
	d     flows.Direction
	share uint16
}

const shares = 3

// groups is what one source says that security groups permit. It never changes.
type groups struct {
	rules   map[groupKey]flows.RuleRef
	outside map[netip.Addr]bool // addresses that are in no set any more
	unknown map[flows.LogicalPort]bool
}

func (p *groups) Judge(port flows.LogicalPort, d flows.Direction, t flows.Tuple) flows.Permission {
	rule := p.rules[groupKey{port, d, t.SrcPort % shares}]
	switch {
	case p.unknown[port]:
		return flows.Permission{Reason: flows.SGUnknown}
	case rule == 0 || p.outside[t.Src] || p.outside[t.Dst]:
		return flows.Permission{Reason: flows.SGDenied}
	}
	return flows.Permission{Rule: rule}
}

func (p *groups) Describe(r flows.RuleRef) string      { return fmt.Sprint("rule ", r) }
func (p *groups) Detail(port flows.LogicalPort) string { return string(port) }

func (p *groups) clone() *groups {
	return &groups{maps.Clone(p.rules), maps.Clone(p.outside), maps.Clone(p.unknown)}
}

// groupSource is one source of them.
type groupSource struct {
	now      *groups
	told     *groups       // nil: nothing yet
	silentTo flows.Instant // it tells nothing before; 0: it tells
	revision uint64
	last     flows.RuleRef
}

// logicalOf names the ports that have security groups, one of three.
func logicalOf(id flows.PortID) flows.LogicalPort {
	if id%3 != 1 {
		return ""
	}
	return flows.LogicalPort(fmt.Sprint("port-", id))
}

// zoneOf returns the zone that a port tells; see connect.
func zoneOf(id flows.PortID) (flows.Zone, bool) {
	return flows.Zone(100 + id - 1), id > portsNum/2
}

func (w *world) newGroups() {
	for range w.cfg.PermissionSources {
		s := &groupSource{now: &groups{map[groupKey]flows.RuleRef{}, map[netip.Addr]bool{}, map[flows.LogicalPort]bool{}}}
		for id := range flows.PortID(portsNum) {
			for d := range flows.Direction(2) {
				for share := range uint16(shares) {
					s.last++
					s.now.rules[groupKey{logicalOf(id + 1), d, share}] = s.last
				}
			}
		}
		w.sources = append(w.sources, s)
	}
	w.tellGroups()
}

// tellGroups has all sources tell a new agent, which knows nothing, all that they know.
func (w *world) tellGroups() {
	for i, s := range w.sources {
		s.told = nil
		if w.agents > 0 && !w.quiet && w.chance(0.3) { // the database is slower than what reads the rules
			s.silentTo = w.now.Add(time.Duration(w.rng.Int64N(int64(w.cfg.PermissionGrace / 2))))
		}
		if s.silentTo == 0 {
			w.tell1(i)
		}
	}
}

// tell1 has a source tell what is different from what it told before, as a compiler would
// find it out.
func (w *world) tell1(i int) {
	s := w.sources[i]
	ev := PermissionsChanged{Source: i, Permissions: s.now, Revision: s.revision, At: w.now, Label: w.chance(0.2)}
	if s.told != nil {
		for _, ref := range s.told.rules {
			if !slices.Contains(slices.Collect(maps.Values(s.now.rules)), ref) {
				ev.Rules = append(ev.Rules, ref)
			}
		}
		for addr := range s.now.outside {
			if !s.told.outside[addr] {
				ev.Addrs = append(ev.Addrs, addr)
			}
		}
		for port := range s.now.unknown {
			if !s.told.unknown[port] {
				ev.Ports = append(ev.Ports, port)
			}
		}
	}
	slices.Sort(ev.Rules)
	slices.SortFunc(ev.Addrs, netip.Addr.Compare)
	slices.Sort(ev.Ports)
	s.told = s.now
	w.events = append(w.events, ev)
}

// changeGroups lets somebody edit the security groups that concern a connection.
func (w *world) changeGroups(c *conn) {
	i := w.rng.IntN(len(w.sources))
	s := w.sources[i]
	if s.silentTo != 0 && w.now >= s.silentTo {
		s.silentTo = 0
		w.tell1(i)
		return
	}
	d := flows.Direction(w.rng.IntN(2))
	port := logicalOf(c.ports[d])
	t := c.at(int(d))
	key := groupKey{port, d, t.SrcPort % shares}
	s.now = s.now.clone()
	s.revision++
	switch w.rng.IntN(12) {
	case 0, 1, 2, 6:
		delete(s.now.rules, key)
	case 3:
		s.now.outside[t.Src] = true
	case 4:
		s.now.unknown[port] = true
	case 5:
		if w.chance(0.5) {
			return
		}
		if s.silentTo != 0 {
			return
		}
		s.silentTo = w.now.Add(time.Duration(w.rng.Int64N(int64(3 * w.cfg.PermissionGrace / 2))))
		w.events = append(w.events, PermissionsStale{Source: i, Why: "silent"})
		return
	default: // what was taken is given back, by other rules
		for id := range flows.PortID(portsNum) {
			for share := range uint16(shares) {
				if key := (groupKey{logicalOf(id + 1), d, share}); s.now.rules[key] == 0 {
					s.last++
					s.now.rules[key] = s.last
				}
			}
		}
		clear(s.now.outside)
		clear(s.now.unknown)
	}
	if s.silentTo == 0 {
		w.tell1(i)
	}
}

// denyMeanwhile takes a permission back while no agent runs.
func (w *world) denyMeanwhile(c *conn) {
	s := w.sources[w.rng.IntN(len(w.sources))]
	d := flows.Direction(w.rng.IntN(2))
	s.now = s.now.clone()
	s.revision++
	delete(s.now.rules, groupKey{logicalOf(c.ports[d]), d, c.at(int(d)).SrcPort % shares})
}

// enforceGroups lets the slow path follow what was told, later.
func (w *world) enforceGroups() {
	for i, s := range w.sources {
		if w.chance(0.02) {
			if w.chance(0.05) {
				s.revision = 0 // of a database that was wiped
			}
			w.events = append(w.events, PermissionsEnforced{Source: i, Revision: s.revision})
		}
	}
}

// denyEntries sets the bit of the CMS.
func (w *world) denyEntries(e Deny) {
	for _, d := range e.Entries {
		if k := w.entries[d.Key]; k != nil {
			k.Mark |= 1
			w.bad(k)
		}
	}
}

// toldGroups is what the engine was told by one source.
type toldGroups struct {
	permissions Permissions
	stale       flows.Instant // since when it may be behind; 0: it is not
	enforced    uint64
}

// deliverGroups notes what the engine is about to be told.
func (l *ledger) deliverGroups(w *world, ev Event) {
	switch ev := ev.(type) {
	case PermissionsChanged:
		src := l.group(w, ev.Source)
		src.permissions, src.stale = ev.Permissions, 0
		l.noteDenied(w)
	case PermissionsStale:
		if src := l.group(w, ev.Source); src.stale == 0 {
			src.stale = w.now
		}
	case PermissionsEnforced:
		l.group(w, ev.Source).enforced = ev.Revision
	}
}

func (l *ledger) group(w *world, i int) *toldGroups {
	for len(l.groups) < len(w.cfg.PermissionSources) {
		l.groups = append(l.groups, toldGroups{stale: w.now})
	}
	return &l.groups[i]
}

// against returns why the sources are against a session with these ports, or "".
func (l *ledger) against(paths flows.Paths, t flows.Tuple) (why flows.Reason) {
	for i := range l.groups {
		for d, id := range [...]flows.PortID{paths[0].In, paths[0].Out} {
			port := logicalOf(id)
			if port == "" || l.groups[i].permissions == nil {
				continue
			}
			at := [...]flows.Tuple{t, paths[0].Addressed(t)}[d]
			if p := l.groups[i].permissions.Judge(port, flows.Direction(d), at); why != flows.SGDenied && p.Reason != "" {
				why = p.Reason
			}
		}
	}
	return why
}

func secured(paths flows.Paths) bool {
	return logicalOf(paths[0].In) != "" || logicalOf(paths[0].Out) != ""
}

// noteDenied remembers the entries of sessions that were just denied, for ever.
func (l *ledger) noteDenied(w *world) {
	for _, s := range w.engine.sessions {
		if !s.state.hasRules() || l.left[s.id] || l.against(s.paths, s.tuple) != flows.SGDenied {
			continue
		}
		for _, key := range w.engine.keysOf(s) {
			l.denied[key] = true
		}
	}
	for _, d := range w.engine.departed {
		if w.now < d.until && l.against(d.paths, d.tuple) == flows.SGDenied {
			for _, key := range w.engine.keysOf(d.session) {
				l.denied[key] = true
			}
		}
	}
}

// checkGroups is the part of promise 1 that is about security groups: it holds at once.
func (l *ledger) checkGroups(w *world) {
	for _, s := range w.engine.sessions {
		if !s.bound() || !secured(s.paths) {
			continue
		}
		if why := l.against(s.paths, s.tuple); why != "" {
			l.fail(1, "session %v is %s, and its security groups say %s", s.id, s.state, why)
		}
		for i, src := range l.groups {
			if src.stale != 0 && w.now.Sub(src.stale) >= w.cfg.PermissionGrace && s.state.hasRules() {
				l.fail(1, "session %v is %s, and source %d is silent since %v", s.id, s.state, i, w.now.Sub(src.stale))
			}
		}
	}
	for _, s := range w.engine.sessions {
		l.checkFiled(w, s)
	}
}

// checkFiled checks that a session that stands on rules is found by them.
func (l *ledger) checkFiled(w *world, s *session) {
	if !s.bound() || !secured(s.paths) || len(w.engine.sources) == 0 {
		return
	}
	for _, m := range s.standing.rules {
		if w.engine.byRule.heads[m.key] == nil {
			l.fail(3, "session %v is not found by the rule that permits it", s.id)
		}
	}
}

// orderedGroups checks an installation.
func (l *ledger) orderedGroups(w *world, e Install) {
	if !secured(e.Paths) {
		return
	}
	for i := range w.cfg.PermissionSources {
		if src := l.group(w, i); src.stale != 0 || src.permissions == nil {
			l.fail(1, "%v is installed while source %d is silent", e.Tuples[0], i)
		}
	}
}

// orderedDeny checks that a bit is set only where it belongs.
func (l *ledger) orderedDeny(w *world, e Deny) {
	for _, d := range e.Entries {
		justified := false
		for id := range flows.PortID(portsNum) {
			zone, told := zoneOf(id + 1)
			for dir := range flows.Direction(2) {
				for i := range l.groups {
					src := &l.groups[i]
					justified = justified || told && zone == d.Key.Zone && src.permissions != nil &&
						src.permissions.Judge(logicalOf(id+1), dir, d.Key.Tuple).Reason != ""
				}
			}
		}
		if !justified {
			l.fail(3, "the network service's bit is set in %v, which it does not deny", d.Key)
		}
		if e := w.engine.entries.get(d.Key); e == nil || !e.denied {
			l.fail(3, "the network service's bit is set in %v, which was no session that is denied", d.Key)
		}
		l.denied[d.Key] = true
	}
}
