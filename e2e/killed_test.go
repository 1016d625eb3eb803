package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// addForeign puts filters of somebody else on a port, on both hooks; one of them
// is one of ours in everything but its preference.
func addForeign(w *harness.World, dev string) {
	w.T.Helper()
	w.Run(w.T, "tc", "qdisc", "add", "dev", dev, "clsact")
	for _, filter := range []string{
		"ingress pref 100 protocol ip flower skip_hw ip_proto tcp src_ip 192.0.2.1 dst_port 9000 tcp_flags 0x0/0x7" +
			" action mirred egress redirect dev " + dev + " cookie f10547000000000000000001",
		"ingress pref 30000 protocol ipv6 flower ip_proto udp dst_port 7 action drop",
		"egress pref 16384 protocol ip flower dst_ip 192.0.2.7 action drop",
	} {
		w.Run(w.T, append([]string{"tc", "filter", "add", "dev", dev}, strings.Fields(filter)...)...)
	}
}

// listing is everything that tc shows of a port, without counters.
func listing(w *harness.World, dev string) string {
	w.T.Helper()
	return w.Run(w.T, "tc", "qdisc", "show", "dev", dev) +
		w.Run(w.T, "tc", "filter", "show", "dev", dev, "ingress") +
		w.Run(w.T, "tc", "filter", "show", "dev", dev, "egress") +
		w.Run(w.T, "tc", "chain", "show", "dev", dev, "ingress")
}

// untouched checks that tc shows what it did before there was any agent: the
// foreign filters of A's port, and nothing at all on B's.
type untouched struct {
	w      *harness.Pair
	before [2]string
}

func newUntouched(w *harness.Pair) *untouched {
	w.T.Helper()
	addForeign(w.World, w.A.Rep)
	u := &untouched{w: w}
	u.before = u.now()
	if strings.Contains(u.before[1], "clsact") {
		w.T.Fatalf("a clsact before there is an agent: %s", u.before[1])
	}
	return u
}

func (u *untouched) now() [2]string {
	u.w.T.Helper()
	return [2]string{listing(u.w.World, u.w.A.Rep), listing(u.w.World, u.w.B.Rep)}
}

func (u *untouched) check(when string) {
	u.w.T.Helper()
	if now := u.now(); now != u.before {
		u.w.T.Errorf("%s: tc showed\n%q\nand now\n%q", when, u.before, now)
	}
}

type auditLine struct {
	Claimed bool   `json:"claimed"`
	Port    string `json:"port"`
	Session string `json:"session"`
	Rule    string `json:"rule"`
}

func audit(w *harness.World) (lines []auditLine, code int) {
	w.T.Helper()
	out, code := tryCtl(w, "audit", "--format=json")
	if err := json.Unmarshal([]byte(out), &lines); err != nil {
		w.T.Fatalf("audit: status %d, %v in %q", code, err, out)
	}
	return lines, code
}

func mustAudit(w *harness.World, rules int, claimed bool) {
	w.T.Helper()
	lines, code := audit(w)
	want := 0
	if rules > 0 && !claimed {
		want = 1
	}
	ports := map[string]int{}
	for _, l := range lines {
		ports[l.Port]++
		if l.Claimed != claimed || !strings.Contains(l.Rule, "redirect to rep-vm") {
			w.T.Errorf("audit: %+v, want claimed %v", l, claimed)
		}
	}
	if code != want || len(lines) != rules || rules == 2 && len(ports) != 2 {
		w.T.Errorf("audit: status %d, %+v; want %d and %d rules", code, lines, want, rules)
	}
}

func kill(t testing.TB, a *harness.Agent, sig syscall.Signal, status int) {
	t.Helper()
	a.Signal(t, sig)
	if got := a.Wait(t, patience); got != status {
		t.Errorf("%v: ended with %d, want %d; its output:\n%s", sig, got, status, a.Output())
	}
}

// An agent that is killed leaves its rules; audit finds and flush clears them
// without an agent, and neither touches what is others'.
func TestKilledAndFlushed(t *testing.T) {
	betterOnEswsim(t)
	w := harness.SwitchedPair(t)
	u := newUntouched(w)
	w.B.Listen(t, "tcp", 9000, false)
	a := startAgent(w.World, modest...)
	f := elephantFlow(w, "tcp", 46000)
	offloaded(w.World, f.tuple)
	mustAudit(w.World, 2, true)
	if out, code := tryCtl(w.World, "flush"); code != 1 {
		t.Errorf("flush beside a living agent: status %d: %s", code, out)
	}

	kill(t, a, syscall.SIGKILL, -int(syscall.SIGKILL))
	ourRulesWithin(w.World, 0, 2)
	// somebody's own filter at a preference of ours, where no agent stands guard
	squatter := []string{"dev", w.A.Rep, "ingress", "pref", "16391", "protocol", "ipv6", "flower"}
	w.Run(t, append(append([]string{"tc", "filter", "add"}, squatter...), skip(w.World), "ip_proto", "50",
		"action", "drop", "cookie", "0123456789abcdef01234567")...)
	mustAudit(w.World, 2, false)
	mustMatch(t, ctl(w.World, "flush"), `^2 rules removed\n$`)
	if left := ourRulesWithin(w.World, 0, 1); left[0].Pref != 16391 {
		t.Errorf("left after flush: %v", left)
	}
	mustAudit(w.World, 0, false)
	w.Run(t, append([]string{"tc", "filter", "del"}, squatter...)...)
	u.check("after flush")
}

// Rules are kept for a successor where that was asked for.
func TestKeepOnExit(t *testing.T) {
	w := harness.SwitchedPair(t)
	u := newUntouched(w)
	w.B.Listen(t, "tcp", 9000, false)
	a := startAgent(w.World, append(modest, "--on-exit=keep")...)
	f := elephantFlow(w, "tcp", 46000)
	offloaded(w.World, f.tuple)
	kill(t, a, syscall.SIGTERM, 0)
	ourRulesWithin(w.World, 0, 2)
	start := moved(w)
	harness.Within(t, patience, "they still forward", func() error {
		if n := moved(w) - start; n < 1e6 {
			return fmt.Errorf("%d bytes", n)
		}
		return nil
	})
	mustMatch(t, ctl(w.World, "flush"), `^2 rules removed\n$`)
	u.check("after flush")
}
