package dbctl

import (
	"strconv"
	"strings"
)

// Name is a way to name the rows of a table, apart from their uuids.
type Name struct {
	Column string // a column that has the name: of the same table, or of Table
	// Table, if it is not "", is another table: a row is meant by the name of the row of
	// Table whose column Reference leads to it, and to it alone.
	Table, Reference string
}

// Names are the ways to name the rows of tables. A table that is not in it is taken to be
// named by its column "name", if it has one, or else by the first of its indexes that is
// one column.
type Names map[string][]Name

// NamesOf returns those of the databases that are known.
func NamesOf(database string) Names { return known[database] }

func own(column string) []Name          { return []Name{{Column: column}} }
func of(table, reference string) []Name { return []Name{{"name", table, reference}} }

var known = map[string]Names{
	"Open_vSwitch": { // as "ovs-vsctl --help" lists them
		"AutoAttach":                of("Bridge", "auto_attach"),
		"Bridge":                    own("name"),
		"Controller":                of("Bridge", "controller"),
		"Flow_Sample_Collector_Set": own("id"),
		"Flow_Table":                own("name"),
		"IPFIX":                     of("Bridge", "ipfix"),
		"Interface":                 own("name"),
		"Manager":                   own("target"),
		"Mirror":                    own("name"),
		"NetFlow":                   of("Bridge", "netflow"),
		"Port":                      own("name"),
		"QoS":                       of("Port", "qos"),
		"sFlow":                     of("Bridge", "sflow"),
	},
	"Flowshunt": {
		"Offload_Policy":     own("name"),
		"Decryption_Profile": own("name"),
		"Wire":               own("name"),
		"Node":               {{Column: "system_id"}, {Column: "hostname"}},
	},
}

// of returns the ways to name rows of a table that its schema allows.
func (n Names) of(s *Schema, t *Table) []Name {
	ways, ok := n[t.Name]
	if !ok {
		ways = guess(t)
	}
	var possible []Name
	for _, w := range ways {
		in := t
		if w.Table != "" {
			in = s.Tables[w.Table]
		}
		if in != nil && in.Columns[w.Column] != nil && (w.Table == "" || in.Columns[w.Reference] != nil) {
			possible = append(possible, w)
		}
	}
	return possible
}

func guess(t *Table) []Name {
	if t.Columns["name"] != nil {
		return own("name")
	}
	for _, index := range t.Indexes {
		if len(index) == 1 {
			return own(index[0])
		}
	}
	return nil
}

// called reports whether a column holds nothing but a name.
func called(c *Column, d Datum, name string) bool {
	if d.Len() != 1 || c.Type.IsMap() {
		return false
	}
	switch have := d.Keys[0].(type) {
	case string:
		return have == name
	case int64:
		want, err := strconv.ParseInt(name, 10, 64)
		return err == nil && want == have
	}
	return false
}

// abbreviates reports whether text is enough of a uuid to name a row by it.
func (u UUID) abbreviates(text string) bool {
	return len(text) >= 4 && likeUUID(text) && strings.HasPrefix(string(u), strings.ToLower(text))
}
