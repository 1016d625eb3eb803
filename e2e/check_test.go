package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// checkLine is what flowshuntctl check says of one thing.
type checkLine struct {
	Group, Name, Status, Found, Why string
	Fix                             []string
}

// preflight runs flowshuntctl check and returns its lines by group and name. What depends on
// how busy the emulated machine is, and on its clock, is left out.
func preflight(w *harness.World, code int, flags ...string) map[string]checkLine {
	w.T.Helper()
	out, got := tryCtl(w, append(checkArgs(w), append(flags, "--format=json")...)...)
	var doc struct{ Lines []checkLine }
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		w.T.Fatalf("%v in %q", err, out)
	}
	lines := make(map[string]checkLine)
	for _, l := range doc.Lines {
		lines[l.Group+"/"+l.Name] = l
	}
	delete(lines, "process/clock")
	delete(lines, "process/processors")
	if code >= 0 && got != code {
		w.T.Errorf("check %v: status %d, want %d; %v", flags, got, code, notOK(lines))
	}
	return lines
}

func checkArgs(w *harness.World) []string {
	return []string{"check", "--ovsdb=" + w.OVSDB(), "--ovs-rundir=" + w.Dir, "--capacity=1000", "--timeout=30s"}
}

// notOK are the lines that are not ok, with their status.
func notOK(lines map[string]checkLine) map[string]string {
	bad := make(map[string]string)
	for name, l := range lines {
		if l.Status != "ok" {
			bad[name] = l.Status
		}
	}
	return bad
}

// changesTo waits until exactly these lines are not ok, and returns all.
func changesTo(w *harness.World, want map[string]string) map[string]checkLine {
	w.T.Helper()
	code := 0
	if slices.Contains(slices.Collect(maps.Values(want)), "fatal") {
		code = 1
	}
	var lines map[string]checkLine
	harness.Within(w.T, patience, fmt.Sprint(want), func() error {
		lines = preflight(w, -1)
		if got := notOK(lines); !maps.Equal(got, want) {
			return fmt.Errorf("not ok are %v: %+v", got, bad(lines))
		}
		return nil
	})
	lines = preflight(w, code)
	for name := range want {
		w.T.Logf("%s %s: %s", lines[name].Status, name, lines[name].Found)
	}
	return lines
}

func bad(lines map[string]checkLine) (list []checkLine) {
	for _, l := range lines {
		if l.Status != "ok" {
			list = append(list, l)
		}
	}
	return list
}

// usualLines are what is never ok in a node of the harness: without the model of a NIC
// there is none.
func usualLines(more ...map[string]string) map[string]string {
	usual := map[string]string{"kernel/bug act_pedit": "unknown"} // no series of Debian's is known to be mended
	if !harness.Modelled() {
		usual["nic/eswitch"] = "warning"
	}
	for _, m := range more {
		maps.Copy(usual, m)
	}
	return usual
}

