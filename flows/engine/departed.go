package engine

import (
	"strings"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// departed is a session that left because OVS does something else now. The reason for that
// may be a change of security groups that the agent has not been told yet: then it is denied
// like one that is still there.
type departed struct {
	*session
	until flows.Instant // for how long that is taken to be possible
}

const (
	// departedFor is longer than a source that works is behind OVS.
	departedFor = 10 * time.Second
	// maxDeparted bounds how many are remembered.
	maxDeparted = 1 << 16
)

// remember keeps a session that is released.
func (g *Engine) remember(s *session) {
	if s.installedAt == 0 || s.denied || len(g.sources) == 0 || !strings.HasPrefix(string(s.cause), "path-") {
		return
	}
	if len(g.departed) == maxDeparted {
		g.departed = g.departed[1:]
	}
	g.departed = append(g.departed, departed{s, g.now.Add(departedFor)})
}

// rejudgeDeparted denies those of them that news deny. Their connections can have got other
// sessions; those are judged by themselves.
func (g *Engine) rejudgeDeparted(why news) {
	for len(g.departed) > 0 && g.now >= g.departed[0].until {
		g.departed[0] = departed{}
		g.departed = g.departed[1:]
	}
	for _, d := range g.departed {
		if d.denied {
			continue
		}
		_, against := g.askGroups(d.session)
		if len(against) == 0 || against[0].Reason != flows.SGDenied {
			continue
		}
		g.denyAt(d.session, against)
		g.denyAll(d.session)
		g.sayDenied(d.session, flows.SGDenied, g.refusalDetail(against[0])+g.usedToPermit(against[0], why))
	}
}
