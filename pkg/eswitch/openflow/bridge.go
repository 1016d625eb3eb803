package openflow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"time"

	of "github.com/flowshunt/flowshunt/pkg/openflow"
)

// bridge is one bridge, with connections that are made when they are needed.
type bridge struct {
	name    string
	changes line // nothing waits here for a long answer
	reads   line

	pipeline pipeline
}

// idleFor is how long a connection is kept that nobody uses. OVS asks after 60 s whether
// there is still somebody, and complains where nobody reads (ofproto/connmgr.c).
const idleFor = 30 * time.Second

// line is a connection to a bridge, made anew after an error, or when it was not used for
// some time.
type line struct {
	socket string
	idle   time.Duration // 0: idleFor

	mu     sync.Mutex
	client *of.Client
	users  int
	timer  *time.Timer // ends what is idle
}

func (d *Driver) newBridge(name string) *bridge {
	socket := of.SocketPath(d.cfg.Rundir, name)
	return &bridge{name: name, changes: line{socket: socket}, reads: line{socket: socket}}
}

func (b *bridge) close() error { return errors.Join(b.changes.drop(nil), b.reads.drop(nil)) }

// with calls f with a connection. A connection of before may have ended with the
// ovs-vswitchd of before: then f is called once more with another.
func (l *line) with(ctx context.Context, f func(*of.Client) error) error {
	client, fresh, err := l.get(ctx)
	if err != nil {
		return err
	}
	err = f(client)
	l.leave()
	if isAnswer(err) {
		return err
	}
	_ = l.drop(client)
	if fresh || !errors.Is(err, of.ErrClosed) {
		return err
	}
	return l.with(ctx, f)
}

// isAnswer reports whether the connection is as good as before.
func isAnswer(err error) bool {
	if err == nil {
		return true
	}
	_, refused := errors.AsType[*of.RequestError](err)
	_, undone := errors.AsType[*of.BundleError](err)
	return refused || undone
}

func (l *line) get(ctx context.Context) (client *of.Client, fresh bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
	}
	if l.client == nil {
		fresh = true
		if l.client, err = of.Dial(ctx, l.socket, 0); err != nil {
			return nil, true, err
		}
	}
	l.users++
	return l.client, fresh, nil
}

// leave ends a use.
func (l *line) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users--; l.users == 0 {
		l.timer = time.AfterFunc(cmp.Or(l.idle, idleFor), l.dropIdle)
	}
}

func (l *line) dropIdle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users == 0 && l.client != nil {
		_ = l.client.Close()
		l.client = nil
	}
}

// drop closes a connection, unless another has taken its place; nil: whichever it is.
func (l *line) drop(client *of.Client) (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if client == nil && l.timer != nil {
		l.timer.Stop()
	}
	if l.client != nil && (client == nil || client == l.client) {
		err = l.client.Close()
		l.client = nil
	}
	return err
}

// isGone reports whether there is no such bridge.
func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// all returns the bridges that there are.
func (d *Driver) all() ([]*bridge, error) {
	const suffix = ".mgmt"
	paths, err := filepath.Glob(of.SocketPath(d.cfg.Rundir, "*"))
	if err != nil {
		return nil, fmt.Errorf("bridges: %w", err)
	}
	list := make([]*bridge, 0, len(paths))
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, path := range paths {
		list = append(list, d.bridge(strings.TrimSuffix(filepath.Base(path), suffix)))
	}
	return list, nil
}

// bridge returns the bridge of a name. d.mu is held.
func (d *Driver) bridge(name string) *bridge {
	b := d.bridges[name]
	if b == nil {
		b = d.newBridge(name)
		d.bridges[name] = b
	}
	return b
}
