package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/flowshunt/flowshunt/pkg/conntrack"
)

// checkSettings is how often settings are looked at again.
const checkSettings = 2 * time.Second

// settings watches that conntrack still tells all that decisions need: what was so
// at the start can be switched off by anybody.
type settings struct {
	check    func(ctx context.Context) error // nil or a *conntrack.PreflightError
	interval time.Duration
	health   *component
}

func checkConntrack(ctx context.Context) error {
	_, err := conntrack.Preflight(ctx, 0)
	return err
}

func (s *settings) run(ctx context.Context) error {
	s.health.ok()
	for {
		pause(ctx, s.interval)
		err := s.check(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			s.health.failed(oneLine(err))
		default:
			s.health.ok()
		}
	}
}

// oneLine makes what a start says in paragraphs a line of a status.
func oneLine(err error) error {
	var found *conntrack.PreflightError
	if !errors.As(err, &found) {
		return err
	}
	var lines []string
	for _, p := range found.Problems {
		line := fmt.Sprintf("%s: %s", p.What, p.Why)
		if len(p.Fix) > 0 {
			line += "; to mend it: " + p.Fix[0]
		}
		lines = append(lines, line)
	}
	return errors.New(strings.Join(lines, "; "))
}
