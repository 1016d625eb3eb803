package ovn_test

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience is how long a test waits for a state that must come.
const patience = 30 * time.Second

// central is a private OVN without hosts: both databases and northd, on unix sockets in a
// folder of its own.
type central struct {
	testing.TB
	release
	dir    string
	traces int // started so far, as names
	marks  int // set so far
}

func startCentral(t testing.TB, r release) *central {
	t.Helper()
	c := startDatabases(t, r)
	c.start(r.bin+"/ovn-northd", "--ovnnb-db="+c.northbound(), "--ovnsb-db="+c.southbound(), "--unixctl="+c.path("northd"))
	return c
}

func startDatabases(t testing.TB, r release) *central {
	t.Helper()
	dir, err := os.MkdirTemp("", "fs-oracle-") // short: the address of a unix socket has 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	c := &central{TB: t, release: r, dir: dir}
	for _, db := range []string{"nb", "sb"} {
		file := c.path(db + ".db")
		c.run("ovsdb-tool", "create", file, filepath.Join(r.schema, "ovn-"+db+".ovsschema"))
		c.start("ovsdb-server", file, "--remote=punix:"+c.path(db), "--unixctl="+c.path(db+".ctl"))
	}
	c.wait("ovsdb-server", func() bool { return listens(c.path("nb")) && listens(c.path("sb")) })
	return c
}

func (c *central) path(name string) string { return filepath.Join(c.dir, name) }
func (c *central) northbound() string      { return "unix:" + c.path("nb") }
func (c *central) southbound() string      { return "unix:" + c.path("sb") }

// nbctl changes the Northbound database and returns when northd has put that into the
// Southbound one.
func (c *central) nbctl(args ...string) string {
	c.Helper()
	return c.run(c.bin+"/ovn-nbctl", append([]string{"--db=" + c.northbound(), "--timeout=30", "--wait=sb"}, args...)...)
}

func (c *central) sbctl(args ...string) string {
	c.Helper()
	return c.run(c.bin+"/ovn-sbctl", append([]string{"--db=" + c.southbound(), "--timeout=30"}, args...)...)
}

// mark changes a set of addresses that nothing uses, and returns what is in it when all
// that was changed before is in the Southbound database.
func (c *central) mark() netip.Prefix {
	c.Helper()
	c.marks++
	p := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, byte(c.marks >> 8), byte(c.marks)}), 32)
	c.nbctl("set", "Address_Set", markSet, "addresses="+p.Addr().String())
	return p
}

const markSet = "mark"

// start runs a program until the test ends.
func (c *central) start(name string, args ...string) {
	c.Helper()
	cmd := c.command(name, append(args, "--no-chdir", "-vconsole:off", "-vsyslog:off")...)
	if err := cmd.Start(); err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

func (c *central) run(name string, args ...string) string {
	c.Helper()
	cmd := c.command(name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		c.Fatalf("%s %.200s: %v\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(stdout.String())
}

func (c *central) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+c.dir, "OVN_RUNDIR="+c.dir, "OVS_LOGDIR="+c.dir, "OVN_LOGDIR="+c.dir)
	return cmd
}

// wait returns when something is so that cannot say when it becomes so.
func (c *central) wait(what string, good func() bool) {
	c.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !good(); <-tick.C {
		if time.Now().After(end) {
			c.Fatalf("waited %s for %s", patience, what)
		}
	}
}

func listens(socket string) bool {
	conn, err := net.Dial("unix", socket)
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

// chassis is the host that all ports are bound to.
const chassis = "here"

// features are what ovn-controllers say of themselves. Northd writes what all of them know.
var features = []string{"ct-no-masked-label", "ct-commit-nat-v2", "ct-commit-to-zone", "ct-label-flush", "ct-next-zone", "fdb-timestamp",
	"ls-dpg-column", "mac-binding-timestamp", "ovn-ct-lb-related", "ovn-sample-with-registers", "port-up-notif"}

// adopt makes a host of which all ports of the world are.
func (c *central) adopt(w *world) {
	c.Helper()
	args := []string{"chassis-add", chassis, "geneve", "127.0.0.1", "--", "set", "Chassis", chassis}
	for _, f := range features {
		args = append(args, "other_config:"+f+"=true")
	}
	for _, h := range w.hosts {
		args = append(args, "--", "lsp-bind", h.name, chassis)
	}
	c.sbctl(args...)
	c.nbctl("sync")
}
