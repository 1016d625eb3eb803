package agent

import (
	"context"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/conntrack"
	"github.com/flowshunt/flowshunt/pkg/control"
	"github.com/flowshunt/flowshunt/pkg/version"
)

// backend answers the control API from snapshots of the engine.
type backend Agent

// Show implements control.Backend.
func (b *backend) Show(ctx context.Context) (control.Status, error) {
	s := control.Status{
		Version: version.Get().String(), Mode: control.ModeObserve, Now: time.Now(),
		Uptime: time.Since(b.began), Ready: (*Agent)(b).ready(),
	}
	if b.cfg.Engine.Enforce {
		s.Mode = control.ModeEnforce
	}
	for _, c := range b.parts {
		s.Components = append(s.Components, c.get())
	}
	if d := b.dumper.last.Load(); d != nil {
		s.LastDump = control.Dump{At: d.at, Took: d.took, Entries: d.entries}
	}
	var used map[engine.State]int
	var onPorts map[flows.PortID]engine.PortUse
	var counts engine.Counts
	var tables []engine.Table
	err := b.loop.ask(ctx, func(e *engine.Engine) {
		used, onPorts, counts, tables = e.Used(), e.OnPorts(), e.Counts(), e.Tables()
	})
	if err != nil {
		return s, err
	}
	if t := b.ports.now.Load(); t != nil {
		s.ObserveReason = ""
		if b.cfg.Engine.Enforce {
			s.ObserveReason = t.forced
		}
		s.Ports = showPorts(t, onPorts, b.groups.standing)
	}
	s.Wires = b.wires.show()
	s.Budgets, s.Tables = b.budgets(used, counts), b.tables(tables)
	return s, nil
}

// showPorts tells of each port whether it can be used; standing says what sources of
// security groups have against one.
func showPorts(t *portTable, uses map[flows.PortID]engine.PortUse, standing func(flows.LogicalPort) (flows.Reason, string)) []control.Port {
	list := make([]control.Port, 0, len(t.list))
	for _, p := range t.list {
		shown := control.Port{
			Name: p.Name, Bridge: p.Bridge, Ifindex: p.Ifindex, Usable: p.reason == "",
			Reason: p.reason, Detail: p.detail, Sessions: uint64(uses[p.ID].Sessions), Candidates: uint64(uses[p.ID].Candidates),
		}
		if shown.Usable && p.logical != "" {
			shown.Reason, shown.Detail = standing(p.logical)
			shown.Usable = shown.Reason == ""
		}
		p.hardware.show(&shown)
		list = append(list, shown)
	}
	return list
}

func (b *backend) budgets(used map[engine.State]int, counts engine.Counts) []control.Budget {
	sessions, followed := 0, 0
	for state, n := range used {
		if state != engine.Observed && state != engine.Resolving {
			sessions += n
		}
	}
	for _, n := range counts.Followed {
		followed += n
	}
	list := []control.Budget{
		{Name: "sessions", Unit: "sessions", Used: uint64(sessions), Limit: uint64(b.cfg.Engine.Capacity)},
		{Name: "followed", Unit: "connections", Used: uint64(followed), Limit: uint64(b.cfg.Engine.MaxFollow)},
	}
	if usage, err := conntrack.ReadUsage(0); err == nil {
		list = append(list, control.Budget{Name: "conntrack", Unit: "entries", Used: usage.Count, Limit: usage.Max})
	}
	return list
}

func (b *backend) tables(tables []engine.Table) []control.Table {
	list := make([]control.Table, len(tables))
	for i, t := range tables {
		list[i] = control.Table{
			Eswitch: t.Eswitch, Rules: uint64(t.Rules), Believed: uint64(t.Believed), Window: uint64(t.Window),
			Installing: uint64(t.Installing), PerSecond: t.PerSecond, Waiting: uint64(t.Waiting), Refused: t.Refused,
			Shut: t.Shut,
		}
		if t.LearnedAt > 0 {
			list[i].LearnedAt = b.loop.clock.wall(t.LearnedAt)
		}
	}
	return list
}

// Sessions implements control.Backend.
func (b *backend) Sessions(ctx context.Context, all bool) (iter.Seq[control.Session], error) {
	var views []engine.View
	err := b.loop.ask(ctx, func(e *engine.Engine) {
		if all {
			views = e.Followed()
		} else {
			views = e.Wanted()
		}
	})
	if err != nil {
		return nil, err
	}
	return func(yield func(control.Session) bool) {
		for i := range views {
			if !yield(b.session(&views[i])) {
				return
			}
		}
	}, nil
}

func (b *backend) session(v *engine.View) control.Session {
	return control.Session{
		ID: v.Session, Tuple: v.Key.Tuple, Zones: v.Zones, State: stateOf(v), Verdict: v.Verdict,
		Reason: v.Reason, Detail: v.Detail, Rate: uint64(v.Rate), SlowBytes: v.SlowBytes,
		Offloaded: v.Hardware, Since: b.loop.clock.wall(v.Since),
		In: b.ports.name(v.Paths[flows.Orig].In), Out: b.ports.name(v.Paths[flows.Orig].Out), InHW: v.InHW,
	}
}

func stateOf(v *engine.View) control.State {
	if v.Session == 0 {
		if v.Verdict == flows.Offload {
			return control.StateCandidate
		}
		return control.StateFollowing
	}
	switch v.State {
	case engine.Resolving:
		return control.StateResolving
	case engine.Observed:
		return control.StateCandidate
	case engine.Adopting:
		return control.StateAdopting
	case engine.Offloaded:
		return control.StateOffloaded
	case engine.Removing:
		return control.StateRemoving
	}
	return control.StateInstalling
}

// Stats implements control.Backend.
func (b *backend) Stats(ctx context.Context) ([]control.Stat, error) {
	var counts engine.Counts
	var used map[engine.State]int
	if err := b.loop.ask(ctx, func(e *engine.Engine) { counts, used = e.Counts(), e.Used() }); err != nil {
		return nil, err
	}
	taps := b.taps.taps.Stats()
	list := []control.Stat{
		{Name: "installs", Value: counts.Installs},
		{Name: "installs_failed", Value: counts.InstallsFailed},
		{Name: "installs_refused", Value: counts.InstallsRefused},
		{Name: "removals_failed", Value: counts.RemovalsFailed},
		{Name: "keepalives", Value: counts.KeepAlives},
		{Name: "hints", Value: counts.Hints},
		{Name: "dumps", Value: counts.Dumps},
		{Name: "unfollowed_reads", Value: counts.Unfollowed},
		{Name: "offloaded_bytes", Value: counts.Offloaded.Bytes},
		{Name: "offloaded_packets", Value: counts.Offloaded.Packets},
		{Name: "event_overruns", Value: b.listener.overruns.Load()},
		{Name: "tap_sightings", Value: taps.Sightings},
		{Name: "tap_overruns", Value: taps.Overruns},
	}
	for _, reason := range slices.Sorted(maps.Keys(counts.Followed)) {
		list = append(list, labelled("connections", "reason", string(reason), uint64(counts.Followed[reason])))
	}
	for _, reason := range slices.Sorted(maps.Keys(counts.Removals)) {
		list = append(list, labelled("removals", "cause", string(reason), counts.Removals[reason]))
	}
	for _, state := range slices.Sorted(maps.Keys(used)) {
		list = append(list, labelled("sessions", "state", state.String(), uint64(used[state])))
	}
	return list, nil
}

func labelled(name, key, value string, n uint64) control.Stat {
	return control.Stat{Name: name, Labels: map[string]string{key: value}, Value: n}
}
