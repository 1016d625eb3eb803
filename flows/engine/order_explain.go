package engine

import (
	"cmp"
	"fmt"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// OrderOutcome is what has become of an order about an entry.
type OrderOutcome uint8

const (
	OrderDone    OrderOutcome = iota + 1 // it is so
	OrderWaits                           // it stands, and something is in its way
	OrderRefused                         // it does not stand
)

// OrderState says what has become of an order.
type OrderState struct {
	Outcome OrderOutcome
	Busy    bool // more is to come in a moment
	Reason  flows.Reason
	Detail  string
	// Remembered says that Mark.Never is set: the next agent will know.
	Remembered bool
	Session    flows.SessionID // 0: it has none
}

// OrderState says what has become of an order about an entry.
func (g *Engine) OrderState(kind OrderKind, key flows.EntryKey) OrderState {
	e := g.entries.get(key)
	if e == nil {
		reason := flows.Gone
		if g.entries.size >= g.cfg.MaxFollow {
			reason = flows.TooManyFollow
		}
		return OrderState{Outcome: OrderRefused, Reason: reason}
	}
	st := OrderState{Outcome: OrderDone, Reason: e.reason, Detail: e.detail, Remembered: g.cfg.Mark.Never.Matches(e.mark)}
	s := g.sessionOf(e)
	if s != nil {
		st.Session = s.id
	}
	if kind == OrderOffload {
		g.offloadState(e, s, &st)
		return st
	}
	if s != nil && s.state.hasRules() {
		st.Outcome, st.Busy, st.Detail = OrderWaits, true, "its rules are on their way out"
	}
	return st
}

// HasRules reports whether rules of a session may be in an eswitch.
func (g *Engine) HasRules(id flows.SessionID) bool {
	s := g.sessions[id]
	return s != nil && s.state.hasRules()
}

func (g *Engine) offloadState(e *entry, s *session, st *OrderState) {
	switch {
	case e.denied || e.closed:
		st.Outcome = OrderRefused
	case s != nil && s.state == Offloaded:
		st.Reason = s.reason
	case s != nil && s.state == Observed:
		st.Outcome, st.Reason = OrderWaits, cmp.Or(g.forced, flows.ModeSwitched)
		st.Detail = "mode observe"
	case s != nil:
		st.Outcome, st.Busy, st.Detail = OrderWaits, true, "it is "+s.state.String()
	default:
		o := g.orderOf(e)
		st.Outcome = OrderWaits
		st.Busy = e.queue != nil || o.marked && st.Remembered && o.tries < rememberTries ||
			e.verdict == flows.Offload && e.reason == flows.PathUnknown // its next packet may tell
		st.Detail = cmp.Or(e.detail, g.waitDetail(e))
	}
}

// Foresee says what would become of an order about an entry as it was just read, as far as
// that is known. It changes nothing.
func (g *Engine) Foresee(kind OrderKind, unmark bool, rec *flows.Entry) OrderState {
	e := g.entries.get(rec.Key)
	st := OrderState{Outcome: OrderDone, Reason: kind.reason(), Remembered: g.cfg.Mark.Remembers()}
	if e != nil && g.sessionOf(e) != nil {
		st.Session = g.sessionOf(e).id
	}
	if e == nil && g.entries.size >= g.cfg.MaxFollow {
		st.Outcome, st.Reason = OrderRefused, flows.TooManyFollow
		return st
	}
	if kind != OrderOffload {
		return st
	}
	st.Remembered = false
	then := *rec
	if unmark || e != nil && g.orders[e].marked {
		then.Mark &^= g.cfg.Mark.Never.Mask
	}
	why := g.cfg.Eligible(&then)
	switch {
	case e != nil && (e.denied || e.closed):
		st.Outcome, st.Reason, st.Detail = OrderRefused, e.reason, e.detail
		return st
	case why == flows.Midstream && e != nil && e.established:
		why = ""
	}
	if why == "" && e != nil {
		why, st.Detail = g.foreseen(e)
	}
	if why != "" {
		st.Outcome, st.Reason = OrderWaits, why
	}
	return st
}

// foreseen says what an order to offload would wait for, or "".
func (g *Engine) foreseen(e *entry) (flows.Reason, string) {
	if s := e.session; s != nil && s.state == Offloaded {
		return "", ""
	}
	if why, detail := g.barred(e); why != "" {
		return why, detail
	}
	if g.policies == nil {
		return flows.PolicyUnknown, ""
	}
	d := g.decisionOf(e)
	if reason, detail := g.against(d, true); reason != "" && (e.decided.in[flows.Orig] != 0 || d.Doubt == 0 && d.Hope == 0) {
		return reason, detail
	}
	if reason, detail := g.unmet(e, d.Policy, flows.OrderOffload); reason != "" {
		return reason, detail
	}
	if !g.cfg.Enforce {
		return cmp.Or(g.forced, flows.ModeSwitched), "mode observe"
	}
	return "", ""
}

// OrderCheck is the name of the check about an operator's order.
const OrderCheck = "order"

// explainOrder says which order stands about an entry, since when and until when.
func (g *Engine) explainOrder(e *entry) (c Check, stands bool) {
	o := g.orderOf(e)
	if o.kind == 0 {
		return c, false
	}
	ago := g.now.Sub(o.since).Round(time.Second)
	until := "until it ends"
	if o.until != 0 {
		until = fmt.Sprintf("for %s more", o.until.Sub(g.now).Round(time.Second))
	}
	c = Check{Name: OrderCheck}
	switch o.kind {
	case OrderOffload:
		c.Detail = fmt.Sprintf("offload, since %s, %s", ago, until)
		return c, true
	case OrderInspect:
		c.Detail = fmt.Sprintf("inspect, since %s, %s", ago, until)
	default:
		c.Detail = fmt.Sprintf("revoked %s ago, for good", ago)
	}
	if !g.cfg.Mark.Never.Matches(e.mark) {
		c.Detail += "; another agent would not know"
	}
	c.Outcome, c.Reason = Failed, o.kind.reason()
	return c, true
}
