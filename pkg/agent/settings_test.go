package agent

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flowshunt/flowshunt/pkg/conntrack"
	"github.com/flowshunt/flowshunt/pkg/control"
)

// What is switched off later is told with what to do, and no longer than it is off.
func TestSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var found atomic.Pointer[error]
		set := func(err error) { found.Store(&err) }
		set(nil)
		s := &settings{check: func(context.Context) error { return *found.Load() }, interval: time.Second, health: newComponent("conntrack", silent)}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.run(ctx) }()
		want := func(h control.Health, texts ...string) {
			t.Helper()
			time.Sleep(1500 * time.Millisecond) // of the bubble's time
			got := s.health.get()
			for _, text := range append(texts, "") {
				if got.Health != h || !strings.Contains(got.LastError, text) || strings.Contains(got.LastError, "\n") {
					t.Errorf("%+v, want %v with %q", got, h, text)
				}
			}
		}
		want(control.HealthOK)
		set(&conntrack.PreflightError{Problems: []conntrack.Problem{
			{What: "a is 0", Why: "b", Fix: []string{"c", "d"}}, {What: "e", Why: "f"},
		}})
		want(control.HealthFailed, "a is 0: b; to mend it: c", "; e: f")
		set(errors.New("no memory"))
		want(control.HealthFailed, "no memory")
		set(nil)
		want(control.HealthOK)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// It is the kernel that is asked.
func TestSettingsOfTheKernel(t *testing.T) {
	needNamespace(t)
	sysctl(t, "nf_conntrack_acct", "1")
	sysctl(t, "nf_conntrack_events", "1")
	if err := checkConntrack(t.Context()); err != nil {
		t.Fatal(err)
	}
	sysctl(t, "nf_conntrack_acct", "0")
	if err := oneLine(checkConntrack(t.Context())); err == nil || !strings.Contains(err.Error(), "to mend it: sysctl -w net.netfilter.nf_conntrack_acct=1") {
		t.Error(err)
	}
}
