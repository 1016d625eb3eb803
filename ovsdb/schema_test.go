package ovsdb

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
)

// An older Open vSwitch lacks columns and tables of the models, a newer one has
// more. Both are read as far as the models go.
func TestOtherSchemas(t *testing.T) {
	s := newServer(t)
	s.Kill()
	data, err := os.ReadFile(ovsdbtest.OpenVSwitch)
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	delete(schema, "cksum")
	tables := schema["tables"].(map[string]any)
	delete(tables, "Flow_Sample_Collector_Set")
	columns := tables["Interface"].(map[string]any)["columns"].(map[string]any)
	delete(columns, "ingress_policing_kpkts_rate")
	delete(columns, "ingress_policing_kpkts_burst")
	columns["of_the_future"] = map[string]any{"type": "string"}
	if data, err = json.Marshal(schema); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.Dir, "other.ovsschema")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(s.File)
	s.Run("ovsdb-tool", "create", s.File, path)
	s.Start()
	s.VSCtl("init", "--", "add-br", "br0", "--", "set", "Interface", "br0", "ingress_policing_rate=5")
	p, _ := await(t, follow(t, "unix:"+s.Socket), "br0", has("br0")).PortByName("br0")
	if p.Policing != (Policing{RateKbps: 5}) {
		t.Errorf("policing: %+v", p.Policing)
	}
}
