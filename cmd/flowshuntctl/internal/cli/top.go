package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/flowshunt/flowshunt/pkg/control"
)

// topFlags are the flags of "top".
type topFlags struct {
	sessionFlags
	interval time.Duration
	count    uint
}

// Sizes where there is no terminal, and the least time between two looks.
const (
	plainRows   = 20
	headerRows  = 6
	minInterval = 100 * time.Millisecond
)

func (a *app) topCmd() *cobra.Command {
	f := topFlags{}
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show the busiest connections, again and again",
		Long: "top shows how the agent is, what went through hardware since the last look, and below the connections as\n" +
			"sessions does, the fastest first. On a terminal it fills the screen until q or ctrl-C; elsewhere it prints one look\n" +
			"after the other. The rates are those between two looks, so the first has none.",
		Example: "  flowshuntctl top --interval=1s\n  flowshuntctl top --count=2 --limit=5 > looks.txt",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return classify(a.top(cmd.Context(), &f))
		},
	}
	flags := cmd.Flags()
	flags.DurationVar(&f.interval, "interval", 2*time.Second, "`time` between two looks")
	flags.UintVar(&f.count, "count", 0, "end after so many looks; 0: never")
	f.addView(cmd)
	flags.Uint64Var(&f.limit, "limit", 0, "show at most so many; 0: as many as fit, and 20 where there is no terminal")
	f.add(cmd)
	return cmd
}

// look is what top sees at a moment.
type look struct {
	status   control.Status
	stats    map[string]uint64 // by name and the value of the only label
	sessions []control.Session
	summary  control.Summary
}

func (a *app) top(ctx context.Context, f *topFlags) error {
	filter, err := f.filter()
	switch {
	case err != nil:
		return err
	case a.format != formatTable:
		return usagef("--format %q: top prints tables only; sessions has other formats", a.format)
	case f.interval < minInterval:
		return usagef("--interval %s: want at least %s", f.interval, minInterval)
	}
	if _, err := choose(&f.listFlags, a.format, sessionColumns(time.Time{})); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	screen := a.openScreen(cancel)
	defer screen.close()
	var before *look
	for n := uint(1); ; n++ {
		rows, _ := screen.size()
		if filter.Limit = f.limit; f.limit == 0 {
			filter.Limit = uint64(max(1, rows-headerRows))
		}
		now, err := a.look(ctx, filter)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && (!screen.live() || before == nil):
			return err
		}
		var page bytes.Buffer
		if err != nil {
			fmt.Fprintf(&page, "flowshuntctl: %s\n", clean(err.Error()))
		} else if err := writeLook(&page, &f.listFlags, before, now); err != nil {
			return err
		}
		if err := screen.show(page.Bytes(), n > 1); err != nil {
			return err
		}
		if now != nil {
			before = now
		}
		if n == f.count || !sleep(ctx, f.interval) {
			return nil
		}
	}
}

// sleep waits, and reports whether there is a reason to go on.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// look asks for all that one page shows, within the time of --timeout.
func (a *app) look(ctx context.Context, filter control.Filter) (*look, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout.duration())
	defer cancel()
	l := &look{stats: make(map[string]uint64)}
	err := a.ask(ctx, func(c *control.Client) error {
		var errs [3]error
		var stats []control.Stat
		l.status, errs[0] = c.Show(ctx)
		stats, errs[1] = c.Stats(ctx)
		for _, s := range stats {
			key := s.Name
			for _, v := range s.Labels {
				key += "/" + v
			}
			l.stats[key] = s.Value
		}
		l.summary, errs[2] = c.Sessions(ctx, filter, func(s control.Session) error {
			l.sessions = append(l.sessions, s)
			return nil
		})
		return errors.Join(errs[:]...)
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}
