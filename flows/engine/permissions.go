package engine

import (
	"net/netip"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// Permissions says what the security groups of logical ports permit, as one source knows it at
// one moment. It never changes, and may be asked from any goroutine.
type Permissions interface {
	// Judge says whether the first packet of a connection may pass a port.
	Judge(port flows.LogicalPort, d flows.Direction, original flows.Tuple) flows.Permission
	// Describe names a rule for a person.
	Describe(flows.RuleRef) string
	// Detail says for a person why nothing is permitted on a port, where that is so.
	Detail(flows.LogicalPort) string
}

// permissionSource is what one source has told. All of them must permit a connection.
type permissionSource struct {
	name        string
	permissions Permissions   // nil: nothing yet
	revision    uint64        // as PermissionsChanged.Revision
	enforced    uint64        // as PermissionsEnforced.Revision
	label       bool          // as PermissionsChanged.Label
	stale       flows.Instant // since when it may be behind; 0: it is not
	why         string        // it is
	lapsed      bool          // for longer than Config.PermissionGrace
}

func newSources(names []string, now flows.Instant) []permissionSource {
	list := make([]permissionSource, len(names))
	for i, name := range names {
		list[i] = permissionSource{name: name, stale: now, why: "nothing was told yet"}
	}
	return list
}

// permissionsChanged judges again what a change can concern, and nothing else.
func (g *Engine) permissionsChanged(ev *PermissionsChanged) {
	src := &g.sources[ev.Source]
	before := src.permissions
	*src = permissionSource{name: src.name, permissions: ev.Permissions, revision: ev.Revision, enforced: src.enforced, label: ev.Label}
	g.revision++
	list := g.concerned(ev)
	if before == nil { // what stands on trust was judged by nobody
		list = slices.Clone(g.list)
	}
	why := news{ev.Source, before}
	g.rejudge(list, why)
	g.rejudgeDeparted(why)
}

// concerned returns the sessions that a change names.
func (g *Engine) concerned(ev *PermissionsChanged) (list []*session) {
	for _, port := range ev.Ports {
		for _, id := range g.logical[port] {
			list = append(list, g.onPort[id]...)
		}
	}
	for _, rule := range ev.Rules {
		list = g.byRule.appendTo(list, ruleKey{ev.Source, rule})
	}
	for _, addr := range ev.Addrs {
		list = g.byAddr.appendTo(list, addr)
	}
	return list
}

// permissionsStale lets nothing new be offloaded; what is there may stay for a while.
func (g *Engine) permissionsStale(ev PermissionsStale) {
	src := &g.sources[ev.Source]
	if src.why = ev.Why; src.stale == 0 {
		src.stale = g.now
		g.revision++
	}
}

// checkGrace ends the sessions that rest on a source which has said nothing for too long.
func (g *Engine) checkGrace() {
	for i := range g.sources {
		src := &g.sources[i]
		if src.stale == 0 || src.lapsed || g.now.Sub(src.stale) < g.cfg.PermissionGrace {
			continue
		}
		src.lapsed = true
		g.revision++
		g.rejudge(slices.Clone(g.list), news{source: i})
	}
}

// permission is what one source says about one end of a session.
func (src *permissionSource) permission(s *session, at *end) flows.Permission {
	hold := src.stale == 0 || !src.lapsed && s.state.hasRules()
	switch {
	case !hold:
		return flows.Permission{Reason: flows.SGUnknown}
	case src.permissions == nil:
		return flows.Permission{}
	}
	return src.permissions.Judge(at.port, at.direction, at.tuple)
}

// ruleKey names a rule of a source.
type ruleKey struct {
	source int
	rule   flows.RuleRef
}

// standing is what the permission of a session rests on, by which it is found.
type standing struct {
	judged uint64 // Engine.revision when that was found out
	rules  []*member[ruleKey]
	addrs  []*member[netip.Addr]
}
