// Command ovsdbmodel writes Go types of some tables of an OVSDB schema into the present
// folder, by libovsdb's modelgen:
//
//	ovsdbmodel PACKAGE SCHEMA-FILE TABLE...
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "ovsdbmodel:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 3 {
		return fmt.Errorf("want PACKAGE SCHEMA-FILE TABLE..., have %q", args)
	}
	data, err := os.ReadFile(args[1])
	if err != nil {
		return err
	}
	if data, err = prune(data, args[2:]); err != nil {
		return fmt.Errorf("%s: %w", args[1], err)
	}
	dir, err := os.MkdirTemp("", "ovsdbmodel")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "pruned.ovsschema")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return err
	}
	gen := exec.Command("go", "run", "github.com/ovn-kubernetes/libovsdb/cmd/modelgen", "-p", args[0], "-o", ".", file)
	gen.Stdout, gen.Stderr = os.Stdout, os.Stderr
	return gen.Run()
}

// prune leaves the named tables of a schema.
func prune(data []byte, names []string) ([]byte, error) {
	var schema struct {
		Name    string                     `json:"name"`
		Version string                     `json:"version"`
		Tables  map[string]json.RawMessage `json:"tables"`
	}
	if err := json.Unmarshal(data, &schema); err != nil {
		return nil, err
	}
	tables := map[string]json.RawMessage{}
	for _, name := range names {
		table, ok := schema.Tables[name]
		if !ok {
			return nil, fmt.Errorf("there is no table %s", name)
		}
		tables[name] = table
	}
	schema.Tables = tables
	return json.Marshal(schema)
}
