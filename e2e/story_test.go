package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// modest are thresholds that a connection passes which an emulated machine can
// carry beside many others: 50 kB/s and 200 kB.
var modest = []string{"--elephant-rate=50000", "--elephant-bytes=200000", "--leave-rate=20000"}

// An elephant's rate, in bytes per second, and more bytes than any story waits for.
const (
	paced   = 200_000
	endless = 1 << 40
)

// patience is for what takes a moment on a real machine.
const patience = 30 * time.Second

// connection is a connection as flowshuntctl sessions shows it.
type connection struct {
	ID        string `json:"id"`
	Tuple     string `json:"tuple"`
	State     string `json:"state"`
	Verdict   string `json:"verdict"`
	Reason    string `json:"reason"`
	Detail    string `json:"detail"`
	SrcPort   uint16 `json:"src_port"`
	DstPort   uint16 `json:"dst_port"`
	In        string `json:"in_port"`
	Out       string `json:"out_port"`
	SlowBytes uint64 `json:"slow_path_bytes"`
	Offloaded uint64 `json:"offloaded_bytes"`
}

// connections are all that the agent follows.
func connections(w *harness.World) []connection {
	w.T.Helper()
	var list []connection
	out := ctl(w, "sessions", "--all", "--limit=0", "--format=json")
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		w.T.Fatalf("%v in %s", err, out)
	}
	return list
}

// becomes waits until the connection with that tuple is in a state for a reason.
func becomes(w *harness.World, limit time.Duration, tuple, state, reason string) connection {
	w.T.Helper()
	var found connection
	harness.Within(w.T, limit, fmt.Sprintf("%s: %s for %s", tuple, state, reason), func() error {
		found = connection{State: "not followed"}
		for _, c := range connections(w) {
			if c.Tuple == tuple {
				found = c
			}
		}
		if found.State != state || found.Reason != reason {
			return fmt.Errorf("%+v", found)
		}
		return nil
	})
	if state == "offloaded" {
		onlyHardware(w)
	}
	return found
}

// offloaded waits until an elephant is in the eswitch.
func offloaded(w *harness.World, tuple string) connection {
	w.T.Helper()
	return becomes(w, patience, tuple, "offloaded", "elephant")
}

// left waits until a session has left the eswitch for a cause, within a second by
// the agent's clock, and returns when its removal was ordered.
func left(t testing.TB, a *harness.Agent, c connection, cause string) time.Time {
	t.Helper()
	l := a.Logged(t, patience, "remove", "session", c.ID)
	if !slices.Contains(strings.Split(cause, "|"), l.Attrs["cause"]) {
		t.Fatalf("%s left for %s, want %s", c.Tuple, l.Attrs["cause"], cause)
	}
	gone := a.Logged(t, patience, "removed", "session", c.ID, "error", "<nil>")
	if d := gone.Time.Sub(l.Time); d > time.Second {
		t.Errorf("%s: rules removed %v after the decision", c.Tuple, d)
	}
	return l.Time
}

// ourRules are the rules at preferences of ours, whatever others have.
func ourRules(w *harness.World) []harness.Filter {
	w.T.Helper()
	var ours []harness.Filter
	for _, f := range w.Rules() {
		if isOurs(f) {
			ours = append(ours, f)
		}
	}
	return ours
}

func isOurs(f harness.Filter) bool { return f.Pref>>4 == 0x4000>>4 }

func ourRulesWithin(w *harness.World, limit time.Duration, n int) []harness.Filter {
	w.T.Helper()
	var rules []harness.Filter
	harness.Within(w.T, limit, fmt.Sprintf("%d rules of ours", n), func() error {
		if rules = ourRules(w); len(rules) != n {
			return fmt.Errorf("%d: %v", len(rules), rules)
		}
		return nil
	})
	return rules
}

// flow is a connection that machine A of a pair opened.
type flow struct {
	*harness.Peer
	from   netip.AddrPort
	tuple  string
	filter []string // for conntrack(8)
}

// dial opens one connection to port 9000 of machine B, where somebody listens.
func dial(w *harness.Pair, network string, v6 bool, sport uint16) *flow {
	w.T.Helper()
	to := netip.AddrPortFrom(w.B.Addr(v6), 9000)
	f := &flow{
		from:   netip.AddrPortFrom(w.A.Addr(v6), sport),
		Peer:   w.A.Dial(w.T, network, to, sport, 1),
		tuple:  fmt.Sprintf("%s,%v,%v", network, netip.AddrPortFrom(w.A.Addr(v6), sport), to),
		filter: []string{"-p", network, "--orig-port-src", fmt.Sprint(sport)},
	}
	if v6 {
		f.filter = append(f.filter, "-f", "ipv6")
	}
	return f
}

// elephantFlow opens a connection over IPv4 that sends at an elephant's rate.
func elephantFlow(w *harness.Pair, network string, sport uint16) *flow {
	w.T.Helper()
	f := dial(w, network, false, sport)
	f.Do(1, fmt.Sprintf("send %d %d", endless, paced))
	return f
}

// setSysctl sets a value in the node's namespace until the test ends.
func setSysctl(w *harness.World, key, value string) {
	w.T.Helper()
	old := strings.TrimSpace(w.Run(w.T, "sysctl", "-n", key))
	w.Run(w.T, "sysctl", "-qw", key+"="+value)
	w.T.Cleanup(func() { w.Run(w.T, "sysctl", "-qw", key+"="+old) })
}

// watchDestroyed starts a listener to the ends of entries of a protocol, and
// returns when it is known to hear them.
func watchDestroyed(w *harness.World, proto string) *harness.Process {
	w.T.Helper()
	p := w.Start(w.T, "conntrack", "-E", "-e", "DESTROY", "-p", proto, "-o", "id")
	harness.Within(w.T, patience, "conntrack -E hears", func() error {
		entry := []string{"-p", proto, "-s", "192.0.2.1", "-d", "192.0.2.2", "--sport", "1", "--dport", "2"}
		_, err := w.Try(append([]string{"conntrack", "-I", "-t", "60"}, entry...)...)
		if err == nil {
			_, err = w.Try(append([]string{"conntrack", "-D"}, entry...)...)
		}
		if err == nil && !strings.Contains(p.Output(), "192.0.2.1") {
			err = errors.New("nothing")
		}
		return err
	})
	return p
}

// status is the exit status of a command that Try ran.
func status(t testing.TB, err error) int {
	t.Helper()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	t.Fatal(err)
	return 0
}

// tryCtl runs flowshuntctl for the agent of a node, alive or not.
func tryCtl(w *harness.World, args ...string) (out string, code int) {
	w.T.Helper()
	out, err := w.TryCtl(append([]string{"--socket=" + socket(w)}, args...)...)
	return out, status(w.T, err)
}

func mustMatch(t testing.TB, text string, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		if !regexp.MustCompile(p).MatchString(text) {
			t.Errorf("no match for %q in\n%s", p, text)
		}
	}
}
