package ovsdb

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// An older Open vSwitch lacks columns and tables of the models, a newer one has
// more. Both are read as far as the models go.
func TestOtherSchemas(t *testing.T) {
	s := newServer(t)
	s.kill()
	data, err := os.ReadFile(schemaFile)
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
	path := filepath.Join(s.dir, "other.ovsschema")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(s.file)
	s.run("ovsdb-tool", "create", s.file, path)
	s.start()
	s.vsctl("init", "--", "add-br", "br0", "--", "set", "Interface", "br0", "ingress_policing_rate=5")
	p, _ := await(t, follow(t, "unix:"+s.socket), "br0", has("br0")).PortByName("br0")
	if p.Policing != (Policing{RateKbps: 5}) {
		t.Errorf("policing: %+v", p.Policing)
	}
}

func TestSchemaWithoutPorts(t *testing.T) {
	var s schema
	if err := json.Unmarshal([]byte(`{"tables":{"Open_vSwitch":{"columns":{}},"Bridge":{"columns":{}},"Interface":{"columns":{}}}}`), &s); err != nil {
		t.Fatal(err)
	}
	if _, err := s.requests(); !errors.Is(err, ErrProtocol) {
		t.Errorf("%v", err)
	}
}
