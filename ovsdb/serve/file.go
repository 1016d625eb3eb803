package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ErrOther is that there is something else at the path of a database.
var ErrOther = errors.New("there is something else at this path, which is left as it is")

// create makes the file of an empty database, complete or not at all. That there is one already is fs.ErrExist.
func create(ctx context.Context, path string, schema []byte) error {
	dir, err := os.MkdirTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return fmt.Errorf("%s cannot be made: %w", path, err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	fresh := filepath.Join(dir, filepath.Base(path))
	err = withSchema(schema, func(schema string) error {
		_, err := tool(ctx, "ovsdb-tool", "create", fresh, schema)
		return err
	})
	if err != nil {
		return err
	}
	if err := likeNeighbour(fresh, filepath.Dir(path)); err != nil {
		return err
	}
	return os.Link(fresh, path) // fails where rename would replace
}

// likeNeighbour gives a file to the user who has the database of Open vSwitch, or else the folder: ovsdb-server
// need not be root's.
func likeNeighbour(path, dir string) error {
	info, err := os.Stat(filepath.Join(dir, "conf.db"))
	if errors.Is(err, fs.ErrNotExist) {
		info, err = os.Stat(dir)
	}
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) == os.Geteuid() && int(owner.Gid) == os.Getegid() {
		return nil
	}
	return os.Chown(path, int(owner.Uid), int(owner.Gid))
}

// keepOwner does something to the file of a database that may replace it or make its lock, or that of the file
// beside it into which ovsdb-tool and ovsdb-server write it anew, and gives all of them to the owner of the file.
func keepOwner(path string, do func() error) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) == os.Geteuid() && int(owner.Gid) == os.Getegid() {
		return nil
	}
	lock := filepath.Join(filepath.Dir(path), "."+filepath.Base(path))
	for _, file := range []string{path, lock + ".~lock~", lock + ".tmp.~lock~"} {
		if err := os.Chown(file, int(owner.Uid), int(owner.Gid)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// checkFile returns an error unless there is a database of this name at path: fs.ErrNotExist where there is nothing,
// ErrOther where there is something else.
func checkFile(ctx context.Context, path, name string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	_ = f.Close()
	is, err := tool(ctx, "ovsdb-tool", "db-name", path)
	switch {
	case ctx.Err() != nil:
		return err
	case err != nil:
		return fmt.Errorf("%s: %w: %w", path, ErrOther, err)
	case is != name:
		return fmt.Errorf("%s: %w: it is the database %.64q", path, ErrOther, is)
	}
	return nil
}

// File is a database in a file that no server serves. It is what package dbctl wants of a database.
type File struct {
	Path string
	JSON []byte // its schema
}

// Schema returns the schema.
func (f File) Schema(context.Context) (json.RawMessage, error) { return f.JSON, nil }

// Transact carries out operations (RFC 7047, section 5.2).
func (f File) Transact(ctx context.Context, operations ...any) ([]json.RawMessage, error) {
	name, _, err := nameAndVersion(f.JSON)
	if err != nil {
		return nil, err
	}
	request, err := json.Marshal(append([]any{name}, operations...))
	if err != nil {
		return nil, err
	}
	var reply string
	err = keepOwner(f.Path, func() error {
		reply, err = tool(ctx, "ovsdb-tool", "transact", f.Path, string(request))
		return err
	})
	if err != nil {
		return nil, err
	}
	var results []json.RawMessage
	return results, json.Unmarshal([]byte(reply), &results)
}

// Watch fails: nobody tells of changes of a file.
func (f File) Watch(context.Context, map[string][]string) error { return errors.ErrUnsupported }

// Changed fails like Watch.
func (f File) Changed(context.Context) error { return errors.ErrUnsupported }
