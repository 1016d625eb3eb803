package engine

import (
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

// offload brings a marked UDP connection through all states.
func offload(t *testing.T) (*Engine, flows.SessionID) {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Enforce, cfg.Mark.Offload = true, MaskedMark{Value: 4, Mask: 4}
	g := newEngineWithPorts(cfg)
	rec := established(7, 100)
	rec.Key.Tuple.Proto, rec.Mark = flows.UDP, 4
	rec.Reply = rec.Key.Tuple.Reverse()
	step := func(at time.Duration, ev Event) []Effect { return g.Step(flows.Instant(at), []Event{ev}) }
	resolve := step(1*time.Second, EntriesRead{At: flows.Instant(time.Second), Entries: []flows.Entry{rec}})[0].(Resolve)
	paths := flows.Paths{{In: 1, Out: 2}, {In: 2, Out: 1}}
	install := step(2*time.Second, PathResolved{Session: resolve.Session, Op: resolve.Op, Paths: paths, Tuples: untranslated(resolve)})[0].(Install)
	read := step(3*time.Second, Installed{Session: install.Session, Op: install.Op})[0].(Read)
	step(4*time.Second, SessionRead{Session: read.Session, Op: read.Op, At: flows.Instant(4 * time.Second), Found: []flows.Entry{rec}})
	if views := g.Sessions(); len(views) != 1 || views[0].State != Offloaded {
		t.Fatalf("not offloaded: %+v", views)
	}
	return g, resolve.Session
}

// A path that is refused after it was used takes the session's rules out.
func TestPathRefused(t *testing.T) {
	g, id := offload(t)
	effects := g.Step(flows.Instant(5*time.Second), []Event{PathsDoubted{}})
	ask, ok := effects[0].(Validate)
	if !ok || ask.Session != id {
		t.Fatalf("effects %v, want a question", effects)
	}
	effects = g.Step(flows.Instant(5*time.Second), []Event{
		Validated{Session: id + 1, Op: ask.Op, Reason: flows.PathDropped},
		Validated{Session: id, Op: ask.Op, Reason: flows.PathChanged, Detail: "moved"}})
	if len(effects) != 1 {
		t.Fatalf("effects %v, want one removal", effects)
	}
	remove, ok := effects[0].(Remove)
	if !ok || remove.Session != id || remove.Cause != flows.PathChanged {
		t.Errorf("got %+v", effects[0])
	}
	g.Step(flows.Instant(6*time.Second), []Event{Removed{Session: id, Op: remove.Op}})
	if v := g.Followed()[0]; v.Reason != flows.PathChanged || v.Detail != "moved" {
		t.Errorf("reason %q (%s)", v.Reason, v.Detail)
	}
}
