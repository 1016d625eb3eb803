package ovsdb

import (
	"fmt"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
	"github.com/flowshunt/flowshunt/pkg/wire"
)

func wireRow(name string, more ...any) map[string]any {
	row := map[string]any{"name": name, "port0": name + "-p0", "port1": name + "-p1", "fail_mode": "closed"}
	for i := 0; i < len(more); i += 2 {
		row[more[i].(string)] = more[i+1]
	}
	return row
}

func named(n News) (names []string) {
	for _, w := range n.Wires {
		names = append(names, w.Name)
	}
	return names
}

// TestWires: a node hears of its own wires and of those of no node, and of no other's; what is
// wrong stands in the row, and what was in force stays.
func TestWires(t *testing.T) {
	s := ovsdbtest.Start(t, schema)
	c := s.Dial("Flowshunt")
	c.Transact(insert("Wire", wireRow("mine", "system_id", "node-1", "inspector0", "fw0", "inspector1", "fw1", "fail_mode", "open", "probe_interval", 200)),
		insert("Wire", wireRow("all")), insert("Wire", wireRow("others", "system_id", "node-2")), insert("Wire", wireRow("off", "enabled", false)))
	a := start(t, s, "node-1")
	n := a.await("two wires", func(n News) bool { return n.Table != nil && len(n.Wires) == 2 })
	want := []wire.Spec{
		{Name: "all", Ports: [2]string{"all-p0", "all-p1"}, Anywhere: true},
		{Name: "mine", Ports: [2]string{"mine-p0", "mine-p1"}, Inspectors: [2]string{"fw0", "fw1"}, FailOpen: true, ProbeInterval: 200 * time.Millisecond},
	}
	if fmt.Sprint(n.Wires) != fmt.Sprint(want) || len(n.WireProblems) > 0 {
		t.Errorf("\n got %+v\nwant %+v\n%+v", n.Wires, want, n.WireProblems)
	}

	c.Transact(update("Wire", "mine", map[string]any{"inspector1": []any{"set", []any{}}}))
	n = a.await("a problem", func(n News) bool { return len(n.WireProblems) == 1 })
	if fmt.Sprint(n.Wires) != fmt.Sprint(want) {
		t.Errorf("a bad row changed %+v", n.Wires)
	}
	if got := Problems(nil, n.WireProblems)["wire mine"]; got != "inspector0, inspector1: an inspector has two ports, one on each side: want both or none (its last good form is in force)" {
		t.Errorf("%q", got)
	}
	status := func(name string) string {
		for _, r := range rows(c, "Wire") {
			if r["name"] == name {
				return r["status"].(string)
			}
		}
		return "no such row"
	}
	eventually(t, "the status", func() bool {
		return status("mine") == "inspector0, inspector1: an inspector has two ports, one on each side: want both or none"
	})
	c.Transact(update("Wire", "mine", map[string]any{"inspector1": "fw9"}))
	a.await("it is mended", func(n News) bool { return len(n.WireProblems) == 0 && n.Wires[1].Inspectors[1] == "fw9" })
	eventually(t, "no status", func() bool { return status("mine") == "" })

	// the index of the table cannot say this
	c.Transact(insert("Wire", wireRow("thief", "system_id", "node-1", "port0", "fw9")))
	a.await("a conflict", func(n News) bool { return len(n.WireProblems) == 1 && len(n.Wires) == 2 })
	eventually(t, "the status", func() bool { return status("thief") == `port "fw9" belongs to wire "mine"` })
	c.Transact(remove("Wire", "name", "mine"))
	n = a.await("the thief", func(n News) bool { return len(n.WireProblems) == 0 })
	if fmt.Sprint(named(n)) != "[all thief]" {
		t.Errorf("%v", named(n))
	}

	s.Kill()
	n = a.await("the loss", func(n News) bool { return n.Err != nil })
	if len(n.Wires) != 2 {
		t.Errorf("wires are lost with the database: %v", named(n))
	}
}
