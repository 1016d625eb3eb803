package ovsdb

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/flowshunt/flowshunt/ovsdb/vswitchd"

	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
)

// The committed models are what modelgen makes of the installed schema, as go
// generate would.
func TestModelsAreGenerated(t *testing.T) {
	var installed struct{ Version string }
	data, err := os.ReadFile(ovsdbtest.OpenVSwitch)
	if err != nil {
		t.Skipf("Open vSwitch's schema is not installed: %v", err)
	}
	if err := json.Unmarshal(data, &installed); err != nil {
		t.Fatal(err)
	}
	if have := vswitchd.Schema().Version; have != installed.Version {
		t.Skipf("the installed Open vSwitch has schema %s, the models are of %s", installed.Version, have)
	}
	dir := t.TempDir()
	out, err := exec.Command("go", "run", "github.com/ovn-kubernetes/libovsdb/cmd/modelgen", "-p", "vswitchd", "-o", dir, ovsdbtest.OpenVSwitch).CombinedOutput()
	if err != nil {
		t.Fatalf("modelgen: %v\n%s", err, out)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.go"))
	committed, _ := filepath.Glob("vswitchd/*.go")
	if len(files) == 0 || len(files)+1 != len(committed) { // and doc.go
		t.Errorf("%d files are generated, %d are committed", len(files), len(committed))
	}
	for _, file := range files {
		want, _ := os.ReadFile(file)
		got, err := os.ReadFile(filepath.Join("vswitchd", filepath.Base(file)))
		if err != nil || string(got) != string(want) {
			t.Errorf("vswitchd/%s is not what modelgen writes: run go generate ./ovsdb/... (%v)", filepath.Base(file), err)
		}
	}
}

// Every table that is monitored has a place in the replica.
func TestMonitoredTablesArePlaced(t *testing.T) {
	for _, table := range monitored {
		if newReplica().table(table.Name) == nil {
			t.Errorf("table %s has no place in the replica", table.Name)
		}
	}
}
