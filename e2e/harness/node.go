package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Node is a compute node: a namespace with a private Open vSwitch on the
// kernel datapath. Commands in it find that OVS without further options.
type Node struct {
	*Namespace
	Dir string // databases, sockets and logs of OVS

	ovsdb, vswitchd *Process
	flooded         int // connections that Flood has made or tried to make
}

// Sysctls that the agent demands and a story needs to see anything: the kernel
// counts no packets per entry by default, and reports events only of
// entries that were born while somebody listened.
var nodeSysctls = []string{
	"net.netfilter.nf_conntrack_acct=1",
	"net.netfilter.nf_conntrack_events=1",
	"net.netfilter.nf_conntrack_timestamp=1",
}

// upcallUptime is the system uptime at which OVS 3.1 may start: it counts CPU
// cores at most every 10 s of uptime, and with none counted it starts no upcall
// handler and forwards nothing.
const upcallUptime = 11 * time.Second

// StartNode makes a node. Who starts one must Stop it; tests get the shared
// one through New.
func StartNode(name string) (n *Node, err error) {
	ns, err := addNamespace(name)
	if err != nil {
		return nil, err
	}
	n = &Node{Namespace: ns}
	defer func() {
		if err != nil {
			n.Stop()
		}
	}()
	if n.Dir, err = os.MkdirTemp("", "flowshunt-e2e-"); err != nil {
		return n, err
	}
	for _, v := range []string{"OVS_RUNDIR", "OVS_DBDIR", "OVS_LOGDIR", "OVS_SYSCONFDIR"} {
		n.Env = append(n.Env, v+"="+n.Dir)
	}
	if _, err := n.Try(append([]string{"sysctl", "-qw"}, nodeSysctls...)...); err != nil {
		return n, err
	}
	if err := n.startOVSDB(); err != nil {
		return n, err
	}
	return n, n.StartSwitch()
}

func (n *Node) startOVSDB() error {
	db := filepath.Join(n.Dir, "conf.db")
	if _, err := n.Try("ovsdb-tool", "create", db, "/usr/share/openvswitch/vswitch.ovsschema"); err != nil {
		return err
	}
	return n.StartDatabase()
}

// StartDatabase starts ovsdb-server; it is running already on a new node.
func (n *Node) StartDatabase() (err error) {
	n.ovsdb, err = n.daemon("ovsdb-server", filepath.Join(n.Dir, "conf.db"), "--remote=p"+n.OVSDB())
	if err != nil {
		return err
	}
	return waitFor(20*time.Second, func() error {
		_, err := n.Try("ovs-vsctl", "--no-wait", "--timeout=5", "init")
		return err
	})
}

// KillDatabase ends ovsdb-server at once.
func (n *Node) KillDatabase(t testing.TB) {
	t.Helper()
	n.ovsdb.Signal(t, syscall.SIGKILL)
	n.ovsdb.Wait(t, commandLimit)
}

// StartSwitch starts ovs-vswitchd; it is running already on a new node.
func (n *Node) StartSwitch() error {
	if err := waitFor(upcallUptime, uptimeReached); err != nil {
		return err
	}
	var err error
	if n.vswitchd, err = n.daemon("ovs-vswitchd", n.OVSDB()); err != nil {
		return err
	}
	return waitFor(30*time.Second, func() error {
		out, err := n.Try("ovs-appctl", "dpctl/show")                                     // fails until the daemon answers
		if _, none := n.Try("genl", "ctrl", "get", "name", "ovs_datapath"); none != nil { // only the userspace datapath, of which there is none yet
			_, err = n.Try("ovs-appctl", "version")
			return err
		}
		if err == nil && strings.TrimSpace(out) != "" && !strings.Contains(out, "lookups") {
			err = fmt.Errorf("dpctl/show: %s", out)
		}
		return err
	})
}

// StopSwitch ends ovs-vswitchd; the datapath and its flows stay, as they do
// when OVS is restarted.
func (n *Node) StopSwitch() { n.vswitchd.Stop() }

// FreezeSwitch stops ovs-vswitchd where it is until thaw is called.
func (n *Node) FreezeSwitch(t testing.TB) (thaw func()) {
	t.Helper()
	n.vswitchd.Signal(t, syscall.SIGSTOP)
	return sync.OnceFunc(func() { n.vswitchd.Signal(t, syscall.SIGCONT) })
}

func uptimeReached() error {
	b, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(string(b), " ")
	seconds, err := strconv.ParseFloat(first, 64)
	if err == nil && seconds < upcallUptime.Seconds() {
		err = fmt.Errorf("uptime is %v s", seconds)
	}
	return err
}

func (n *Node) daemon(name string, args ...string) (*Process, error) {
	args = append([]string{name, "--pidfile", "--log-file=" + n.log(name), "-vconsole:off"}, args...)
	return startProcess(n.contained(args))
}

func (n *Node) log(daemon string) string { return filepath.Join(n.Dir, daemon+".log") }

// OVSDB is where the node's database listens, as OVS's tools write it.
func (n *Node) OVSDB() string { return "unix:" + filepath.Join(n.Dir, "db.sock") }

// Stop ends the node's daemons and removes everything it made.
func (n *Node) Stop() {
	if n.vswitchd != nil {
		// the kernel datapath outlives its daemon, else
		_, _ = n.Try("ovs-appctl", "exit", "--cleanup")
		n.vswitchd.Stop()
	}
	if n.ovsdb != nil {
		n.ovsdb.Stop()
	}
	n.remove()
	if n.Dir != "" {
		_ = os.RemoveAll(n.Dir)
	}
}

// The node that the tests of a process share.
var shared struct {
	sync.Mutex
	node *Node
	err  error
}

// sharedNode starts the shared node on first use.
func sharedNode(t testing.TB) *Node {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.node == nil && shared.err == nil {
		start := time.Now()
		shared.node, shared.err = StartNode("node")
		if shared.err == nil {
			t.Logf("Open vSwitch started in %v", time.Since(start).Round(time.Millisecond))
		}
	}
	if shared.err != nil {
		shared.node = nil
		t.Fatalf("start Open vSwitch: %v", shared.err)
	}
	return shared.node
}

// Main runs the tests of a package and removes the shared node at the end. It
// returns the status to exit with.
func Main(m *testing.M) int {
	if missing := Missing(); Must() && len(missing) > 0 {
		fmt.Fprintln(os.Stderr, "missing:", strings.Join(missing, ", "))
		return 1
	}
	defer func() {
		if shared.node != nil {
			shared.node.Stop()
		}
	}()
	return m.Run()
}
