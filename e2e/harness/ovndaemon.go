package harness

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// The daemons of an OVN.
const (
	nb         = "nb"
	sb         = "sb"
	northd     = "ovn-northd"
	controller = "ovn-controller"
)

// StartNB and StartSB start the database servers; they are running already on a new
// OVN.
func (o *OVN) StartNB() { o.w.T.Helper(); o.startDB(nb) }
func (o *OVN) StartSB() { o.w.T.Helper(); o.startDB(sb) }

// KillNB and KillSB end the database servers at once. What they were told, stays.
func (o *OVN) KillNB() { o.w.T.Helper(); o.kill(nb) }
func (o *OVN) KillSB() { o.w.T.Helper(); o.kill(sb) }

func (o *OVN) startDB(name string) {
	t := o.w.T
	t.Helper()
	file := filepath.Join(o.dir, name+".db")
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		o.w.Run(t, "ovsdb-tool", "create", file, "/usr/share/ovn/ovn-"+name+".ovsschema")
	}
	o.start(name, "ovsdb-server", file, "--remote=punix:"+o.socket(name), "--unixctl="+filepath.Join(o.dir, name+".ctl"))
	Within(t, 20*time.Second, "the database "+name+" answers", func() error {
		_, err := o.w.Try("ovsdb-client", "--timeout=5", "list-dbs", "unix:"+o.socket(name))
		return err
	})
}

func (o *OVN) startNorthd() {
	o.w.T.Helper()
	o.start(northd, northd, "--ovnnb-db="+o.NB(), "--ovnsb-db="+o.SB(), "--unixctl="+filepath.Join(o.dir, "northd.ctl"))
}

// StartController starts ovn-controller; it is running already on a new OVN.
func (o *OVN) StartController() {
	o.w.T.Helper()
	o.start(controller, controller, o.w.OVSDB())
}

// controllers are the names of all hosts' ovn-controllers.
func (o *OVN) controllers() (names []string) {
	for _, h := range o.hosts {
		names = append(names, h.controller)
	}
	return names
}

// StopController ends ovn-controller as for an upgrade, if it has not ended by itself:
// the chassis and its ports stay in the database, the flows in OVS.
func (o *OVN) StopController() {
	t := o.w.T
	t.Helper()
	if !o.daemons[controller].Running() {
		return
	}
	o.w.Run(t, "env", "OVN_RUNDIR="+o.dir, "ovn-appctl", "-t", controller, "exit", "--restart")
	o.daemons[controller].Wait(t, commandLimit)
}

// FreezeSB stops the Southbound server where it is until thaw is called: its socket
// is there, connections stay open, nobody answers.
func (o *OVN) FreezeSB() (thaw func()) {
	o.w.T.Helper()
	p := o.daemons[sb]
	p.Signal(o.w.T, syscall.SIGSTOP)
	return p.thaw
}

// HideSB takes the Southbound server's socket away until show is called: open
// connections live on, new ones fail.
func (o *OVN) HideSB() (show func()) {
	t := o.w.T
	t.Helper()
	if err := os.Rename(o.socket(sb), o.socket(sb)+".hidden"); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Rename(o.socket(sb)+".hidden", o.socket(sb)); err != nil {
			t.Fatal(err)
		}
	}
}

func (o *OVN) kill(name string) {
	t := o.w.T
	t.Helper()
	p := o.daemons[name]
	p.Signal(t, syscall.SIGKILL)
	p.Wait(t, commandLimit)
}

// start starts a daemon in the node's namespace, whose name is that of its log.
func (o *OVN) start(name string, args ...string) {
	o.w.T.Helper()
	o.startOn(o.w, name, args...)
}

func (o *OVN) startOn(w *World, name string, args ...string) {
	t := w.T
	t.Helper()
	if p := o.daemons[name]; p != nil && p.Running() {
		t.Fatalf("%s is running", name)
	}
	file := filepath.Join(o.dir, name)
	cmd := w.contained(append(args, "--pidfile="+file+".pid", "--log-file="+file+".log", "-vconsole:off"))
	cmd.Env = append(cmd.Env, "OVN_RUNDIR="+o.dir, "OVN_LOGDIR="+o.dir, "OVN_DBDIR="+o.dir)
	p, err := startProcess(cmd)
	if err != nil {
		t.Fatal(fmt.Errorf("start %s: %w", name, err))
	}
	o.daemons[name] = p
}

// thaw undoes SIGSTOP.
func (p *Process) thaw() {
	if p.Running() {
		_ = p.cmd.Process.Signal(syscall.SIGCONT)
	}
}
