package engine

import (
	"cmp"
	"fmt"

	"github.com/flowshunt/flowshunt/flows"
)

// Outcome is how a check ended.
type Outcome uint8

// NotReached means that an earlier check failed and the question never came up.
const (
	OK Outcome = iota
	Failed
	Unknown
	NotReached
)

// Check is one line of an explanation.
type Check struct {
	Name    string
	Outcome Outcome
	Reason  flows.Reason // why it failed; empty otherwise
	Detail  string
}

// Explanation says, check by check, why an entry is or is not offloaded.
type Explanation struct {
	Entry   flows.Entry
	View    View // zero unless Known
	Known   bool // the entry is followed
	Checks  []Check
	Verdict flows.Verdict
	Reason  flows.Reason
}

// PathCheck is the name of the check about the path of a session, which View.Paths
// has; only the caller knows the names of ports.
const PathCheck = "path"

// Explain judges an entry as it was just read from the kernel, without changing
// anything.
func (g *Engine) Explain(rec *flows.Entry) Explanation {
	x := Explanation{Entry: *rec}
	e := g.entries.get(rec.Key)
	for i := range checks {
		x.add(g.explainCheck(&checks[i], e, rec))
	}
	x.Reason = firstFailure(x.Checks)
	if e == nil {
		x.add(Check{Name: "followed", Outcome: Unknown, Detail: g.whyNotFollowed()})
		if x.Reason == "" {
			x.Reason = flows.Mouse
		}
		return x
	}
	x.Known, x.View = true, g.view(e)
	x.Verdict = e.verdict
	x.add(Check{Name: "followed", Detail: fmt.Sprintf("for %s", g.now.Sub(e.first).Round(1e8))})
	if c, stands := g.explainOrder(e); stands {
		x.add(c)
	}
	if _, own := g.policies.(elephants); !own {
		x.add(g.explainPolicy(e))
	}
	x.add(g.explainWorth(e))
	x.Checks = append(x.Checks, g.explainSession(e)...)
	if x.Reason == "" {
		x.Reason = e.reason
	}
	return x
}

func (x *Explanation) add(c Check) { x.Checks = append(x.Checks, c) }

func (g *Engine) explainCheck(c *check, e *entry, rec *flows.Entry) Check {
	out := Check{Name: c.name}
	if c.detail != nil {
		out.Detail = c.detail(rec)
	}
	if !c.fails(&g.cfg, rec) {
		return out
	}
	if c.reason == flows.Midstream && e != nil && e.established {
		return out
	}
	out.Outcome, out.Reason = Failed, c.reason
	return out
}

func (g *Engine) whyNotFollowed() string {
	if g.entries.size >= g.cfg.MaxFollow {
		return fmt.Sprintf("%s: %d connections are followed already", flows.TooManyFollow, g.entries.size)
	}
	return "not seen by a poll yet"
}

// explainWorth compares an entry with the thresholds.
func (g *Engine) explainWorth(e *entry) Check {
	var t flows.Terms
	if g.policies != nil {
		if d := g.decisionOf(e); d.Hope != 0 {
			t = g.policies.Terms(d.Hope)
		}
	}
	c := Check{Name: "worth an entry", Detail: fmt.Sprintf("%d bytes (from %d), %.0f bytes/s (from %.0f), age %s (from %s)",
		e.bytes, t.Bytes, max(e.rate, 0), t.Rate, e.seen.Sub(e.first).Round(1e8), t.Age)}
	switch {
	case g.sessionOf(e) != nil:
		c.Detail = string(g.sessionOf(e).reason)
	case e.asked && e.verdict == flows.Offload:
		c.Detail = string(g.whyAsked(e))
	case !e.isElephant(&t):
		c.Outcome, c.Reason = Failed, flows.Mouse
	}
	return c
}

// explainSession tells how far the offload has come, or what stopped it.
func (g *Engine) explainSession(e *entry) []Check {
	s := g.sessionOf(e)
	names := [...]string{PathCheck, "rules installed", "read again after"}
	list := make([]Check, len(names))
	for i := range names {
		list[i] = Check{Name: names[i], Outcome: NotReached}
	}
	if s == nil {
		if e.verdict == flows.Offload {
			list[0] = Check{Name: "offload", Outcome: Failed, Reason: e.reason, Detail: cmp.Or(e.detail, g.waitDetail(e))}
			if wait := e.notBefore.Sub(g.now); wait > 0 {
				list[0].Detail += fmt.Sprintf(" (next attempt in %s)", wait.Round(1e8))
			}
		}
		return list[:1]
	}
	if s.state > Resolving {
		list[0] = Check{Name: PathCheck}
	}
	switch {
	case s.state == Observed:
		list[1].Detail = "mode observe"
		if g.forced != "" {
			list[1].Detail = string(g.forced)
		}
	case s.state.allRules():
		list[1].Outcome = OK
	}
	if s.state >= Offloaded {
		list[2].Outcome = OK
	}
	return list
}

// waitDetail says what an entry waits for.
func (g *Engine) waitDetail(e *entry) string {
	if e.queue == nil {
		return ""
	}
	for r, rules := range e.queue.home.each {
		if r.free() < rules {
			return fmt.Sprintf("eswitch %q has %d rules and is believed to hold %d", r.id, r.used(), r.belief.limit)
		}
	}
	return fmt.Sprintf("%d of %d sessions", len(g.sessions), g.cfg.Capacity)
}

func firstFailure(list []Check) flows.Reason {
	for _, c := range list {
		if c.Outcome == Failed {
			return c.Reason
		}
	}
	return ""
}
