package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// pollInterval is that of the agent in every story.
const pollInterval = time.Second

func socket(w *harness.World) string { return filepath.Join(w.Dir, "control.sock") }

// startAgent starts an agent for the node's OVS with what every story has in
// common, and waits until it is ready. Later flags win.
func startAgent(w *harness.World, flags ...string) *harness.Agent {
	w.T.Helper()
	return w.Agent(append([]string{
		"--mode=enforce", "--ports=all", "--hardware=" + executor(w), "--log-level=debug",
		"--ovsdb=" + w.OVSDB(), "--ovs-rundir=" + w.Dir, "--control-socket=" + socket(w),
		"--poll-interval=" + pollInterval.String(),
	}, flags...)...)
}

// executor is who is to execute rules, as --hardware has it.
func executor(w *harness.World) string {
	if w.NIC != nil {
		return "skip-sw"
	}
	return "skip-hw"
}

// skip is the same for tc.
func skip(w *harness.World) string { return strings.ReplaceAll(executor(w), "-", "_") }

func ctl(w *harness.World, args ...string) string {
	w.T.Helper()
	return w.Ctl(append([]string{"--socket=" + socket(w)}, args...)...)
}

// session is a line of flowshuntctl sessions --format=json.
type session struct {
	ID        string `json:"id"`
	Tuple     string `json:"tuple"`
	State     string `json:"state"`
	Reason    string `json:"reason"`
	Verdict   string `json:"verdict"`
	Offloaded uint64 `json:"offloaded_bytes"`
}

func sessions(w *harness.World, args ...string) []session {
	w.T.Helper()
	var list []session
	out := ctl(w, append([]string{"sessions", "--format=json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		w.T.Fatalf("%v in %s", err, out)
	}
	return list
}

// rulesWithin waits until there are exactly n rules of ours.
func rulesWithin(t testing.TB, w *harness.World, limit time.Duration, n int) []harness.Filter {
	t.Helper()
	var rules []harness.Filter
	harness.Within(t, limit, fmt.Sprintf("%d rules", n), func() error {
		if rules = w.Rules(); len(rules) != n {
			return fmt.Errorf("%d rules; %v", len(rules), sessions(w))
		}
		return nil
	})
	onlyHardware(w)
	return rules
}
