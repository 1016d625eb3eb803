package engine

import (
	"fmt"

	"github.com/flowshunt/flowshunt/flows"
)

// setMarks takes over what a pipeline can see of an entry.
func (g *Engine) setMarks(e *entry, rec *flows.Entry) {
	e.mark = rec.Mark
	if rec.Labels == [16]byte{} {
		g.dropLabels(e)
		return
	}
	e.labelled = true
	g.labels[e] = rec.Labels
}

func (g *Engine) dropLabels(e *entry) {
	if e.labelled {
		e.labelled = false
		delete(g.labels, e)
	}
}

func (g *Engine) labelsOf(e *entry) (labels [16]byte) {
	if e.labelled {
		labels = g.labels[e]
	}
	return labels
}

// readMarks takes over what a pipeline can see of an entry, and doubts the paths that
// were found with what it saw before.
func (g *Engine) readMarks(e *entry, rec *flows.Entry) {
	if e.mark == rec.Mark && g.labelsOf(e) == rec.Labels {
		return
	}
	g.setMarks(e, rec)
	for _, s := range g.entries.sessionsOf(e.key.Tuple) {
		if s.state == Resolving {
			g.resolve(s)
			continue
		}
		g.doubtPath(s)
	}
	for _, s := range g.claimants(e) {
		g.doubtPath(s)
	}
}

// tooManyKin is why a connection is refused of which States cannot tell everything.
var tooManyKin = fmt.Sprintf("more than %d entries may belong to it", maxKin)

// States returns what a pipeline can see of all connections that a packet of a tuple may be
// of; see Resolve. One that is closing is left out, since another may stand in its zone
// already. It is false if there are too many.
func (g *Engine) States(tuple flows.Tuple) (list []flows.ZoneState, ok bool) {
	k := g.entries.kin(tuple)
	for e := range k.each {
		if !e.closed {
			list = append(list, flows.ZoneState{
				Zone: e.key.Zone, Mark: e.mark, Labels: g.labelsOf(e), Tuple: e.key.Tuple, Reply: e.reply(),
			})
		}
	}
	return list, !k.over
}
