package wire

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func row(id, name string, ports ...string) Row {
	r := Row{ID: id, Name: name, Node: "node-1", FailMode: "closed"}
	copy(r.Ports[:], ports)
	if len(ports) > 2 {
		copy(r.Inspectors[:], ports[2:])
	}
	return r
}

func TestRow(t *testing.T) {
	good := row("1", "w0", "p0", "p1", "fw0", "fw1")
	for want, change := range map[string]func(*Row){
		"":                                        func(r *Row) { r.FailMode, r.ProbeInterval = "open", 100 },
		"name: 0 bytes: want 1 to 255":            func(r *Row) { r.Name = "" },
		"name: 256 bytes: want 1 to 255":          func(r *Row) { r.Name = strings.Repeat("n", 256) },
		"port1: 0 bytes: want 1 to 255":           func(r *Row) { r.Ports[1] = "" },
		`port1: "p0" is port0 already`:            func(r *Row) { r.Ports[1] = "p0" },
		`inspector1: "p0" is port0 already`:       func(r *Row) { r.Inspectors[1] = "p0" },
		`inspector1: "fw0" is inspector0 already`: func(r *Row) { r.Inspectors[1] = "fw0" },
		"inspector0, inspector1: an inspector has two ports, one on each side: want both or none": func(r *Row) { r.Inspectors[0] = "" },
		"fail_mode: open without an inspector: there is none that could fail":                     func(r *Row) { r.Inspectors, r.FailMode = [2]string{}, "open" },
		`fail_mode: "ajar": want open or closed`:                                                  func(r *Row) { r.FailMode = "ajar" },
		"probe_interval: 99: want 100 to 60000 milliseconds":                                      func(r *Row) { r.ProbeInterval = 99 },
		"probe_interval: there is no inspector to probe":                                          func(r *Row) { r.Inspectors, r.ProbeInterval = [2]string{}, 100 },
	} {
		r := good
		change(&r)
		specs, problems := Compile([]Row{r}, nil)
		got := ""
		if len(problems) > 0 {
			got = problems[0].Text
		}
		if got != want || len(specs) != 1-len(problems) {
			t.Errorf("got %q, want %q: %+v", got, want, specs)
		}
	}
	specs, _ := Compile([]Row{good}, nil)
	if want := (Spec{Name: "w0", Ports: [2]string{"p0", "p1"}, Inspectors: [2]string{"fw0", "fw1"}}); specs[0] != want || specs[0].interval() != time.Second {
		t.Errorf("%+v", specs[0])
	}
}

// TestCompile: what is in force stays when a row goes bad or wants what another one has.
func TestCompile(t *testing.T) {
	var last []Spec
	step := func(what, wires, wrong string, rows ...Row) {
		t.Helper()
		specs, problems := Compile(rows, last)
		var got, bad []string
		for _, s := range specs {
			got = append(got, fmt.Sprint(s.Name, ":", strings.Join(s.all(), ",")))
		}
		for _, p := range problems {
			bad = append(bad, fmt.Sprintf("%s: %s (%s) here=%v", p.ID, p.Text, p.Instead, p.Here))
		}
		if strings.Join(got, " ") != wires || strings.Join(bad, " ") != wrong {
			t.Errorf("%s:\n got %v\n     %v\nwant %s\n     %s", what, got, bad, wires, wrong)
		}
		last = specs
	}
	disabled := row("1", "a", "p0", "p1")
	disabled.Disabled = true
	shared := row("0", "a", "p0", "p7")
	shared.Node = ""
	step("two wires", "a:p0,p1 b:p2,p3", "", row("1", "a", "p0", "p1"), row("2", "b", "p2", "p3"))
	step("a bad row", "a:p0,p1 b:p2,p3", `1: port1: "p0" is port0 already (its last good form is in force) here=false`, row("1", "a", "p0", "p0"), row("2", "b", "p2", "p3"))
	step("a thief", "a:p0,p1 b:p2,p3", `0: port "p1" belongs to wire "a" (there is no such wire) here=false`, row("1", "a", "p0", "p1"), row("0", "x", "p1", "p9"), row("2", "b", "p2", "p3"))
	step("a change into another's port", "a:p0,p1 b:p2,p3", `2: port "p0" belongs to wire "a" (its last good form is in force) here=false`, row("1", "a", "p0", "p1"), row("2", "b", "p2", "p0"))
	step("a row for all nodes with the same name", "a:p0,p1", `0: name: there is another wire "a" (there is no such wire) here=true`, shared, row("1", "a", "p0", "p1"))
	step("bad, and its ports are another's by now", "c:p0,p1", `1: inspector0, inspector1: an inspector has two ports, one on each side: want both or none (there is no such wire) here=false`,
		row("1", "a", "p0", "p1", "fw0"), row("3", "c", "p0", "p1"))
	step("disabled", "", "", disabled)
	last = nil
	step("of two new ones that of this node", "a:p0,p1", `0: name: there is another wire "a" (there is no such wire) here=true`, shared, row("1", "a", "p0", "p1"))
}

func TestTooMany(t *testing.T) {
	var rows []Row
	for i := range MaxWires + 3 {
		rows = append(rows, row(fmt.Sprintf("%04d", i), fmt.Sprint("w", i), fmt.Sprint("a", i), fmt.Sprint("b", i)))
	}
	if specs, problems := Compile(rows, nil); len(specs) != MaxWires || len(problems) != 3 || problems[0].Text != "there are more than 256 wires" {
		t.Errorf("%d wires, %+v", len(specs), problems)
	}
}
