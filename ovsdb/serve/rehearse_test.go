package serve

import (
	"os"
	"path/filepath"
	"testing"
)

// A rehearsal needs no room but beside the database, and leaves nothing there.
func TestRehearsalIsBesideTheFile(t *testing.T) {
	needsTool(t)
	schema := "../flowshunt.ovsschema"
	dir := t.TempDir()
	path := filepath.Join(dir, "flowshunt.db")
	if _, err := tool(t.Context(), "ovsdb-tool", "create", path, schema); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", filepath.Join(dir, "nowhere"))
	if err := rehearse(t.Context(), path, schema); err != nil {
		t.Error(err)
	}
	if after, err := os.ReadDir(dir); err != nil || len(after) != len(before) {
		t.Errorf("before %v, after %v, %v", before, after, err)
	}
}
