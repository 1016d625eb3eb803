package ovsdb

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/ovsdb/flowshunt"
	"github.com/flowshunt/flowshunt/pkg/policy"
	"github.com/flowshunt/flowshunt/pkg/wire"
)

// Node is what an agent says of itself. It belongs to the source once it was handed over.
type Node struct {
	Hostname  string
	Version   string
	Mode      flowshunt.NodeMode // "observe" or "enforce"
	Started   time.Time
	CurCfg    int               // the last News.NextCfg that is in force here
	Policies  int               // in force
	Problems  map[string]string // see Problems; and others of the agent's
	Wires     map[string]string // state by name
	Health    string
	LastError string
	Eswitches []flowshunt.Eswitch // their UUID is not used
}

// Problems returns problems as Node has them: what is wrong, and what is in force instead,
// by "policy NAME", "profile NAME" or "wire NAME".
func Problems(list []policy.Problem, wires []wire.Problem) map[string]string {
	problems := make(map[string]string, len(list)+len(wires))
	for _, p := range list {
		kind := "policy "
		if p.Profile {
			kind = "profile "
		}
		problems[kind+p.Name] = p.Text + " (" + p.Instead + ")"
	}
	for _, p := range wires {
		problems["wire "+p.Name] = p.Text + " (" + p.Instead + ")"
	}
	return problems
}

// operation is one of RFC 7047, section 5.2.
type operation map[string]any

// operations write a node: into the row of that uuid, or into a new one if it is empty. Old is
// what stands there; nil: that is not known.
func (n *Node) operations(systemID, uuid string, old *Node) []any {
	row := map[string]any{
		"hostname": clean(n.Hostname), "version": clean(n.Version), "mode": n.Mode, "started": n.Started.Unix(),
		"cur_cfg": n.CurCfg, "policies": n.Policies, "problems": cleanMap(n.Problems), "wires": cleanMap(n.Wires),
		"health": clean(n.Health), "last_error": clean(n.LastError),
	}
	var list []any
	if old == nil || !reflect.DeepEqual(old.Eswitches, n.Eswitches) {
		names := [][2]string{}
		for i := range n.Eswitches { // those that nobody refers to any more vanish (RFC 7047, section 3.2)
			name := fmt.Sprintf("e%d", i)
			names = append(names, [2]string{"named-uuid", name})
			list = append(list, operation{"op": "insert", "table": flowshunt.EswitchTable, "uuid-name": name, "row": eswitchRow(&n.Eswitches[i])})
		}
		row["eswitches"] = []any{"set", names}
	}
	if uuid == "" {
		row["system_id"] = clean(systemID)
		return append(list, operation{"op": "insert", "table": flowshunt.NodeTable, "row": row})
	}
	return append(list, operation{"op": "update", "table": flowshunt.NodeTable, "row": row,
		"where": []any{client.Condition{Column: "_uuid", Function: "==", Value: client.UUID(uuid)}}})
}

func eswitchRow(e *flowshunt.Eswitch) map[string]any {
	capacity := []int{}
	if e.Capacity != nil {
		capacity = append(capacity, *e.Capacity)
	}
	return map[string]any{
		"name": clean(e.Name), "driver": clean(e.Driver), "ports": e.Ports, "capacity": []any{"set", capacity}, "used": e.Used,
		"in_hardware": e.InHardware, "insert_rate": finite(e.InsertRate), "rate_budget": finite(e.RateBudget),
		"health": clean(e.Health), "last_error": clean(e.LastError),
	}
}

// finite replaces what JSON has no number for.
func finite(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return f
}

// maxText bounds what is written into one column.
const maxText = 4096

// clean returns a string that OVSDB takes: UTF-8 without NUL.
func clean(s string) string {
	s = s[:min(len(s), maxText)]
	return strings.ReplaceAll(strings.ToValidUTF8(s, "?"), "\x00", "?")
}

// maxPairs bounds maps; the first keys in their order are kept.
const maxPairs = 1024

func cleanMap(m map[string]string) client.Map {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	cleaned := client.Map{}
	for _, key := range keys[:min(len(keys), maxPairs)] {
		cleaned[clean(key)] = clean(m[key])
	}
	return cleaned
}
