package engine

import "github.com/flowshunt/flowshunt/flows"

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
	for other := g.entries.group(e.key.Tuple); other != nil; other = other.next {
		switch s := other.session; {
		case s == nil:
		case s.state == Resolving:
			g.resolve(s)
		default:
			g.doubtPath(s)
		}
	}
	for _, s := range g.claims[e.key.Tuple] {
		g.doubtPath(s)
	}
}

// States returns what a pipeline can see of all connections with a tuple. One that
// is closing is left out, since another may stand in its zone already.
func (g *Engine) States(tuple flows.Tuple) []flows.ZoneState {
	var list []flows.ZoneState
	for e := g.entries.group(tuple); e != nil; e = e.next {
		if !e.closed {
			list = append(list, flows.ZoneState{
				Zone: e.key.Zone, Mark: e.mark, Labels: g.labelsOf(e), Tuple: e.key.Tuple, Reply: e.key.Tuple.Reverse(),
			})
		}
	}
	return list
}
