package check

import (
	"context"
	"errors"
	"iter"
	"path/filepath"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/control"
)

// scripted is an agent with one status.
type scripted struct {
	status control.Status
	err    error
	hang   bool
}

func (s scripted) Show(ctx context.Context) (control.Status, error) {
	if s.hang {
		<-ctx.Done()
		return control.Status{}, ctx.Err()
	}
	return s.status, s.err
}

func (scripted) Sessions(context.Context, bool) (iter.Seq[control.Session], error) {
	return nil, errors.ErrUnsupported
}

func (scripted) Order(context.Context, control.Order) ([]control.Ordered, error) { return nil, nil }
func (scripted) Why(context.Context, control.Question) (control.Explanation, error) {
	return control.Explanation{}, errors.ErrUnsupported
}

func (scripted) Stats(context.Context) ([]control.Stat, error) { return nil, errors.ErrUnsupported }

// ask starts an agent and returns what is learnt of it within limit.
func ask(t *testing.T, s scripted, limit time.Duration) *node {
	t.Helper()
	path := filepath.Join(t.TempDir(), "control.sock")
	l, err := control.Listen(t.Context(), control.Socket{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- (&control.Server{Backend: s}).Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	bounded, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	n := &node{agent: askAgent(bounded, path)}
	n.Version = "1.0"
	return n
}

func TestAgent(t *testing.T) {
	well := control.Status{Version: "1.0", Mode: control.ModeEnforce, Ready: true,
		Components: []control.Component{{Name: "ovsdb", Health: control.HealthOK, LastError: "long ago"},
			{Name: "conntrack-entries", Health: control.HealthStarting}}}
	older, sick, forced := well, well, well
	older.Version = "0.9"
	sick.Ready = false
	sick.Components = []control.Component{{Name: "ovsdb", Health: control.HealthFailed, LastError: "no\nsuch file"}, {Name: "eswitch", Health: control.HealthStarting}}
	forced.ObserveReason, forced.ObserveDetail = flows.OVSHWOffload, "other_config:hw-offload=true"
	for _, tt := range []struct {
		name  string
		agent scripted
		want  []string
	}{
		{"well", scripted{status: well}, []string{"ok flowshuntd: 1.0, mode enforce, ready"}},
		{"older", scripted{status: older}, []string{"warning version: the agent is 0.9, flowshuntctl 1.0", "ok flowshuntd: 0.9, mode enforce, ready"}},
		{"sick", scripted{status: sick}, []string{"fatal flowshuntd: 1.0, mode enforce, not well: ovsdb failed: no such file"}},
		{"forced", scripted{status: forced}, []string{"warning mode: enforce, but it only observes: ovs-hw-offload", "ok flowshuntd: 1.0, mode enforce, ready"}},
	} {
		t.Run(tt.name, func(t *testing.T) { wantLines(t, says(t, ask(t, tt.agent, patience), running), tt.want...) })
	}
	n := ask(t, scripted{hang: true}, 300*time.Millisecond)
	if got := running(t.Context(), n); got[0].Status != Fatal || n.agent.gone() {
		t.Errorf("an agent that hangs: %+v", got)
	}
}

// What others have left no time for is not at fault.
func TestLate(t *testing.T) {
	late, cancel := context.WithCancel(t.Context())
	cancel()
	n := &node{agent: askAgent(late, filepath.Join(t.TempDir(), "control.sock"))}
	for _, look := range []look{running, access} {
		if got := look(late, n); len(got) != 1 || got[0].Status != Unknown || got[0].Found != errLate.Error() || got[0].Root {
			t.Errorf("%+v", got)
		}
	}
}

func TestNoAgent(t *testing.T) {
	n := &node{agent: askAgent(t.Context(), filepath.Join(t.TempDir(), "control.sock"))}
	wantLines(t, says(t, n, running), "warning flowshuntd: no agent is running")
	if !n.agent.gone() {
		t.Errorf("%v", n.agent.err)
	}
}
