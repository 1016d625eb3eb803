package e2e

import (
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// What keeps the agent from working is said at its start, with what to do.
func TestStartErrors(t *testing.T) {
	w := harness.New(t)
	fails := func(t *testing.T, patterns ...string) {
		t.Helper()
		began := time.Now()
		a := w.StartAgent("--mode=enforce", "--ports=all", "--hardware="+executor(w), "--control-socket="+socket(w),
			"--ovsdb="+w.OVSDB(), "--ovs-rundir="+w.Dir)
		if code := a.Wait(t, patience); code != 1 {
			t.Errorf("status %d, want 1", code)
		}
		mustMatch(t, a.Output(), patterns...)
		t.Logf("after %v:\n%s", time.Since(began).Round(time.Millisecond), a.Output())
	}
	for _, c := range []struct{ key, value, found string }{
		{"nf_conntrack_events", "2", "is 2, must be 1"},
		{"nf_conntrack_events", "0", "is 0, must be 1"},
		{"nf_conntrack_acct", "0", "is 0, must be 1"},
	} {
		t.Run(c.key+"="+c.value, func(t *testing.T) {
			in := *w
			in.T = t
			setSysctl(&in, "net.netfilter."+c.key, c.value)
			fails(t, `^flowshuntd: conntrack: `, c.key+` `+c.found, `\n    sysctl -w net\.netfilter\.`+c.key+`=1\n`, `/etc/sysctl\.d/`)
		})
	}
	t.Run("no database", func(t *testing.T) {
		a := w.StartAgent("--ovsdb=unix:"+w.Dir+"/nobody.sock", "--ovs-rundir="+w.Dir, "--control-socket="+socket(w))
		if code := a.Wait(t, patience); code != 1 {
			t.Errorf("status %d, want 1", code)
		}
		mustMatch(t, a.Output(), `(?m)^flowshuntd: ovsdb unix:\S+/nobody\.sock: .*no such file`, `is Open vSwitch installed and running\?`, `systemctl status`)
		t.Log(a.Output())
	})
	t.Run("no privilege", func(t *testing.T) {
		out, err := w.Try("sh", "-c", `exec setpriv --bounding-set=-net_admin "$@" 2>&1`, "sh", harness.Binary(t, "flowshuntd"),
			"--ovsdb="+w.OVSDB(), "--ovs-rundir="+w.Dir, "--control-socket="+socket(w))
		if code := status(t, err); code != 1 {
			t.Errorf("status %d, want 1", code)
		}
		mustMatch(t, out, `flowshuntd: conntrack: `, `CAP_NET_ADMIN`, `run as root|AmbientCapabilities`)
		t.Log(out)
	})
	t.Run("wrong flags", func(t *testing.T) {
		a := w.StartAgent("--mode=enforce", "--mark-never=3/0x1", "--idle=1ms")
		if code := a.Wait(t, patience); code != 64 {
			t.Errorf("status %d, want 64", code)
		}
		mustMatch(t, a.Output(), `--ports: mode enforce needs to know`, `never mark`, `idle time`)
	})
}
