package datapath

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netns"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
	"github.com/flowshunt/flowshunt/pkg/unixctl/ovstest"
)

// node is an Open vSwitch with the kernel datapath in a network namespace of its
// own, with two hosts behind the ports p1 and p2 of the bridge br0.
type node struct {
	t    *testing.T
	ovs  *ovstest.OVS
	conn *Conn
	host [2]netns.NsHandle
}

// pipeline tracks IP in two zones before it goes to the other port.
var pipeline = strings.TrimSpace(`
priority=9,arp,actions=normal
priority=9,icmp6,actions=normal
priority=5,ip,ct_state=-trk,actions=ct(zone=7,table=1)
priority=9,udp,tp_dst=9,actions=mod_vlan_vid:7,output:2
priority=9,udp,tp_dst=10,actions=drop
priority=9,udp,tp_dst=11,actions=dec_ttl,output:2
priority=9,udp,tp_dst=12,actions=output:2,ct(zone=7,table=1)
table=1,ct_state=+new+trk,ip,in_port=1,actions=ct(commit,zone=7,exec(set_field:0x5->ct_mark,set_field:0x1234/0xff00->ct_label)),ct(commit,zone=8),output:2
table=1,ct_state=+est+trk,ct_mark=0x5,ip,actions=ct(zone=8,nat,table=2)
table=2,ct_state=+est-rpl+trk,ct_label=0x1200/0xff00,ip,actions=drop
table=2,priority=9,ct_state=+est-rpl+trk,ct_nw_src=10.0.0.1,ip,actions=output:2
table=2,ct_state=+est+rpl+trk,ip,actions=output:1
`) + "\n"

func newNode(t *testing.T) *node {
	t.Helper()
	if os.Getuid() != 0 {
		missing(t, "root, for network namespaces")
	}
	runtime.LockOSThread() // never unlocked: the thread ends with its namespace
	home, err := netns.New()
	must(t, err)
	t.Cleanup(func() { home.Close() })
	conn, err := Open(Config{})
	if errors.Is(err, ErrNoDatapath) {
		missing(t, "openvswitch: "+err.Error())
	}
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	if _, err := conn.Ports(t.Context()); !errors.Is(err, ErrNoDatapath) {
		t.Errorf("ports of no datapath: %v", err)
	}
	wait(t, "11 s of uptime, before which OVS 3.1 is deaf", func() error {
		b, err := os.ReadFile("/proc/uptime")
		if first, _, _ := strings.Cut(string(b), "."); err == nil && len(first) < 2 || first == "10" {
			return fmt.Errorf("%s s", first)
		}
		return err
	})
	n := &node{t: t, ovs: ovstest.Start(t), conn: conn}
	n.ovs.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "fail_mode=secure")
	for i := range n.host {
		n.attach(i)
	}
	n.run(pipeline, "ovs-ofctl", "add-flows", "unix:"+filepath.Join(n.ovs.Rundir, "br0.mgmt"), "-")
	return n
}

// attach adds host i, 10.0.0.i+1, behind port i+1.
func (n *node) attach(i int) {
	port, end := fmt.Sprintf("p%d", i+1), fmt.Sprintf("e%d", i+1)
	n.run("", "ip", "link", "add", port, "type", "veth", "peer", "name", end, "address", fmt.Sprintf("02:00:00:00:00:0%d", i+1))
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		ns, err := netns.New()
		n.host[i] = ns
		ready <- err
	}()
	must(n.t, <-ready)
	n.t.Cleanup(func() { n.host[i].Close() })
	n.run("", "ip", "link", "set", end, "netns", fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), int(n.host[i])))
	n.at(i, func() error {
		for _, args := range []string{
			fmt.Sprintf("addr add 10.0.0.%d/24 dev %s", i+1, end), "link set lo up", "link set " + end + " up",
		} {
			if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
				return fmt.Errorf("ip %s: %w: %s", args, err, out)
			}
		}
		return nil
	})
	n.run("", "ip", "link", "set", port, "up")
	n.ovs.Vsctl("add-port", "br0", port, "--", "set", "interface", port, fmt.Sprintf("ofport_request=%d", i+1))
}

