package serve

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/pkg/unixctl"
)

// Config says what is to be served where. Schema and File must be set.
type Config struct {
	Schema []byte // <database-schema> (RFC 7047, section 3.2)
	File   string // absolute; next to conf.db, or the server may not be allowed to open it
	Rundir string // of ovsdb-server's pidfile and sockets; "" = unixctl.DefaultRundir
	// Force converts a database that has a newer schema as well: what the older one has no place for is lost.
	Force bool
	Await time.Duration // how long to wait for a server that does not run
}

// State is what was found and done.
type State struct {
	Running bool   // there is an ovsdb-server
	Served  bool   // it had the database already
	Created bool   // the file was made
	Had     string // version of the schema
	Has     string // the same after a conversion
	Newer   bool   // it still has a newer one than Config.Schema
}

// Socket is where the server of this node listens.
func (c Config) Socket() string {
	if c.Rundir == "" {
		c.Rundir = unixctl.DefaultRundir
	}
	return "unix:" + filepath.Join(c.Rundir, "db.sock")
}

// Ensure has the database served, with the schema or a newer one. Where no server runs it only makes and converts the file. Its
// errors may be ErrOther, fs.ErrPermission, or what package unixctl and the tools of Open vSwitch say.
func Ensure(ctx context.Context, cfg Config) (State, error) {
	var state State
	name, _, err := nameAndVersion(cfg.Schema)
	if err != nil {
		return state, err
	}
	s := newServer(cfg.Rundir)
	list, running, err := s.await(ctx, cfg.Await)
	if err != nil {
		return state, err
	}
	state.Running, state.Served = running, slices.Contains(list, name)
	if !state.Served {
		if state.Created, err = ensureFile(ctx, cfg, name); err != nil {
			return state, err
		}
	}
	where := inFile(cfg.File)
	if running {
		where = served(cfg.Socket(), name, client.TLS{})
	}
	if running && !state.Served {
		if err := s.add(ctx, cfg.File, name); err != nil {
			return state, err
		}
	}
	err = where.upgrade(ctx, cfg.Schema, cfg.Force, &state)
	return state, err
}

// ensureFile makes the file unless it is there.
func ensureFile(ctx context.Context, cfg Config, name string) (created bool, err error) {
	err = checkFile(ctx, cfg.File, name)
	if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	err = create(ctx, cfg.File, cfg.Schema)
	if errors.Is(err, fs.ErrExist) { // another program was quicker
		return false, checkFile(ctx, cfg.File, name)
	}
	return err == nil, err
}

// Upgrade is the part of Ensure for a database that servers have already, here or elsewhere, such as
// the members of a cluster.
func Upgrade(ctx context.Context, cfg client.Config, schema []byte, force bool) (State, error) {
	state := State{Running: true, Served: true}
	err := served(cfg.Remotes, cfg.Database, cfg.TLS).upgrade(ctx, schema, force, &state)
	return state, err
}
