package ovn_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
)

// record is what an OVN made of some Northbound commands, and what its ovn-trace answered,
// kept so that it can be asked where that OVN is not.
type record struct {
	release    string
	northbound [][]string // the commands, each one run of ovn-nbctl
	questions  []question
	southbound []row
}

// line is one of the lines of JSON that a record is kept as: one of its fields.
type line struct {
	Release    string    `json:",omitempty"`
	Northbound []string  `json:",omitempty"`
	Question   *question `json:",omitempty"`
	Southbound *row      `json:",omitempty"`
}

// row is one of a table, its values as in RFC 7047.
type row struct {
	Table  string
	Values map[string]any
}

// question is a packet, and what became of it.
type question struct {
	From, To      string
	Tuple         flows.Tuple
	Left, Arrived bool
	Asked         [2]bool
}

func ask(p packet, f fate) question {
	return question{From: p.from.name, To: p.to.name, Tuple: p.tuple, Left: f.left, Arrived: f.arrived, Asked: f.asked}
}

func (q question) packet() packet {
	return packet{from: &host{name: q.From}, to: &host{name: q.To}, tuple: q.Tuple}
}

func (q question) fate() fate {
	return fate{left: q.Left, arrived: q.Arrived, asked: q.Asked}
}

// recorded are the tables that say what is permitted.
var recorded = []string{"SB_Global", "Chassis", "Encap", "Datapath_Binding", "Logical_DP_Group", "Port_Binding", "Port_Group", "Address_Set", "Logical_Flow"}

// rows returns those of the recorded tables; of flows only those about ACLs.
func (c *central) rows() (rows []row) {
	c.Helper()
	for _, table := range recorded {
		var dump struct {
			Headings []string
			Data     [][]any
		}
		text := c.run("ovsdb-client", "dump", "--format=json", c.southbound(), "OVN_Southbound", table)
		if err := json.Unmarshal([]byte(text), &dump); err != nil {
			c.Fatal(err)
		}
		for _, values := range dump.Data {
			r := row{table, map[string]any{}}
			for i, column := range dump.Headings {
				if !isEmpty(values[i]) {
					r.Values[column] = values[i]
				}
			}
			if table != "Logical_Flow" || strings.Contains(fmt.Sprint(r.Values["external_ids"]), "_acl") {
				rows = append(rows, r)
			}
		}
	}
	return rows
}

// isEmpty reports whether a value is what its column has in a new row.
func isEmpty(value any) bool {
	if list, ok := value.([]any); ok && len(list) == 2 {
		members, ok := list[1].([]any)
		return ok && len(members) == 0
	}
	return value == "" || value == false
}

// restore puts the rows of a record into an empty Southbound database, less the columns
// that it does not have.
func (c *central) restore(r record) {
	c.Helper()
	var schema struct {
		Tables map[string]struct{ Columns map[string]any }
	}
	if err := json.Unmarshal([]byte(c.run("ovsdb-client", "get-schema", c.southbound(), "OVN_Southbound")), &schema); err != nil {
		c.Fatal(err)
	}
	transaction := []any{"OVN_Southbound"}
	for _, r := range r.southbound {
		values := map[string]any{}
		for column, value := range r.Values {
			if _, ok := schema.Tables[r.Table].Columns[column]; ok {
				values[column] = value
			}
		}
		transaction = append(transaction, map[string]any{
			"op": "insert", "table": r.Table, "uuid": r.Values["_uuid"].([]any)[1], "row": values})
	}
	text, err := json.Marshal(transaction)
	if err != nil {
		c.Fatal(err)
	}
	if reply := c.run("ovsdb-client", "transact", c.southbound(), string(text)); strings.Contains(reply, `"error"`) {
		c.Fatal(reply)
	}
}

func (r record) save(t testing.TB, file string) {
	t.Helper()
	lines := []line{{Release: r.release}}
	for _, command := range r.northbound {
		lines = append(lines, line{Northbound: command})
	}
	for i := range r.questions {
		lines = append(lines, line{Question: &r.questions[i]})
	}
	for i := range r.southbound {
		lines = append(lines, line{Southbound: &r.southbound[i]})
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	for _, l := range lines {
		if err := encoder.Encode(l); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readRecord(t testing.TB, file string) (r record) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for s := range bytes.Lines(text) {
		var l line
		if err := json.Unmarshal(s, &l); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		switch {
		case l.Release != "":
			r.release = l.Release
		case l.Question != nil:
			r.questions = append(r.questions, *l.Question)
		case l.Southbound != nil:
			r.southbound = append(r.southbound, *l.Southbound)
		default:
			r.northbound = append(r.northbound, l.Northbound)
		}
	}
	return r
}
