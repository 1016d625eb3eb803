package ovsdb

import (
	"maps"
	"reflect"
	"slices"

	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/ovsdb/flowshunt"
	"github.com/flowshunt/flowshunt/pkg/policy"
	"github.com/flowshunt/flowshunt/pkg/wire"
)

// follower makes news of rows: a client.Handler. The table outlives a connection, for it has
// the last good form of each policy.
type follower struct {
	tell   func(News)
	writer *writer
	news   News

	policies map[string]policy.Spec // by uuid
	profiles map[string]policy.ProfileSpec
	wires    map[string]wire.Row
	stands   map[rowID]string // column status
	nodes    map[string]bool  // our rows of table Node
}

// rowID names a row that has a status.
type rowID struct{ table, uuid string }

// Synced starts again from what the server has.
func (f *follower) Synced(all client.Batch) {
	f.policies, f.profiles, f.wires = map[string]policy.Spec{}, map[string]policy.ProfileSpec{}, map[string]wire.Row{}
	f.stands, f.nodes = map[rowID]string{}, map[string]bool{}
	f.news.NextCfg, f.news.Options = 0, nil
	f.apply(all)
	f.compile()
	f.compileWires()
	f.writer.noteStatus(f.wanted(), f.stands)
	f.writer.connected(f.nodes)
	f.pass(nil)
}

// Changed passes on what concerns the caller.
func (f *follower) Changed(some client.Batch) {
	told := f.apply(some)
	if told.rules {
		f.compile()
	}
	if told.wires {
		f.compileWires()
	}
	f.writer.noteNodes(f.nodes)
	f.writer.noteStatus(f.wanted(), f.stands)
	if told != (kinds{}) {
		f.pass(nil)
	}
}

// Lost keeps what was read.
func (f *follower) Lost(err error) { f.pass(err) }

func (f *follower) pass(err error) {
	f.news.Err = err
	f.tell(f.news)
}

// kinds says what changed: policies or profiles, wires, or what else is told.
type kinds struct{ rules, wires, others bool }

// apply notes changes in their order, and says of what they are.
func (f *follower) apply(changes client.Batch) (told kinds) {
	for _, c := range changes {
		switch c.Table {
		case flowshunt.OffloadPolicyTable:
			told.rules = note(f, c, f.policies, specOf, func(r *flowshunt.OffloadPolicy) string { return r.Status }) || told.rules
		case flowshunt.DecryptionProfileTable:
			told.rules = note(f, c, f.profiles, profileOf, func(r *flowshunt.DecryptionProfile) string { return r.Status }) || told.rules
		case flowshunt.WireTable:
			told.wires = note(f, c, f.wires, wireOf, func(r *flowshunt.Wire) string { return r.Status }) || told.wires
		case flowshunt.FlowshuntTable:
			if g := client.Row[flowshunt.Flowshunt](c.New); g != nil {
				f.news.NextCfg, f.news.Options = g.NextCfg, g.Options
				told.others = true
			}
		case flowshunt.NodeTable:
			if delete(f.nodes, c.UUID); c.New != nil {
				f.nodes[c.UUID] = true
			}
		}
	}
	return told
}

// note puts a row into specs, its status aside, and reports whether specs changed.
func note[R, S any](f *follower, c client.Change, specs map[string]S, specOf func(*R) S, status func(*R) string) bool {
	id := rowID{c.Table, c.UUID}
	row := client.Row[R](c.New)
	if row == nil {
		delete(specs, c.UUID)
		delete(f.stands, id)
		return true
	}
	f.stands[id] = status(row)
	spec := specOf(row)
	if old, ok := specs[c.UUID]; ok && reflect.DeepEqual(old, spec) {
		return false
	}
	specs[c.UUID] = spec
	f.writer.forget(id)
	return true
}

// compile makes the next table. Rows are taken in the order of their uuids, so that all
// agents come to the same.
func (f *follower) compile() {
	f.news.Table, f.news.Problems = policy.Compile(inOrder(f.policies), inOrder(f.profiles), f.news.Table)
}

// compileWires makes the next list of wires.
func (f *follower) compileWires() {
	f.news.Wires, f.news.WireProblems = wire.Compile(inOrder(f.wires), f.news.Wires)
}

func inOrder[S any](rows map[string]S) []S {
	list := make([]S, 0, len(rows))
	for _, uuid := range slices.Sorted(maps.Keys(rows)) {
		list = append(list, rows[uuid])
	}
	return list
}

// wanted returns what shall stand in the column status of rows with problems.
func (f *follower) wanted() map[rowID]string {
	wanted := map[rowID]string{}
	for _, p := range f.news.WireProblems {
		if !p.Here {
			wanted[rowID{flowshunt.WireTable, p.ID}] = clean(p.Text)
		}
	}
	if len(f.news.Problems) == 0 {
		return wanted
	}
	policies, profiles := map[string]string{}, map[string]string{}
	for _, p := range f.news.Problems {
		texts := policies
		if p.Profile {
			texts = profiles
		}
		if texts[p.Name] != "" {
			texts[p.Name] += "; "
		}
		texts[p.Name] += p.Text
	}
	for uuid, s := range f.policies {
		if text := policies[s.Name]; text != "" {
			wanted[rowID{flowshunt.OffloadPolicyTable, uuid}] = clean(text)
		}
	}
	for uuid, s := range f.profiles {
		if text := profiles[s.Name]; text != "" {
			wanted[rowID{flowshunt.DecryptionProfileTable, uuid}] = clean(text)
		}
	}
	return wanted
}
