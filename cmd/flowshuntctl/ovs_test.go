package main

import (
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
)

// ovsCtl is what starts Open vSwitch on Debian, and behind its units.
const ovsCtl = "/usr/share/openvswitch/scripts/ovs-ctl"

// privateOVS has all of OVS's programs use directories of a script's own.
func privateOVS(env *testscript.Env, dir string) error {
	for _, name := range []string{"OVS_RUNDIR", "OVS_DBDIR", "OVS_LOGDIR", "OVS_SYSCONFDIR"} {
		env.Setenv(name, dir)
	}
	return os.MkdirAll(dir, 0o755)
}

// controlOVS starts, stops or restarts an ovsdb-server by ovs-ctl, for node n1.
func controlOVS(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: ovs start|stop|restart [OPTION]...")
	}
	if os.Geteuid() != 0 {
		ts.Fatalf("missing: root, for ovs-ctl; say [!root] skip")
	}
	ctl := func(command ...string) error {
		return ts.Exec(ovsCtl, append([]string{"--no-ovs-vswitchd", "--no-monitor", "--no-mlockall", "--system-id=n1", "--no-record-hostname"}, command...)...)
	}
	if args[0] == "start" {
		ts.Defer(func() {
			if _, err := os.Stat(filepath.Join(ts.Getenv("OVS_RUNDIR"), "ovsdb-server.pid")); err == nil {
				_ = ctl("stop")
			}
		})
	}
	ts.Check(ctl(args...))
}
