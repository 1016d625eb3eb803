package serve

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

const schema = `{"name":"Shelf","version":"1.2.3","tables":{"Book":{"columns":{"name":{"type":"string"}}}}}`

func TestVersions(t *testing.T) {
	ordered := []string{"0.0.0", "0.0.9", "0.0.10", "0.1.0", "1.0.0", "1.2.3", "10.0.0"}
	for i, a := range ordered {
		for j, b := range ordered {
			v, err1 := parseVersion(a)
			w, err2 := parseVersion(b)
			if err := errors.Join(err1, err2); err != nil || v.compare(w) > 0 != (i > j) || v.compare(w) < 0 != (i < j) {
				t.Errorf("%s and %s: %d, %v", a, b, v.compare(w), err)
			}
		}
	}
	for _, bad := range []string{"", "1", "1.2", "1.2.3.4", "a.b.c", "1.2.-3", "1.2.99999999999999999999", " 1.2.3"} {
		if v, err := parseVersion(bad); err == nil {
			t.Errorf("%q is %s", bad, v)
		}
	}
}

func needsTool(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("ovsdb-tool"); err != nil {
		t.Skip("missing: ovsdb-tool")
	}
}

// What is made where another user has the databases belongs to that user, with its lock, also after a conversion.
func TestOwner(t *testing.T) {
	needsTool(t)
	if os.Getuid() != 0 {
		t.Skip("missing: root, to give files away")
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "conf.db")
	if err := errors.Join(os.WriteFile(conf, nil, 0o600), os.Chown(conf, 65534, 65534)); err != nil {
		t.Fatal(err)
	}
	cfg := Config{Schema: []byte(schema), File: filepath.Join(dir, "shelf.db"), Rundir: filepath.Join(dir, "nosuch")}
	owned := func(when string) {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				t.Fatal(err)
			}
			if owner := info.Sys().(*syscall.Stat_t); owner.Uid != 65534 || owner.Gid != 65534 {
				t.Errorf("%s: %s belongs to %d:%d", when, e.Name(), owner.Uid, owner.Gid)
			}
		}
	}
	if state, err := Ensure(t.Context(), cfg); err != nil || !state.Created {
		t.Fatalf("%+v, %v", state, err)
	}
	owned("created")
	file := File{cfg.File, cfg.Schema}
	if _, err := file.Transact(t.Context(), map[string]any{"op": "insert", "table": "Book", "row": map[string]any{"name": "Emma"}}); err != nil {
		t.Fatal(err)
	}
	owned("written")
	cfg.Schema = []byte(`{"name":"Shelf","version":"2.0.0","tables":{"Book":{"columns":{"name":{"type":"string"},"pages":{"type":"integer"}}}}}`)
	if state, err := Ensure(t.Context(), cfg); err != nil || state.Has != "2.0.0" {
		t.Fatalf("%+v, %v", state, err)
	}
	owned("converted")
}

// Of two who make a file one has made it.
func TestCreateTwice(t *testing.T) {
	needsTool(t)
	path := filepath.Join(t.TempDir(), "shelf.db")
	if err := create(t.Context(), path, []byte(schema)); err != nil {
		t.Fatal(err)
	}
	if err := create(t.Context(), path, []byte(schema)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("the second says %v", err)
	}
}

func TestBadFiles(t *testing.T) {
	needsTool(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "shelf.db")
	if err := os.WriteFile(path, []byte("OVSDB JSON garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := Config{Schema: []byte(schema), File: path, Rundir: dir}
	if _, err := Ensure(t.Context(), cfg); !errors.Is(err, ErrOther) {
		t.Errorf("garbage: %v", err)
	}
	cfg.File = filepath.Join(dir, "new.db")
	cfg.Schema = []byte(`{"name":"Shelf","version":"1"}`)
	if _, err := Ensure(t.Context(), cfg); err == nil {
		t.Error("a schema without tables was taken")
	}
	t.Setenv("PATH", dir)
	cfg.Schema = []byte(schema)
	if _, err := Ensure(t.Context(), cfg); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("without ovsdb-tool: %v", err)
	}
	if _, err := os.Stat(cfg.File); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("and there is a file: %v", err)
	}
}
