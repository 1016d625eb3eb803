package cli

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flowshunt/flowshunt/ovsdb/dbctl"
	"github.com/flowshunt/flowshunt/pkg/wire"
)

// wireCommands are those about virtual wires.
func wireCommands() []*dbctl.Command {
	return []*dbctl.Command{addWireCommand(), wires.del(), listWiresCommand()}
}

func addWireCommand() *dbctl.Command {
	return &dbctl.Command{
		Name: "add-wire", Args: "NAME PORT0 PORT1", Min: 3, Max: 3, Mixed: true,
		Options: []dbctl.Option{
			{Name: "inspector", Value: "FW0,FW1", Help: "ports of the inspector: what PORT0 receives goes to FW0, and comes back from FW1 to PORT1"},
			{Name: "fail-open", Help: "without a working inspector let everything pass"},
			{Name: "fail-closed", Help: "without a working inspector let nothing pass (the default)"},
			{Name: "node", Value: "SYSTEM-ID", Help: "the node that has the ports; needed where several read the database"},
			mayExist,
		},
		Short: "Join two ports to a virtual wire",
		Long: "add-wire adds a virtual wire: what comes in at one port goes out of the other, through the inspector if there is one,\n" +
			"and past it in hardware once a connection is offloaded. Ports are names of interfaces in OVS. Its options can stand behind its\n" +
			"arguments as well.",
		Example: "flowshuntctl add-wire w0 p0 p1 --inspector fw0,fw1\nflowshuntctl -- --inspector=fw0,fw1 --fail-open add-wire w0 p0 p1",
		Read:    wires.read, Run: addWire,
	}
}

func addWire(t *dbctl.Txn, c *dbctl.Call) error {
	w, err := wireOf(c)
	if err != nil {
		return err
	}
	return wires.add(t, c, func(table *dbctl.Table, row *dbctl.Row) error {
		for name, value := range wireColumns(w) {
			column := table.Columns[name]
			if column == nil {
				return fmt.Errorf("table %s has no column %s: see flowshuntctl init --help", table.Name, name)
			}
			t.Set(row, column, dbctl.SetOf(value))
		}
		return apart(w, t, table)
	})
}

// wireOf returns the row that the command line asks for, as an agent will read it.
func wireOf(c *dbctl.Call) (*wire.Row, error) {
	w := &wire.Row{Name: c.Args[0], Node: c.Options["node"], Ports: [2]string(c.Args[1:3]), FailMode: "closed"}
	switch {
	case c.Has("fail-open") && c.Has("fail-closed"):
		return nil, errors.New("add-wire: --fail-open and --fail-closed do not go together")
	case c.Has("fail-open"):
		w.FailMode = "open"
	}
	names := slices.Clone(c.Args) // of the wire, and of its ports
	if text, given := c.Options["inspector"]; given {
		ports := strings.Split(text, ",")
		if len(ports) != 2 {
			return nil, fmt.Errorf("--inspector=%.200s: want two ports, FW0,FW1", text)
		}
		w.Inspectors = [2]string(ports)
		names = append(names, ports...)
	}
	if c.Has("node") && w.Node == "" {
		return nil, errors.New("--node=: want the system-id of a node")
	}
	for i, name := range names {
		switch {
		case name == "" || len(name) > 255:
			return nil, fmt.Errorf("%.64q is no name: want 1 to 255 bytes", name)
		case i > 0 && slices.Contains(names[1:i], name):
			return nil, fmt.Errorf("port %.64q is there twice", name)
		}
	}
	_, err := w.Spec() // what else an agent would not understand
	return w, err
}

func wireColumns(w *wire.Row) map[string]string {
	m := map[string]string{"port0": w.Ports[0], "port1": w.Ports[1], "fail_mode": w.FailMode}
	if w.Inspectors[0] != "" {
		m["inspector0"], m["inspector1"] = w.Inspectors[0], w.Inspectors[1]
	}
	if w.Node != "" {
		m["system_id"] = w.Node
	}
	return m
}

// apart returns an error if a port is one of another wire's that may be on the same node.
func apart(w *wire.Row, t *dbctl.Txn, table *dbctl.Table) error {
	own := slices.Concat(w.Ports[:], w.Inspectors[:])
	for _, row := range t.Rows(table) {
		node := text(row, table, "system_id")
		if text(row, table, "name") == w.Name || w.Node != "" && node != "" && w.Node != node {
			continue
		}
		for _, column := range []string{"port0", "port1", "inspector0", "inspector1"} {
			if port := text(row, table, column); port != "" && slices.Contains(own, port) {
				return fmt.Errorf("port %.64q belongs to wire %.64q already", port, text(row, table, "name"))
			}
		}
	}
	return nil
}

func listWiresCommand() *dbctl.Command {
	var nodes nodeWires
	cmd := wires.list("list-wires", "Print the virtual wires",
		"prints the virtual wires, as a table unless --format says otherwise. Without a node a wire is on each that has its ports; its\n"+
			"state stands with the name of each. Why it is open, closed or unready is in column wires of table Node.",
		[]string{"name", "enabled", "port0", "port1", "inspector", "fail_mode", "node", "state", "status"},
		func(row *dbctl.Row, table *dbctl.Table) []string {
			column := func(name string) string { return text(row, table, name) }
			inspector := strings.Trim(column("inspector0")+","+column("inspector1"), ",")
			return []string{column("name"), enabled(row, table), column("port0"), column("port1"), inspector,
				column("fail_mode"), column("system_id"), nodes.state(column("name"), column("system_id")), column("status")}
		})
	read, run := cmd.Read, cmd.Run
	cmd.Read = func(r *dbctl.Reading, c *dbctl.Call) error {
		if table := r.Schema().Tables["Node"]; table != nil && table.Columns["wires"] != nil {
			r.Columns(table, table.Columns["system_id"], table.Columns["wires"])
		}
		return read(r, c)
	}
	cmd.Run = func(t *dbctl.Txn, c *dbctl.Call) error {
		nodes = wiresOfNodes(t)
		return run(t, c)
	}
	return cmd
}

// nodeWires is what nodes say of wires, by node and name.
type nodeWires map[string]map[string]string

func wiresOfNodes(t *dbctl.Txn) nodeWires {
	all := make(nodeWires)
	table := t.Schema().Tables["Node"]
	if table == nil || table.Columns["wires"] == nil {
		return all
	}
	for _, row := range t.Rows(table) {
		said := make(map[string]string)
		pairs := row.Get(table.Columns["wires"])
		for i, key := range pairs.Keys {
			said[fmt.Sprint(key)] = fmt.Sprint(pairs.Values[i])
		}
		all[text(row, table, "system_id")] = said
	}
	return all
}

// state is the state of a wire, on its node, or on each that has it.
func (n nodeWires) state(wire, node string) string {
	if node != "" {
		return firstWord(n[node][wire])
	}
	var states []string
	for _, name := range slices.Sorted(maps.Keys(n)) {
		if said := n[name][wire]; said != "" {
			states = append(states, name+": "+firstWord(said))
		}
	}
	return strings.Join(states, ", ")
}

func firstWord(s string) string {
	word, _, _ := strings.Cut(s, " ")
	return word
}
