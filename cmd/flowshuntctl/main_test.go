package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// TestMain lets this test binary stand in for flowshuntctl: the program itself,
// with scripted rules instead of the kernel's.
func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){
		"flowshuntctl": func() { os.Exit(run(scriptedRules{}, scriptedChecks{})) },
	})
}

type leakChecked struct{ m *testing.M }

func (l leakChecked) Run() int {
	code := l.m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// TestScripts runs testdata/*.txtar. UPDATE=1 writes their golden files anew.
//
//	agent NAME [GROUP]    starts a fake agent on $SOCK
//	exits CODE ARGS...    runs flowshuntctl --socket=$SOCK ARGS and wants CODE
//	nobody GID CODE ARGS  the same as the user nobody in this group
//	ovs start|stop|restart [OPTION]...  an ovsdb-server of its own in $OVS_RUNDIR, as flowshuntctl finds it
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		UpdateScripts:       os.Getenv("UPDATE") != "",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			dir, err := os.MkdirTemp("", "ctl") // short: socket paths are bounded
			if err != nil {
				return err
			}
			env.Defer(func() { os.RemoveAll(dir) })
			env.Setenv("GORACE", "atexit_sleep_ms=0") // else every program takes a second longer
			if err := privateOVS(env, filepath.Join(dir, "ovs")); err != nil {
				return err
			}
			env.Setenv("SOCK", filepath.Join(dir, "run", "control.sock"))
			return os.Chmod(dir, 0o755)
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "root":
				return os.Geteuid() == 0, nil
			case "ovs":
				_, err := os.Stat(ovsCtl)
				return err == nil && os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("no condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"agent": startAgent,
			"exits": func(ts *testscript.TestScript, _ bool, args []string) {
				wantExit(ts, args[0], "flowshuntctl", append([]string{socketFlag(ts)}, args[1:]...))
			},
			"nobody": asNobody,
			"ovs":    controlOVS,
		},
	})
}

// longest is more than any command of the scripts may take; where an agent hangs
// they allow 300 ms.
const longest = 5 * time.Second

func socketFlag(ts *testscript.TestScript) string { return "--socket=" + ts.Getenv("SOCK") }

func wantExit(ts *testscript.TestScript, code, program string, args []string) {
	want, err := strconv.Atoi(code)
	ts.Check(err)
	begin := time.Now()
	err = ts.Exec(program, args...)
	if took := time.Since(begin); took > longest {
		ts.Fatalf("took %s", took)
	}
	got := 0
	if exit, ok := err.(*exec.ExitError); ok {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%s: %v", program, err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// asNobody runs a copy of the program that any user can reach.
func asNobody(ts *testscript.TestScript, _ bool, args []string) {
	dir := filepath.Dir(filepath.Dir(ts.Getenv("SOCK")))
	program := filepath.Join(dir, "flowshuntctl")
	self, err := os.Executable()
	ts.Check(err)
	// By cp, because a file that this process has open for writing is inherited
	// by programs that other scripts start, and then "busy".
	ts.Check(exec.Command("cp", "--update", self, program).Run())
	prefix := []string{"--reuid=65534", "--regid=" + args[0], "--clear-groups", program, socketFlag(ts)}
	wantExit(ts, args[1], "setpriv", append(prefix, args[2:]...))
}
