package metrics

import (
	"context"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
)

// Source is asked at each scrape.
type Source interface {
	// Snapshot returns the agent as it is. Where the engine gives no answer before ctx
	// ends, Snapshot.Engine is nil. It may be called concurrently.
	Snapshot(ctx context.Context) Snapshot
}

// Snapshot is an agent at one moment. What counts must never go back.
type Snapshot struct {
	Started    time.Time
	Mode       Mode
	Ready      bool
	Components []Component
	Ports      map[flows.Reason]int // by why they cannot be used; "" stands for those that can
	Budgets    []Budget
	Busy       time.Duration // of the eswitch with the batch in progress

	Changes     map[string]uint64 // that put paths in doubt, by a fixed word for where they were noticed
	DumpEntries uint64            // of the last dump
	Overruns    uint64            // conntrack events lost, times
	TapMissed   uint64            // packets

	Groups []Groups // sources of security groups
	Wires  []Wire   // that the agent keeps

	Engine *Engine
}

// Groups is a source of security groups.
type Groups struct {
	Source                string
	Ports, Rules, Members int
	Changes               uint64
	Compiling             time.Duration
	Stale                 time.Duration // for how long it has not told what is so; 0: it does
}

// Wire is a virtual wire.
type Wire struct {
	Name, State  string
	For          time.Duration // it has been in that state
	Sent, Missed uint64        // probes, and those that did not come through in time
	Turns        uint64        // changes of its state
}

// Engine is what the engine tells.
type Engine struct {
	Sessions map[engine.State]int
	Counts   engine.Counts
	Tables   []engine.Table
}

// Mode is what the agent was told to do and what it does.
type Mode struct {
	Configured, Effective string       // observe or enforce
	Reason                flows.Reason // why they differ; empty: they do not
}

// Component is a part of the agent, by the name that `show` gives it.
type Component struct {
	Name string
	Up   bool
}

// Budget is a bound and what is used of it.
type Budget struct {
	Name        string
	Used, Limit uint64
}
