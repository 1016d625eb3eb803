package dpctl_test

import (
	"fmt"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/dpctl"
	"github.com/flowshunt/flowshunt/pkg/tc/tctest"
	"github.com/flowshunt/flowshunt/pkg/unixctl"
	"github.com/flowshunt/flowshunt/pkg/unixctl/ovstest"
)

// TestOVS follows a connection of a real datapath from its handshake to its end.
func TestOVS(t *testing.T) {
	ovs, home := ovstest.StartAlone(t)
	tctest.Run(t, "ip link set lo up")
	ovs.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "fail_mode=secure")
	var inside [2]netns.NsHandle
	for i := range inside {
		inside[i] = station(t, home, i)
		ovs.Vsctl("add-port", "br0", fmt.Sprintf("p%d", i))
	}
	ovs.Flows("br0", "priority=10,arp,actions=NORMAL", "priority=10,ip,actions=ct(zone=10,table=1)",
		"table=1,priority=20,ct_state=+trk+est,ip,actions=NORMAL",
		"table=1,priority=10,ct_state=+trk+new,ip,actions=ct(commit,zone=10,exec(set_field:0x5->ct_mark,set_field:0x2a00000001->ct_label)),NORMAL")
	c := dpctl.Client{Caller: &unixctl.Client{Rundir: ovs.Rundir}}
	ports, err := c.Ports(t.Context())
	if err != nil || ports["p0"] == 0 || ports["p1"] == 0 || ports["p0"] == ports["p1"] {
		t.Errorf("ports %v, %v", ports, err)
	}
	if on, err := c.ChecksTCPSequence(t.Context()); !on || err != nil {
		t.Errorf("TCP sequence checks %v, %v", on, err)
	}
	client, server := connect(t, inside)
	zone := flows.Zone(10)
	read := func() (list []flows.Entry) {
		unread, err := c.Connections(t.Context(), &zone, func(e *flows.Entry) error { list = append(list, *e); return nil })
		if err != nil || unread != 0 {
			t.Fatal(unread, err)
		}
		return list
	}
	await(t, func() bool { l := read(); return len(l) == 1 && l[0].TCP.State == flows.TCPEstablished })
	e := read()[0]
	if e.Key.Tuple.DstPort != 7000 || e.Mark != 5 || e.Labels[0] != 1 || e.Labels[4] != 0x2a || e.Timeout < 80000 || e.Key.Zone != 10 {
		t.Errorf("%+v", e)
	}
	if !e.Status.Has(flows.StatusSeenReply | flows.StatusAssured) {
		t.Errorf("status %#x", e.Status)
	}
	client.Close()
	server.Close()
	await(t, func() bool { l := read(); return len(l) == 1 && l[0].TCP.State.Closing() })
}

// station makes a network namespace with the address 10.9.0.(i+1) behind the port.
func station(t *testing.T, home netns.NsHandle, i int) netns.NsHandle {
	t.Helper()
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	tctest.Run(t, fmt.Sprintf("ip link add q%d type veth peer name p%d", i, i))
	tctest.Run(t, fmt.Sprintf("ip link set q%d up", i))
	tctest.Run(t, fmt.Sprintf("ip addr add 10.9.0.%d/24 dev q%d", i+1, i))
	tctest.Run(t, fmt.Sprintf("ethtool -K q%d tx off", i))
	if err := moveLink(fmt.Sprintf("p%d", i), home); err != nil {
		t.Fatal(err)
	}
	if err := netns.Set(home); err != nil {
		t.Fatal(err)
	}
	tctest.Run(t, fmt.Sprintf("ip link set p%d up", i))
	return ns
}

// connect opens a TCP connection between the stations.
func connect(t *testing.T, inside [2]netns.NsHandle) (client, server net.Conn) {
	t.Helper()
	var l net.Listener
	in(t, inside[1], func() (err error) { l, err = net.Listen("tcp", "10.9.0.2:7000"); return err })
	defer l.Close()
	in(t, inside[0], func() (err error) { client, err = net.DialTimeout("tcp", "10.9.0.2:7000", 5*time.Second); return err })
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}

// in runs f on a thread of the namespace.
func in(t *testing.T, ns netns.NsHandle, f func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := netns.Set(ns); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func await(t *testing.T, is func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(10 * time.Second); !is(); {
		select {
		case <-deadline:
			t.Fatal("not within 10 s")
		case <-tick.C:
		}
	}
}