// TestCheck breaks one thing after the other on a node where all is well, and sees the
// lines about it change, and no others.
func TestCheck(t *testing.T) {
	w := harness.SwitchedPair(t)
	a := startAgent(w.World, modest...)
	changesTo(w.World, usualLines())
	text, _ := tryCtl(w.World, checkArgs(w.World)...)
	t.Log(text)

	t.Run("accounting off", func(t *testing.T) {
		in := on(w, t)
		w.Run(t, "sysctl", "-qw", "net.netfilter.nf_conntrack_acct=0")
		l := changesTo(in, usualLines(map[string]string{"conntrack/accounting": "fatal", "agent/flowshuntd": "fatal"}))
		mustMatch(t, l["conntrack/accounting"].Found, `^net\.netfilter\.nf_conntrack_acct is 0, must be 1$`)
		mustMatch(t, l["agent/flowshuntd"].Found, `not well: conntrack-settings failed: .*nf_conntrack_acct`)
		w.Run(t, "sh", "-c", l["conntrack/accounting"].Fix[0]) // what it says to do
		changesTo(in, usualLines())
	})
	t.Run("nobody", func(t *testing.T) { checkAsNobody(on(w, t)) })
	t.Run("agent stopped", func(t *testing.T) {
		a.Stop()
		l := changesTo(on(w, t), usualLines(map[string]string{"agent/flowshuntd": "warning"}))
		mustMatch(t, l["agent/flowshuntd"].Found, "^no agent is running$")
	})
	alone := func(more map[string]string) map[string]string {
		return usualLines(map[string]string{"agent/flowshuntd": "warning"}, more)
	}
	t.Run("ingress qdisc", func(t *testing.T) {
		in := on(w, t)
		w.Run(t, "tc", "qdisc", "add", "dev", w.A.Rep, "ingress")
		l := changesTo(in, alone(map[string]string{"tc/ingress": "fatal"}))
		mustMatch(t, l["tc/ingress"].Found, `^1 port has an ingress qdisc: `+w.A.Rep+` \(not of OVS, or left by it\)$`)
		w.Run(t, "sh", "-c", l["tc/ingress"].Fix[2])
		changesTo(in, alone(nil))
	})
	t.Run("filters", func(t *testing.T) { checkFilters(on(w, t), w.A.Rep, w.B.Rep, alone) })
	t.Run("OVS stopped", func(t *testing.T) { checkOVSStopped(on(w, t), alone) })
	t.Run("probe", func(t *testing.T) {
		if harness.Modelled() {
			t.Skip("TestCheckProbeEswsim")
		}
		checkProbeVeth(on(w, t), w.A.Rep, w.B.Rep)
	})
}

