package userspace

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
)

// wired is two machines that only a wire joins, with a Linux bridge as inspector.
type wired struct {
	*world
	db *ovsdbtest.Server
}

func newWired(t *testing.T) *wired {
	t.Helper()
	w := harness.On(t, startNode(t, "wi"))
	w.UserspaceBridge("br0")
	plain := harness.VMConfig{NoOffload: true}
	x := &wired{
		world: &world{&harness.Pair{World: w, A: w.AddVM("br0", "vm1", plain), B: w.AddVM("br0", "vm2", plain), Zone: harness.PairZone}},
		db:    ovsdbtest.Start(t, "../../ovsdb/flowshunt.ovsschema"),
	}
	w.Run(t, "ip", "link", "add", "insp", "type", "bridge", "stp_state", "0", "mcast_snooping", "0")
	w.Run(t, "ip", "link", "set", "insp", "up")
	for _, leg := range []string{"fw0", "fw1"} {
		w.Run(t, "ip", "link", "add", leg, "type", "veth", "peer", "name", "i"+leg)
		w.Run(t, "ip", "link", "set", "i"+leg, "master", "insp", "up")
		w.Run(t, "ip", "link", "set", leg, "up")
		w.Vsctl("add-port", "br0", leg)
	}
	w.Vsctl("set", "open_vswitch", ".", "external_ids:system-id=node-1", "external_ids:flowshunt-remote="+x.db.Endpoint())
	return x
}

// database runs a command of flowshuntctl on the policy database.
func (x *wired) database(args ...string) string {
	x.T.Helper()
	return x.Ctl(append([]string{"--db=" + x.db.Endpoint(), "--wait=none"}, args...)...)
}

// is waits until the agent's row says how the wire is.
func (x *wired) is(state string) (text string) {
	x.T.Helper()
	harness.Within(x.T, patience, "w0 is "+state, func() error {
		text = strings.TrimSpace(x.database("--if-exists", "get", "Node", "node-1", "wires:w0"))
		if !strings.Contains(text, state) {
			return fmt.Errorf("it is %q", text)
		}
		return nil
	})
	return text
}

func (x *wired) passes() bool {
	_, err := x.A.Try("ping", "-c1", "-W1", x.B.IP4.String())
	return err == nil
}

func (x *wired) flows() int {
	x.T.Helper()
	return strings.Count(x.Run(x.T, "ovs-ofctl", "-O", "OpenFlow14", "dump-flows", "br0", "cookie=0xf105770100000000/0xffffffff00000000"), "cookie=")
}

// TestWire follows a wire from its row in the database to packets, through the death of its
// inspector, and back.
func TestWire(t *testing.T) {
	x := newWired(t)
	agent := x.agent("--security-groups=none")
	if x.passes() {
		t.Fatal("packets pass without a wire")
	}
	x.database("add-wire", "w0", x.A.Rep, x.B.Rep, "--inspector", "fw0,fw1", "--", "set", "Wire", "w0", "probe_interval=200")
	x.is("inspected")
	harness.Within(t, patience, "packets pass", func() error {
		if !x.passes() {
			return fmt.Errorf("they do not")
		}
		return nil
	})
	listener := x.B.Listen(t, "tcp", dport, false)
	peer := x.A.Dial(t, "tcp", netip.AddrPortFrom(x.B.IP4, dport), sport, 1)
	_, _ = listener, peer
	tracked := x.Run(t, "ovs-appctl", "dpctl/dump-conntrack")
	for _, zone := range []string{"zone=65535", "zone=65534"} {
		if !strings.Contains(tracked, fmt.Sprintf("sport=%d,dport=%d", sport, dport)) || !strings.Contains(tracked, zone) {
			t.Errorf("no %s in\n%s", zone, tracked)
		}
	}
	if shown := x.Ctl("--socket="+filepath.Join(x.Dir, "control.sock"), "show"); !strings.Contains(shown, "fw0,fw1") || !strings.Contains(shown, "65535,65534") {
		t.Errorf("show says\n%s", shown)
	}

	begun := time.Now()
	x.Run(t, "bridge", "link", "set", "dev", "ifw1", "state", "0")
	text := x.is("closed")
	t.Logf("told after %v: %s", time.Since(begun).Round(time.Millisecond), text)
	if x.passes() {
		t.Error("packets pass a wire that is closed")
	}
	x.database("set", "Wire", "w0", "fail_mode=open")
	x.is("open")
	if !x.passes() {
		t.Error("no packet passes a wire that is open")
	}
	x.Run(t, "bridge", "link", "set", "dev", "ifw1", "state", "3")
	x.is("inspected")

	agent.Stop()
	if !x.passes() {
		t.Error("the wire ends with the agent")
	}
	before := x.flows()
	x.agent("--security-groups=none")
	x.is("inspected")
	if !x.passes() || x.flows() != before {
		t.Errorf("%d flows, were %d", x.flows(), before)
	}
	x.Run(t, "ovs-ofctl", "del-flows", "br0")
	harness.Within(t, patience, "flows that somebody deleted are back", func() error {
		if n := x.flows(); n != before {
			return fmt.Errorf("%d of %d", n, before)
		}
		return nil
	})
	x.database("del-wire", "w0")
	harness.Within(t, patience, "the flows go with the row", func() error {
		if n := x.flows(); n != 0 {
			return fmt.Errorf("%d are left", n)
		}
		return nil
	})
}

// TestWireTakenOver: a session past an inspector stays when its agent is started again, and leaves
// when the inspector dies, for that.
func TestWireTakenOver(t *testing.T) {
	x := newWired(t)
	flags := []string{"--security-groups=none", "--on-exit=keep"}
	x.database("add-policy", "bulk", "100", "offload", "protocols=tcp", "elephant_bytes=400000", "elephant_rate=50000", "inspect_packets=10",
		"--", "add-wire", "w0", x.A.Rep, x.B.Rep, "--inspector", "fw0,fw1", "--", "set", "Wire", "w0", "probe_interval=200")
	a := x.agent(flags...)
	x.is("inspected")
	c := x.transfer()
	c.send(80_000_000, 2_000_000)
	a.Logged(t, patience, "installed", "error", "<nil>")
	x.flowsWithin(patience, 2)
	before := x.ours()
	a.Stop()
	x.db.Signal(syscall.SIGSTOP) // what there is takes a while to be known
	time.AfterFunc(2*time.Second, func() { x.db.Signal(syscall.SIGCONT) })
	b := x.agent(flags...)
	b.Logged(t, patience, "took over sessions of an earlier agent", "sessions", "1")
	x.is("inspected")
	c.goesOn(2_000_000 * int64(1+flowTimeout/time.Second))
	for _, l := range b.Log() {
		if l.Msg == "remove" {
			t.Errorf("the session left: %v", l.Attrs)
		}
	}
	if len(x.ours()) != 2 {
		t.Errorf("flows were\n%s\nare\n%s", strings.Join(before, "\n"), strings.Join(x.ours(), "\n"))
	}
	x.Run(t, "bridge", "link", "set", "dev", "ifw1", "state", "0")
	b.Logged(t, patience, "remove", "cause", "inspector-down")
	x.is("closed")
	x.flowsWithin(patience, 0)
}
