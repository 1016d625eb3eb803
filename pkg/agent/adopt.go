package agent

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/flower"
)

// adoptWait is how long what an earlier agent left may stand unjudged, because ports,
// connections and wires are not known yet.
const adoptWait = 10 * time.Second

// wiresWait is the same of wires alone: where the policy database is away nobody tells of any,
// and what is revoked must not wait for it.
const wiresWait = 4 * time.Second

// takeOver makes what an earlier agent left in the eswitch ours, for the engine to
// judge. In mode observe nothing may be there.
func (a *Agent) takeOver(ctx context.Context) error {
	if a.driver != nil {
		defer func() { // of what could be found
			var err error
			if a.standing, err = a.driver.Standing(ctx); err != nil {
				a.log.Warn("what an earlier agent left may stay (flowshuntctl flush)", "error", err)
			}
		}()
	}
	if !a.cfg.Engine.Enforce {
		return a.sweep(ctx)
	}
	var err error
	for range sweepAttempts { // devices come and go under it
		if err = a.takeRules(ctx); err == nil {
			break
		}
	}
	return err
}

// takeRules removes what other preferences have first: ranges of preferences can
// overlap, and what it removes must not be adopted before.
func (a *Agent) takeRules(ctx context.Context) error {
	if err := a.sweepOthers(ctx); err != nil {
		return err
	}
	var strays int
	var err error
	a.found, strays, err = a.eswitch.Adopt(ctx)
	if strays > 0 {
		a.log.Warn("removed rules that an earlier agent left half done", "rules", strays)
	}
	return err
}

// adopt hands what was found to the engine, once that knows the ports and connections
// by which it is judged, and the wires that it is on. It installs nothing before.
func (a *Agent) adopt(ctx context.Context) error {
	began := time.Now()
	wired := func() bool { return a.wires.known() || time.Since(began) > wiresWait }
	for asked := false; !a.ports.told.Load() || !a.dumper.whole.Load() || !wired(); pause(ctx, tick) {
		if !asked && a.ports.told.Load() { // a dump from before is not whole
			a.dumper.soon()
			asked = true
		}
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(began) > adoptWait {
			a.log.Warn("judging the rules of an earlier agent without having seen everything")
			break
		}
	}
	for _, s := range a.found {
		a.user.installed(s.ID, s.Rules)
	}
	a.loop.post(engine.RulesFound{Sessions: foundSessions(a.found, a.ports.now.Load())})
	if n := len(a.found); n > 0 {
		a.log.Info("took over sessions of an earlier agent", "sessions", n, "after", time.Since(began))
	}
	a.found = nil
	a.ports.inherited <- a.standing // only now: what was found may stand there
	return nil
}

// foundSessions turns devices into ports. One whose rules are not as this agent would
// install them has no port where packets come in.
func foundSessions(adopted []eswitch.Adopted, t *portTable) []engine.FoundSession {
	byLink := make(map[int32]flows.PortID)
	if t != nil {
		for _, p := range t.list {
			if p.Ifindex > 0 {
				byLink[p.Ifindex] = p.ID
			}
		}
	}
	found := make([]engine.FoundSession, 0, len(adopted))
	for _, a := range adopted {
		f := engine.FoundSession{ID: a.ID, Count: a.Count, InHW: a.InHW}
		var ins [2][]int32
		for _, r := range a.Rules {
			ins[r.Dir] = append(ins[r.Dir], r.In)
			f.Tuples[r.Dir] = r.Tuple
			f.Paths[r.Dir] = flows.Path{Out: byLink[r.Out], Frame: r.Frame, Change: r.Change}
		}
		for dir := range f.Paths {
			// by which one member of a bond packets leave, there they come in
			port := f.Paths[flows.Dir(dir).Opposite()].Out
			if in, _, _ := t.places(port); sameSet(in, ins[dir]) {
				f.Paths[dir].In = port
			}
		}
		found = append(found, f)
	}
	return found
}

func sameSet(a, b []int32) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// sweepOthers removes the rules that an agent with another --preference has left.
func (a *Agent) sweepOthers(ctx context.Context) error {
	if a.driver == nil {
		return nil
	}
	others, err := a.driver.Preferences(ctx)
	if err != nil {
		return err
	}
	for _, preference := range others {
		if preference == cmp.Or(a.cfg.Preference, flower.DefaultPreference) {
			continue
		}
		n, err := sweepAt(ctx, preference)
		if n > 0 {
			a.log.Warn("removed rules that an agent with another preference left", "rules", n)
		}
		if err != nil {
			return fmt.Errorf("preference %d: %w", preference, err)
		}
	}
	return nil
}
