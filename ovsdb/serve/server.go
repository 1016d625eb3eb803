package serve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/flowshunt/flowshunt/pkg/unixctl"
)

// server is the ovsdb-server of this node, as its control socket shows it.
type server struct{ control unixctl.Client }

func newServer(rundir string) *server {
	return &server{unixctl.Client{Rundir: rundir, Daemon: "ovsdb-server"}}
}

// databases returns what it serves. running is false where there is no server, which is no error.
func (s *server) databases(ctx context.Context) (list []string, running bool, err error) {
	text, err := s.control.Call(ctx, "ovsdb-server/list-dbs")
	switch {
	case errors.Is(err, unixctl.ErrNotRunning):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	}
	return strings.Fields(text), true, nil
}

// pause between two looks for a server that starts.
const pause = 100 * time.Millisecond

// await is databases once there is a server, for which it waits at most so long.
func (s *server) await(ctx context.Context, most time.Duration) (list []string, running bool, err error) {
	end := time.NewTimer(most)
	defer end.Stop()
	again := time.NewTicker(pause)
	defer again.Stop()
	for {
		list, running, err = s.databases(ctx)
		if running || err != nil || most <= 0 {
			return list, running, err
		}
		select {
		case <-again.C:
		case <-end.C:
			return nil, false, nil
		case <-ctx.Done():
			return nil, false, context.Cause(ctx)
		}
	}
}

// add has the server serve a file. Another program may have been quicker.
func (s *server) add(ctx context.Context, file, name string) error {
	_, err := s.control.Call(ctx, "ovsdb-server/add-db", file)
	if err == nil {
		return nil
	}
	if list, _, _ := s.databases(ctx); slices.Contains(list, name) {
		return nil
	}
	return fmt.Errorf("ovsdb-server does not serve %s: %w", file, err)
}
