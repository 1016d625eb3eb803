package ovn

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/ovsdb/ovnnb"
	"github.com/flowshunt/flowshunt/ovsdb/ovnsb"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// rig is a database and what follows it.
type rig struct {
	testing.TB
	*database
	fresh func() translator
	translator
}

func newRig(t testing.TB, tables []tableRow, file string, fresh func() translator) *rig {
	d, all := load(t, tables, file)
	r := &rig{t, d, fresh, fresh()}
	r.snapshot(all)
	return r
}

func newSouthRig(t testing.TB) *rig {
	return newRig(t, sbTables, "southbound.jsonl", func() translator { return newSouthbound(Config{Chassis: "compute-1"}) })
}

func newNorthRig(t testing.TB) *rig {
	return newRig(t, nbTables, "northbound.jsonl", func() translator { return newNorthbound(Config{}) })
}

// south returns the part of a translator that understands rows of the Southbound database.
func south(t translator) *southbound {
	if n, ok := t.(*northbound); ok {
		return n.south
	}
	return t.(*southbound)
}

func (r *rig) ledger() *ledger { return south(r.translator).ledger }

func (r *rig) port(name flows.LogicalPort) *secgroup.Port { return r.ledger().ports[name] }

// change carries out one transaction of one row, given as JSON, and returns the news.
func (r *rig) change(table, name, columns string) secgroup.News {
	r.Helper()
	var c map[string]json.RawMessage
	if err := json.Unmarshal([]byte(columns), &c); err != nil {
		r.Fatal(err)
	}
	return r.apply(client.Batch{r.set(r, table, r.uuid(table, name), c)})
}

// put puts a row back that change has changed.
func (r *rig) put(table, uuid string, was any) {
	c := client.Change{Table: table, UUID: uuid, Old: r.rows[table][uuid], New: was}
	r.rows[table][uuid] = was
	r.apply(client.Batch{c})
}

// uuid returns the row that a port's name or the start of a uuid stands for.
func (r *rig) uuid(table, name string) string {
	for uuid, row := range r.rows[table] {
		port := ""
		switch row := row.(type) {
		case *ovnsb.PortBinding:
			port = row.LogicalPort
		case *ovnnb.LogicalSwitchPort:
			port = row.Name
		}
		if strings.HasPrefix(uuid, name) || port == name {
			return uuid
		}
	}
	return name
}

// consistent checks that what was told bit by bit is what is told at once.
func (r *rig) consistent() {
	r.Helper()
	fresh := r.fresh()
	fresh.snapshot(r.all())
	a, b := south(r.translator), south(fresh)
	for _, d := range []string{
		differ(a.ledger.ports, b.ledger.ports), differ(a.ledger.rules, b.ledger.rules), differ(a.ledger.sets, b.ledger.sets),
	} {
		if d != "" {
			r.Error("not as read anew:", d)
		}
	}
	if len(a.datapaths) != len(b.datapaths) || len(a.users) != len(b.users) || len(a.flows) != len(b.flows) || a.labels != b.labels {
		r.Errorf("%d datapaths, %d sets in use, %d flows, %d labels; anew %d, %d, %d, %d",
			len(a.datapaths), len(a.users), len(a.flows), a.labels, len(b.datapaths), len(b.users), len(b.flows), b.labels)
	}
}

func differ[K ~string, V any](a, b map[K]*V) (text string) {
	both := maps.Clone(a)
	maps.Copy(both, b)
	for _, k := range slices.Sorted(maps.Keys(both)) {
		if !reflect.DeepEqual(a[k], b[k]) {
			text += fmt.Sprintf("\n%s: %+v, anew %+v", k, a[k], b[k])
		}
	}
	return text
}

// before puts a database into the state that it had before some changes.
func (r *rig) before(changes []line) client.Batch {
	var batch client.Batch
	for i := len(changes) - 1; i >= 0; i-- {
		l := changes[i]
		switch {
		case l.Old != nil:
			if l.Row != nil { // the dump is of a later time: other columns are as afterwards
				batch = append(batch, r.set(r, l.Table, l.UUID, l.Row))
			}
			batch = append(batch, r.set(r, l.Table, l.UUID, l.Old))
		case l.Row != nil:
			batch = append(batch, r.set(r, l.Table, l.UUID, nil))
		}
	}
	return batch
}

// replay carries out changes as one transaction.
func (r *rig) replay(changes []line) secgroup.News {
	var batch client.Batch
	for _, table := range r.tables {
		for _, l := range changes {
			if l.Table == table.name {
				batch = append(batch, r.set(r, l.Table, l.UUID, l.Row))
			}
		}
	}
	return r.apply(batch)
}

// readSteps reads recorded changes.
func readSteps(t testing.TB, file string) map[int][]line {
	steps := map[int][]line{}
	for _, l := range readLines(t, file) {
		steps[l.Step] = append(steps[l.Step], l)
	}
	return steps
}
