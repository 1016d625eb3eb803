package wire

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"github.com/flowshunt/flowshunt/pkg/openflow"
	"github.com/flowshunt/flowshunt/pkg/unixctl/ovstest"
)

// lab is a real Open vSwitch with two hosts, h0 and h1, on ports p0 and p1 of br0, and
// a Linux bridge as inspector between fw0 and fw1.
type lab struct {
	t *testing.T
	*ovstest.OVS
	hosts [2]netns.NsHandle

	mu      sync.Mutex
	last    []Status
	history []string // names and states, as they were told
	changed chan struct{}
}

const limit = 15 * time.Second

func newLab(t *testing.T) *lab {
	t.Helper()
	ovs, here := ovstest.StartAlone(t)
	l := &lab{t: t, OVS: ovs, changed: make(chan struct{}, 1)}
	l.sh("ip link set lo up")
	l.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "fail_mode=secure")
	for i := range l.hosts {
		ns, err := netns.New()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ns.Close() })
		l.hosts[i] = ns
		if err := netns.Set(here); err != nil {
			t.Fatal(err)
		}
		l.sh(fmt.Sprintf("ip link add p%d type veth peer name h%d", i, i))
		l.sh(fmt.Sprintf("ip link set p%d up", i))
		l.into(ns, fmt.Sprintf("h%d", i))
		l.in(i, fmt.Sprintf("ip link set lo up; ip addr add 10.0.0.%d/24 dev h%d; ip link set h%d up; ethtool -K h%d tx off", i+1, i, i, i))
	}
	l.inspector("insp", "fw0", "fw1")
	l.ports("br0", "p0", "p1", "fw0", "fw1")
	return l
}

// inspector makes a Linux bridge with two legs that carry the names of OVS ports.
func (l *lab) inspector(name string, legs ...string) {
	l.sh("ip link add " + name + " type bridge stp_state 0 forward_delay 0 mcast_snooping 0; ip link set " + name + " up")
	for _, leg := range legs {
		l.sh(fmt.Sprintf("ip link add %s type veth peer name i%s; ip link set i%s master %s; ip link set %s up; ip link set i%s up", leg, leg, leg, name, leg, leg))
	}
}

func (l *lab) ports(bridge string, names ...string) {
	for _, name := range names {
		l.Vsctl("add-port", bridge, name)
	}
}

func (l *lab) into(ns netns.NsHandle, dev string) {
	l.t.Helper()
	l.sh(fmt.Sprintf("ip link set %s netns /proc/self/fd/3", dev), ns)
}

// sh runs a script in the namespace of the switch.
func (l *lab) sh(script string, ns ...netns.NsHandle) string {
	l.t.Helper()
	out, err := l.try(script, ns...)
	if err != nil {
		l.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return out
}

// in runs a script at a host.
func (l *lab) in(host int, script string) string {
	l.t.Helper()
	return l.sh("nsenter --net=/proc/self/fd/3 sh -ec '"+script+"'", l.hosts[host])
}

func (l *lab) try(script string, ns ...netns.NsHandle) (string, error) {
	cmd := exec.Command("sh", "-ec", script)
	cmd.Env = append(cmd.Environ(), "OVS_RUNDIR="+l.Rundir)
	for _, n := range ns {
		cmd.ExtraFiles = append(cmd.ExtraFiles, fileOf(n))
	}
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// passes reports whether a ping gets from h0 to h1 and back.
func (l *lab) passes() bool {
	_, err := l.try("nsenter --net=/proc/self/fd/3 ping -c1 -W1 -q 10.0.0.2", l.hosts[0])
	return err == nil
}

// flows returns the flows of a bridge that belong to wires, without what changes by itself.
func (l *lab) flows(bridge string) string {
	l.t.Helper()
	out := l.sh("ovs-ofctl -O OpenFlow14 --no-stats --no-names dump-flows " + bridge + " cookie=0xf105770100000000/0xffffffff00000000 | grep cookie | sort || true")
	return strings.ReplaceAll(out, " cookie=0xf10577010000", " ")
}

// keep runs a keeper until the test ends, or stop is called.
func (l *lab) keep(specs []Spec, bridges ...Bridge) (k *Keeper, stop func()) {
	l.t.Helper()
	k = New(Config{Rundir: l.Rundir, Node: func() string { return "node-1" }, Tell: l.tell})
	stop = l.run(k)
	k.Set(specs, bridges)
	return k, stop
}

func (l *lab) run(k *Keeper) (stop func()) {
	l.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = k.Run(ctx)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	l.t.Cleanup(stop)
	return stop
}

func (l *lab) tell(list []Status) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = list
	for _, s := range list {
		l.history = append(l.history, s.Name+" "+s.State.String())
	}
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// await waits until a wire is in a state, and returns what is told of it.
func (l *lab) await(wire string, state State) Status {
	l.t.Helper()
	return l.until(fmt.Sprintf("%s is %v", wire, state), func(all map[string]Status) bool {
		s, ok := all[wire]
		return ok && s.State == state
	})[wire]
}

func (l *lab) until(what string, good func(map[string]Status) bool) map[string]Status {
	l.t.Helper()
	late := time.After(limit)
	for {
		all := make(map[string]Status)
		l.mu.Lock()
		for _, s := range l.last {
			all[s.Name] = s
		}
		l.mu.Unlock()
		if good(all) {
			return all
		}
		select {
		case <-l.changed:
		case <-late:
			l.t.Fatalf("waiting until %s: %+v", what, all)
		}
	}
}

// eventually waits for what nobody tells.
func (l *lab) eventually(what string, within time.Duration, good func() bool) time.Duration {
	l.t.Helper()
	begun := time.Now()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !good() {
		if time.Since(begun) > within {
			l.t.Fatalf("waiting until %s: not within %v\n%s", what, within, l.flows("br0"))
		}
		<-tick.C
	}
	return time.Since(begun)
}

func (l *lab) client(bridge string) *openflow.Client {
	l.t.Helper()
	c, err := openflow.Dial(context.Background(), openflow.SocketPath(l.Rundir, bridge), 0)
	if err != nil {
		l.t.Fatal(err)
	}
	return c
}

// count returns how many flows of wires a bridge has.
func (l *lab) count(bridge string) int {
	c := l.client(bridge)
	defer c.Close()
	have, _, err := read(context.Background(), c)
	if err != nil {
		l.t.Error(err)
	}
	return len(have)
}

func fileOf(n netns.NsHandle) *os.File { return os.NewFile(uintptr(mustDup(int(n))), "netns") }

func mustDup(fd int) int {
	copied, err := syscall.Dup(fd)
	if err != nil {
		panic(err)
	}
	return copied
}
