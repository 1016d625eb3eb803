// Package ovstest starts a private Open vSwitch for tests: ovsdb-server and
// ovs-vswitchd with the userspace datapath, in a directory and in the network
// namespace of the calling thread. It is for tests only.
package ovstest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netns"
)

const schema = "/usr/share/openvswitch/vswitch.ovsschema"

// OVS is a running Open vSwitch.
type OVS struct {
	Rundir   string // pidfiles and control sockets
	Database string // "unix:" and the path of the database socket
	t        testing.TB
	stop     func() // ovs-vswitchd
}

// StartAlone runs Open vSwitch in a network namespace of its own, on the test's thread,
// which is locked into it: both end with the test. It skips like Start.
func StartAlone(t testing.TB) (*OVS, netns.NsHandle) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("missing: root, for a network namespace")
	}
	runtime.LockOSThread() // never unlocked: the thread ends with its namespace
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	return Start(t), ns
}

// Start runs Open vSwitch until the test ends. The caller has locked its thread
// into a network namespace of its own. Without root or without the programs the
// test is skipped.
func Start(t testing.TB) *OVS {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("missing: root, to run ovs-vswitchd")
	}
	for _, program := range []string{"ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("missing:", program)
		}
	}
	dir, err := os.MkdirTemp("", "ovstest") // a socket path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	o := &OVS{Rundir: dir, Database: "unix:" + filepath.Join(dir, "db.sock"), t: t}
	conf := filepath.Join(dir, "conf.db")
	o.run("ovsdb-tool", "create", conf, schema)
	o.daemon("ovsdb-server", "--remote=p"+o.Database, conf)
	o.Vsctl("--no-wait", "init")
	o.stop = o.daemon("ovs-vswitchd", o.Database)
	return o
}

// RestartSwitch kills ovs-vswitchd and starts it again. It returns when the bridges are
// there as they are configured, without the flows that they had.
func (o *OVS) RestartSwitch() {
	o.t.Helper()
	o.stop()
	o.stop = o.daemon("ovs-vswitchd", o.Database)
	o.Vsctl("set", "open_vswitch", ".", "external_ids:restarted="+strconv.FormatInt(time.Now().UnixNano(), 10))
}

// Vsctl runs ovs-vsctl and returns what it prints.
func (o *OVS) Vsctl(args ...string) string {
	o.t.Helper()
	return o.run("ovs-vsctl", append([]string{"--db=" + o.Database, "--timeout=30"}, args...)...)
}

// Flows replaces the OpenFlow flows of a bridge.
func (o *OVS) Flows(bridge string, flows ...string) {
	o.t.Helper()
	file := filepath.Join(o.Rundir, "flows")
	if err := os.WriteFile(file, []byte(strings.Join(flows, "\n")+"\n"), 0o600); err != nil {
		o.t.Fatal(err)
	}
	o.run("ovs-ofctl", "--bundle", "replace-flows", bridge, file)
}

func (o *OVS) run(name string, args ...string) string {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = o.env()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		o.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, &errs)
	}
	return strings.TrimSpace(out.String())
}

// daemon starts a program in the foreground and waits for its control socket. What it
// returns ends the program, which otherwise ends with the test.
func (o *OVS) daemon(name string, args ...string) (stop func()) {
	o.t.Helper()
	pidfile := filepath.Join(o.Rundir, name+".pid")
	cmd := exec.Command(name, append([]string{"--pidfile=" + pidfile, "--no-chdir", "-vconsole:off"}, args...)...)
	cmd.Env = o.env()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	o.t.Cleanup(stop)
	control := filepath.Join(o.Rundir, fmt.Sprintf("%s.%d.ctl", name, cmd.Process.Pid))
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for {
		if _, err := os.Stat(control); err == nil {
			return stop
		}
		select {
		case err := <-ended:
			ended <- err
			o.t.Fatalf("%s ended: %v", name, err)
		case <-deadline:
			o.t.Fatalf("%s: no control socket within 30 s", name)
		case <-tick.C:
		}
	}
}

func (o *OVS) env() []string {
	return append(os.Environ(), "OVS_RUNDIR="+o.Rundir, "OVS_LOGDIR="+o.Rundir, "OVS_DBDIR="+o.Rundir)
}
