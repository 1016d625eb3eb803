package flower

import (
	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/tc"
)

// tagChange is how the tags of a packet become others: some of the outermost are taken
// off, then the outermost that is left is changed, then others are put around it.
type tagChange struct {
	pops   int
	modify flows.Tag // zero: none is
	push   [2]flows.Tag
	pushes int
}

// retag returns the shortest way from tags to others. Bare asks for at most one tag to
// be there after some are taken off.
func retag(from, to flows.Tags, bare bool) (c tagChange) {
	least := 0 // to be taken off
	if bare {
		least = max(0, from.Len()-1)
	}
	a, b := from[:from.Len()], to[:to.Len()]
	for len(a) > least && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	c.pops = len(a)
	if len(a) > least && len(b) > 0 {
		c.pops--
		c.modify, b = b[len(b)-1], b[:len(b)-1]
	}
	for i := len(b) - 1; i >= 0; i-- {
		c.push[c.pushes] = b[i]
		c.pushes++
	}
	return c
}

func (c *tagChange) appendPops(to []tc.Action) []tc.Action {
	for range c.pops {
		to = append(to, tc.Action{Kind: tc.KindVLAN, Verdict: tc.Pipe, VLAN: tc.VLANChange{Op: tc.VLANPop}})
	}
	return to
}

func (c *tagChange) appendRest(to []tc.Action) []tc.Action {
	if !c.modify.IsZero() {
		to = append(to, tagAction(tc.VLANModify, c.modify))
	}
	for _, tag := range c.push[:c.pushes] {
		to = append(to, tagAction(tc.VLANPush, tag))
	}
	return to
}

func tagAction(op tc.VLANOp, tag flows.Tag) tc.Action {
	return tc.Action{Kind: tc.KindVLAN, Verdict: tc.Pipe,
		VLAN: tc.VLANChange{Op: op, TCI: tc.VLANTag(tag.ID, tag.Priority), Protocol: tag.Type}}
}