// at runs f in the namespace of host i.
func (n *node) at(i int, f func() error) {
	n.t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		if err := netns.Set(n.host[i]); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	must(n.t, <-done)
}

func (n *node) run(input, name string, args ...string) string {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+n.ovs.Rundir)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		n.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// chat opens a TCP connection from the first host to the second and returns a
// function that sends a byte each way.
func (n *node) chat() (from, to netip.AddrPort, ping func() error) {
	var client, server net.Conn
	var listener net.Listener
	n.at(1, func() (err error) {
		listener, err = net.Listen("tcp4", "10.0.0.2:5201")
		return err
	})
	defer listener.Close()
	n.at(0, func() (err error) {
		client, err = net.DialTimeout("tcp4", "10.0.0.2:5201", 20*time.Second)
		return err
	})
	n.t.Cleanup(func() { client.Close() })
	server, err := listener.Accept()
	must(n.t, err)
	n.t.Cleanup(func() { server.Close() })
	return client.LocalAddr().(*net.TCPAddr).AddrPort(), client.RemoteAddr().(*net.TCPAddr).AddrPort(), func() error {
		for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
			if _, err := way[0].Write([]byte{1}); err != nil {
				return err
			}
			way[1].SetReadDeadline(time.Now().Add(5 * time.Second))
			if _, err := way[1].Read(make([]byte, 1)); err != nil {
				return err
			}
		}
		return nil
	}
}

// TestKernelAgrees reads ports and flows of a real datapath, compares them with what
// OVS tells of them, and composes the path of a connection.
func TestKernelAgrees(t *testing.T) {
	n := newNode(t)
	port := n.ports()
	from, to, ping := n.chat()
	n.at(0, func() error {
		for dst := 9; dst <= 12; dst++ {
			c, err := net.Dial("udp4", fmt.Sprintf("10.0.0.2:%d", dst))
			if err == nil {
				_, err = c.Write([]byte{1})
			}
			if err != nil {
				return err
			}
			c.Close()
		}
		return nil
	})
	tuple := flows.Tuple{Src: from.Addr(), Dst: to.Addr(), SrcPort: from.Port(), DstPort: to.Port(), Proto: flows.TCP}
	macs := [2]flows.MAC{{2, 5: 1}, {2, 5: 2}}
	states := []flows.ZoneState{
		{Zone: 7, Tuple: tuple, Reply: tuple.Reverse(), Mark: 5, Labels: megaflow.Labels([16]byte{14: 0x12})},
		{Zone: 8, Tuple: tuple, Reply: tuple.Reverse()},
	}
	compose := func(dir flows.Dir) (megaflow.Path, error) {
		all, err := n.conn.Flows(t.Context())
		if err != nil {
			return megaflow.Path{}, err
		}
		way := tuple
		if dir == flows.Reply {
			way = tuple.Reverse()
		}
		p := megaflow.NewPacket(port[dir], flows.Frame{SrcMAC: macs[dir], DstMAC: macs[dir.Opposite()]}, way)
		return megaflow.Compose(megaflow.NewTable(all), p, megaflow.Connection{Tuple: way, States: states})
	}
	wait(t, "a path in both directions", func() error {
		err := ping()
		for dir := range flows.Reply + 1 {
			var path megaflow.Path
			if err == nil {
				path, err = compose(dir)
			}
			if err == nil && (path.Out != port[dir.Opposite()] || !slices.Equal(path.Zones, []flows.Zone{7, 8})) {
				t.Fatalf("%s: path %+v", dir, path)
			}
		}
		return err
	})
	wait(t, "the same flows as OVS tells", func() error {
		all, err := n.conn.Flows(t.Context())
		must(t, err)
		text := n.run("", "ovs-appctl", "dpctl/dump-flows", "-m", "--no-names")
		if diff := cmp.Diff(parseText(t, text), render(all)); diff != "" {
			return fmt.Errorf("(-OVS +ours)\n%s\n%s", diff, text)
		}
		return nil
	})
	n.others(port)
	n.knock()
	wait(t, "doubt, since a second flow hides what it asks for", func() error {
		must(t, ping())
		path, err := compose(flows.Orig)
		if errors.Is(err, megaflow.ErrUnknown) && strings.Contains(err.Error(), "two match that differ") {
			return nil
		}
		return fmt.Errorf("%+v, %v", path, err)
	})
}