// checkAsNobody: what only root is told is unknown, says so, and is not taken for well.
func checkAsNobody(w *harness.World) {
	args := append([]string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", harness.Binary(w.T, "flowshuntctl"), "--socket=" + socket(w)}, checkArgs(w)...)
	out, err := w.Try(args...)
	if code := status(w.T, err); code != 4 {
		w.T.Errorf("status %d, want 4", code)
	}
	mustMatch(w.T, out, `(?m)^  unknown  ctnetlink: `, `(?m)^  unknown  database: `, `(?m)^  ok       accounting: `, `(?m)^ +do   run flowshuntctl check as root$`)
	if strings.Contains(out, "  fatal  ") {
		w.T.Errorf("something is fatal that was not looked at:\n%s", out)
	}
}

// checkFilters: rules that nobody claims, others where ours would stand, and what OVS left.
func checkFilters(w *harness.World, port, other string, alone func(map[string]string) map[string]string) {
	w.Run(w.T, "tc", "qdisc", "add", "dev", port, "clsact")
	defer w.Run(w.T, "tc", "qdisc", "del", "dev", port, "clsact")
	for _, c := range []struct{ line, pref, cookie, found string }{
		{"tc/our rules", "16384", "f10547000000000000000001", "^1 rule and no agent$"},
		{"tc/preferences", "16385", "", `flower at preference 16385$`},
		{"tc/ovs filters", "3", strings.Repeat("ab", 16), "^some on " + port + " look like OVS's, and hw-offload is false$"},
	} {
		args := "tc filter add dev " + port + " ingress pref " + c.pref + " protocol ip flower skip_hw src_ip 192.0.2.1 action mirred egress redirect dev " + other
		if c.cookie != "" {
			args += " cookie " + c.cookie
		}
		w.Run(w.T, strings.Fields(args)...)
		l := changesTo(w, alone(map[string]string{c.line: "fatal"}))
		mustMatch(w.T, l[c.line].Found, c.found)
		w.Run(w.T, "tc", "filter", "del", "dev", port, "ingress", "pref", c.pref)
	}
}

// checkOVSStopped stops ovs-vswitchd, switches its own offload on, and undoes both.
func checkOVSStopped(w *harness.World, alone func(map[string]string) map[string]string) {
	w.StopSwitch()
	gone := map[string]string{"ovs/ovs-vswitchd": "fatal", "ovs/upcalls": "unknown", "ovs/flow monitor": "unknown"}
	l := changesTo(w, alone(gone))
	mustMatch(w.T, l["ovs/ovs-vswitchd"].Found, "^is not running$")
	setHWOffload(w, true)
	gone["ovs/hw-offload"] = "fatal"
	l = changesTo(w, alone(gone))
	mustMatch(w.T, l["ovs/hw-offload"].Found, "^other_config:hw-offload=true$")
	w.Run(w.T, "ovs-vsctl", "--timeout=20", "--no-wait", "remove", "open_vswitch", ".", "other_config", "hw-offload")
	if err := w.StartSwitch(); err != nil {
		w.T.Fatal(err)
	}
	changesTo(w, alone(nil))
}

// checkProbeVeth: no driver is behind a veth.
func checkProbeVeth(w *harness.World, port, to string) {
	lines := preflight(w, 1, "--probe="+port, "--probe-to="+to)
	for name, want := range map[string]string{"probe/port": "ok", "probe/rule": "fatal", "probe/classes": "warning", "probe/cleaned up": "ok"} {
		w.T.Logf("%s %s: %s", lines[name].Status, name, lines[name].Found)
		if lines[name].Status != want {
			w.T.Errorf("%s: %+v, want %s", name, lines[name], want)
		}
	}
	mustMatch(w.T, lines["probe/rule"].Found, `^refused: no hardware took the rule`)
	probeLeftNothing(w, port)
}

func probeLeftNothing(w *harness.World, ports ...string) {
	w.T.Helper()
	for _, port := range ports {
		if out := w.Run(w.T, "tc", "qdisc", "show", "dev", port); strings.Contains(out, "clsact") {
			w.T.Errorf("left at %s: %s", port, out)
		}
	}
	if out, code := tryCtl(w, "audit"); code != 0 {
		w.T.Errorf("audit: status %d:\n%s", code, out)
	}
}

func TestCheckEswsim(t *testing.T) { slowly(t); onEswsim(t, TestCheck) }

// TestCheckProbeEswsim asks a NIC: what it takes, what it says against the rest, how many
// it holds. Afterwards its table is empty.
func TestCheckProbeEswsim(t *testing.T) {
	harness.OnEswsim(t)
	w := harness.SwitchedPair(t)
	probe := func(code int) map[string]checkLine {
		t.Helper()
		lines := preflight(w.World, code, "--probe="+w.A.Rep, "--probe-to="+w.B.Rep)
		probeLeftNothing(w.World, w.A.Rep, w.B.Rep)
		if n := w.NIC.Counters(t).Rules; n != 0 {
			t.Errorf("%d rules are left in the NIC: %q", n, w.NIC.Rules(t))
		}
		return lines
	}
	says := func(lines map[string]checkLine, name, status, found string) {
		t.Helper()
		l := lines[name]
		t.Logf("%s %s: %s", l.Status, name, l.Found)
		if l.Status != status {
			t.Errorf("%s: %+v, want %s", name, l, status)
		}
		mustMatch(t, l.Found, found)
	}
	lines := probe(0)
	says(lines, "nic/eswitch eswsim/"+w.NIC.Name, "ok", `^mode switchdev$`)
	says(lines, "nic/representors", "ok", `^2 are OVS ports$`)
	says(lines, "nic/hw-tc-offload", "ok", `^on at 2 representors$`)
	says(lines, "probe/rule", "ok", `^taken in both directions: `+w.A.Rep+` in_hw, in_hw_count 1, `+w.B.Rep+` in_hw, in_hw_count 1$`)
	for _, class := range []string{"tcp4", "udp4", "tcp6", "udp6", "portless4", "portless6"} {
		says(lines, "probe/class "+class, "ok", "^taken$")
	}
	says(lines, "probe/one by one", "ok", `^200 rules, \d+ per second, p50 \S+, p99 `)
	says(lines, "probe/insertions", "ok", `^\d+ rules, \d+ per second$`)
	says(lines, "probe/deletions", "ok", `^\d+ rules, \d+ per second$`)
	if c := w.NIC.Counters(t); c.Adds == 0 || c.Adds != c.Dels {
		t.Errorf("%d rules were added, %d deleted", c.Adds, c.Dels)
	}
	text, _ := tryCtl(w.World, append(checkArgs(w.World), "--probe="+w.A.Rep)...)
	t.Log(text)

	w.NIC.RefuseNext(t, "no room for that match today")
	lines = probe(0)
	says(lines, "probe/class tcp4", "warning", `^refused: no room for that match today \(operation not supported\); taken without `)
	says(lines, "probe/class udp4", "ok", "^taken$")

	w.NIC.Set(t, "capacity", 300)
	says(probe(0), "probe/insertions", "warning", `^\d+ rules, .*, then the table was full: `)
	w.NIC.Set(t, "capacity", 0)

	w.Run(t, "ethtool", "-K", w.A.Rep, "hw-tc-offload", "off")
	lines = probe(1)
	says(lines, "nic/hw-tc-offload", "fatal", `^`+w.A.Rep+` \(off\)$`)
	says(lines, "probe/rule", "fatal", `^refused: `)
	w.Run(t, "sh", "-c", lines["nic/hw-tc-offload"].Fix[0])
	says(probe(0), "probe/rule", "ok", "^taken")
}

// TestCheckProbeBesideAgentEswsim: a probe leaves the sessions of an agent alone, and its
// clsact.
func TestCheckProbeBesideAgentEswsim(t *testing.T) {
	harness.OnEswsim(t)
	w := harness.SwitchedPair(t)
	startAgent(w.World, modest...)
	w.B.Listen(t, "tcp", 9000, false)
	// ports are prepared when something is to be installed, and stay so
	f := elephantFlow(w, "tcp", 46000)
	c := offloaded(w.World, f.tuple)
	lines := preflight(w.World, 0, "--probe="+w.A.Rep, "--probe-to="+w.B.Rep)
	if l := lines["probe/insertions"]; l.Status != "ok" {
		t.Errorf("%+v", l)
	}
	ourRulesWithin(w.World, 0, 2)
	if now := offloaded(w.World, f.tuple); now.ID != c.ID {
		t.Errorf("session %s has become %s", c.ID, now.ID)
	}
	if n := w.NIC.Counters(t).Rules; n != 2 {
		t.Errorf("%d rules in the NIC: %q", n, w.NIC.Rules(t))
	}
}

// TestCheckProbeInterruptedEswsim stops a probe while it inserts: nothing is left.
func TestCheckProbeInterruptedEswsim(t *testing.T) {
	slowly(t)
	harness.OnEswsim(t)
	w := harness.SwitchedPair(t)
	w.NIC.Set(t, "insert_us", 2000)
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		adds := w.NIC.Counters(t).Adds
		args := append([]string{harness.Binary(t, "flowshuntctl"), "--socket=" + socket(w.World)}, append(checkArgs(w.World), "--probe="+w.A.Rep)...)
		p := w.Start(t, args...)
		harness.Within(t, patience, "the probe inserts", func() error {
			if w.NIC.Counters(t).Adds < adds+50 {
				return errors.New("not yet")
			}
			return nil
		})
		p.Signal(t, signal)
		p.Wait(t, patience)
		mustMatch(t, p.Output(), `(?m)^  unknown  rest: not probed: `, `(?m)^  ok       cleaned up: `)
		probeLeftNothing(w.World, w.A.Rep)
		if n := w.NIC.Counters(t).Rules; n != 0 {
			t.Errorf("%v: %d rules are left", signal, n)
		}
	}
}
