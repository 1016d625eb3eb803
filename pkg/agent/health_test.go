package agent

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flowshunt/flowshunt/pkg/control"
)

// A component that fails all the time says so once in a while, not each time.
func TestComplaintsAreRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := newComponent("x", slog.New(slog.NewTextHandler(&log, nil)))
		for range 1000 {
			c.failed(errors.New("trouble"))
			c.ok()
			c.note(errors.New("more trouble"))
		}
		if n := strings.Count(log.String(), "\n"); n > 4 {
			t.Errorf("%d lines in no time:\n%s", n, log.String())
		}
		time.Sleep(logEvery)
		c.failed(errors.New("again"))
		if !strings.Contains(log.String(), "again") {
			t.Errorf("nothing is said later:\n%s", log.String())
		}
		if s := c.get(); s.Health != control.HealthFailed || s.LastError != "again" {
			t.Errorf("got %+v", s)
		}
		c.ok()
		if s := c.get(); s.Health != control.HealthOK || s.LastError != "again" {
			t.Errorf("after recovery: %+v", s)
		}
	})
}

func TestLongErrorsAreCut(t *testing.T) {
	var log bytes.Buffer
	c := newComponent("x", slog.New(slog.NewTextHandler(&log, nil)))
	c.failed(errors.New(strings.Repeat("y", 1<<20)))
	if n := len(c.get().LastError); n > 2*maxErrorText || log.Len() > 2*maxErrorText {
		t.Errorf("%d bytes kept, %d logged", n, log.Len())
	}
}