// knock opens a connection from an address that the pipeline drops by ct_nw_src, of
// which the kernel does not tell (see Flows).
func (n *node) knock() {
	n.at(1, func() error {
		l, err := net.Listen("tcp4", "10.0.0.2:5202")
		if err == nil {
			n.t.Cleanup(func() { l.Close() })
		}
		return err
	})
	n.at(0, func() error {
		if out, err := exec.Command("ip", "addr", "add", "10.0.0.3/24", "dev", "e1").CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 3)}, Timeout: 20 * time.Second}
		c, err := d.DialContext(n.t.Context(), "tcp4", "10.0.0.2:5202")
		if err == nil {
			n.t.Cleanup(func() { c.Close() })
			_, err = c.Write([]byte{1})
		}
		return err
	})
}

// others asks for ways that change packets, and for those that a rule cannot carry.
func (n *node) others(port [2]uint32) {
	all, err := n.conn.Flows(n.t.Context())
	must(n.t, err)
	table := megaflow.NewTable(all)
	for dst, want := range map[uint16]flows.Reason{9: "", 10: flows.PathDropped, 11: "", 12: flows.UnsupportedAction} {
		tuple := flows.Tuple{Src: netip.AddrFrom4([4]byte{10, 0, 0, 1}), Dst: netip.AddrFrom4([4]byte{10, 0, 0, 2}), SrcPort: 1, DstPort: dst, Proto: flows.UDP}
		p := megaflow.NewPacket(port[0], flows.Frame{SrcMAC: flows.MAC{2, 5: 1}, DstMAC: flows.MAC{2, 5: 2}}, tuple)
		path, err := megaflow.Compose(table, p, megaflow.Connection{Tuple: tuple})
		var r *megaflow.Refusal
		switch {
		case want != "":
			if !errors.As(err, &r) || r.Reason != want {
				n.t.Errorf("to port %d: %v, want %s", dst, err, want)
			}
		case err != nil || path.Out != port[1] || (dst == 9) != (path.Leaves.Tags[0] == flows.Tag{Type: flows.TagCustomer, ID: 7}) || (dst == 11) != (path.Hops == 1):
			n.t.Errorf("to port %d: %+v, %v", dst, path, err)
		}
	}
}

// ports compares the datapath's ports with what OVS tells and returns the numbers
// of the hosts'.
func (n *node) ports() (number [2]uint32) {
	n.t.Helper()
	all, err := n.conn.Ports(n.t.Context())
	must(n.t, err)
	shown := n.run("", "ovs-appctl", "dpctl/show")
	for _, p := range all {
		if !strings.Contains(shown, fmt.Sprintf("port %d: %s", p.Number, p.Name)) {
			n.t.Errorf("%+v is not in\n%s", p, shown)
		}
		if internal := strings.Contains(shown, p.Name+" (internal)"); (p.Type == Internal) != internal {
			n.t.Errorf("%s is %s in\n%s", p.Name, p.Type, shown)
		}
		out := n.run("", "ip", "-o", "link", "show", p.Name)
		if index, _, _ := strings.Cut(out, ":"); p.Ifindex != 0 && index != strconv.Itoa(int(p.Ifindex)) {
			n.t.Errorf("%s has ifindex %d, not %s", p.Name, p.Ifindex, index)
		}
		if p.Name == "p1" || p.Name == "p2" {
			number[p.Name[1]-'1'] = p.Number
		}
	}
	if len(all) != 4 || number[0] == 0 || number[1] == 0 {
		n.t.Fatalf("ports %+v", all)
	}
	return number
}

// wait waits until f does not fail any more.
func wait(t *testing.T, what string, f func() error) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s: %v", what, err)
		case <-tick.C:
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// missing skips the test, or fails it where FLOWSHUNT_E2E=must says that nothing is
// missing.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("FLOWSHUNT_E2E") == "must" {
		t.Fatal("missing:", what)
	}
	t.Skip("missing:", what)
}
