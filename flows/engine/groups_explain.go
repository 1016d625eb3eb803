package engine

import (
	"fmt"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
)

// refusalDetail says at which end, and by what, a session is refused; or permitted.
func (g *Engine) refusalDetail(r refusal) string {
	text := fmt.Sprintf("%s of %s", r.direction, r.port)
	if r.source == nobody {
		return text + ": nobody tells what it permits"
	}
	src := &g.sources[r.source]
	return fmt.Sprintf("%s by %s: %s", text, src.name, src.detail(r.port, r.Permission))
}

// detail says for a person what a permission rests on.
func (src *permissionSource) detail(port flows.LogicalPort, p flows.Permission) string {
	switch {
	case src.permissions == nil, src.stale != 0 && p.Reason == flows.SGUnknown:
		return src.why
	case p.Rule != 0:
		return src.permissions.Describe(p.Rule)
	case p.Reason == "":
		return "port security is off, or what no rule denies is permitted"
	case p.Reason == flows.SGDenied:
		return "no rule permits it"
	}
	return src.permissions.Detail(port)
}

// usedToPermit names the rules that permitted a session until now at the same end, by the word
// of each source: one of them may call it by a name that tells more.
func (g *Engine) usedToPermit(r refusal, why news) string {
	var by []string
	for i := range g.sources {
		permissions := g.sources[i].permissions
		if i == why.source {
			permissions = why.before
		}
		if permissions == nil {
			continue
		}
		if p := permissions.Judge(r.port, r.direction, r.tuple); p.Reason == "" && p.Rule != 0 {
			by = append(by, permissions.Describe(p.Rule))
		}
	}
	if len(by) == 0 {
		return ""
	}
	return "; until now by " + strings.Join(by, ", ")
}

// EndCheck is the name of the checks about security groups.
const EndCheck = "security groups"

// ExplainGroups says what the security groups of both ends of a path decide about a
// connection, source by source; id is that of its session, or 0, and original how packets
// of the original direction come in.
func (g *Engine) ExplainGroups(id flows.SessionID, paths flows.Paths, original flows.Tuple) (list []Check) {
	s := g.sessions[id]
	if s == nil {
		s = &session{tuple: original, paths: paths}
	}
	for _, e := range g.ends(s) {
		name := fmt.Sprintf("%s: %s", EndCheck, e.direction)
		if len(g.sources) == 0 {
			list = append(list, Check{Name: name, Outcome: Failed, Reason: flows.SGUnknown, Detail: g.refusalDetail(refusal{end: e, source: nobody})})
		}
		for i := range g.sources {
			p := g.sources[i].permission(s, &e)
			c := Check{Name: name, Reason: p.Reason, Detail: g.refusalDetail(refusal{e, p, i})}
			if p.Reason != "" {
				c.Outcome = Failed
			}
			list = append(list, c)
		}
	}
	return list
}
