package harness

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Eswsim is a NIC of a world, in switchdev mode: the kernel module e2e/eswsim plays
// it. What its knobs and counters mean is told there.
type Eswsim struct {
	Name string // as devlink shows it: eswsim/NAME

	node  *Node
	taken int // VFs that machines have
	wired int // uplinks with a cable
}

// vfs is how many virtual functions a NIC has: as many machines as a story may need.
const vfs = 6

// uplinks is how many uplinks a NIC has.
const uplinks = 2

// eswsimControl is where the module is controlled.
const eswsimControl = "/sys/kernel/debug/eswsim"

// modelled says that worlds have a NIC. Tests do not run in parallel.
var modelled bool

var eswsims atomic.Uint32 // NICs so far, for their names

// OnEswsim makes every world of a test have a NIC of its own, and its machines the
// NIC's virtual functions. Where there is no module for the running kernel the test is
// skipped, or fails if Must.
func OnEswsim(t testing.TB) {
	t.Helper()
	Require(t)
	if err := loadEswsim(); err != nil {
		if Must() {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	modelled = true
	t.Cleanup(func() { modelled = false })
}

// Modelled says whether a world that is made now would have a NIC: see OnEswsim.
func Modelled() bool { return modelled }

// NewEswsim makes a NIC in the node, until the world ends. Its virtual functions are
// for AddVM if it is the world's.
func (w *World) NewEswsim(options string) *Eswsim {
	w.T.Helper()
	n := &Eswsim{Name: fmt.Sprint("nic", eswsims.Add(1)), node: w.Node}
	if err := n.control("new", n.Name+" "+options); err != nil {
		w.T.Fatal(err)
	}
	w.nics = append(w.nics, n)
	return n
}

// control writes to a file of the module, from within the node: what it makes belongs
// to the writer's namespace.
func (n *Eswsim) control(file, text string) error {
	return n.node.inside(func() error {
		if err := os.WriteFile(filepath.Join(eswsimControl, file), []byte(text), 0); err != nil {
			return fmt.Errorf("%q to eswsim: %w", text, err)
		}
		return nil
	})
}

func (n *Eswsim) delete() error { return n.control("del", n.Name) }

// takeVF gives a machine the next virtual function, as a device of that name: its
// representor becomes the machine's port.
func (n *Eswsim) takeVF(t testing.TB, vm *VM, dev string) {
	t.Helper()
	if n.taken == vfs {
		t.Fatalf("%s has no VF for %s: %d are taken", n.Name, vm.Name, vfs)
	}
	vf := n.Name + "v" + strconv.Itoa(n.taken)
	n.node.Feed(t, fmt.Sprintf("link set %s name %s\nlink set %[2]s up\n", n.representor(n.taken), vm.Rep)+
		fmt.Sprintf("link set %s address %s\nlink set %[1]s netns %[3]s name %[4]s\n", vf, vm.MAC, vm.Namespace.Name, dev), "ip", "-batch", "-")
	n.taken++
}

// takeUplink gives the next uplink's representor a name, and its wire one in the
// underlay's namespace.
func (n *Eswsim) takeUplink(t testing.TB, underlay *Namespace, dev, far string) {
	t.Helper()
	if n.wired == uplinks {
		t.Fatalf("%s has no uplink for %s: %d are taken", n.Name, dev, uplinks)
	}
	n.node.Feed(t, fmt.Sprintf("link set %sp%d name %s\nlink set %[1]sw%[2]d netns %[4]s name %[5]s\n", n.Name, n.wired, dev, underlay.Name, far), "ip", "-batch", "-")
	n.wired++
}

func (n *Eswsim) representor(vf int) string { return n.Name + "r" + strconv.Itoa(vf) }

// Set changes a knob: capacity, insert_us, refuse_permille or stats_delay_ms.
func (n *Eswsim) Set(t testing.TB, knob string, value int) {
	t.Helper()
	if err := n.control(filepath.Join(n.Name, knob), strconv.Itoa(value)); err != nil {
		t.Fatal(err)
	}
}

// Reset makes the NIC lose every rule: "silent", "report" or "devices".
func (n *Eswsim) Reset(t testing.TB, how string) {
	t.Helper()
	if err := n.control(filepath.Join(n.Name, "reset"), how); err != nil {
		t.Fatal(err)
	}
}

// RefuseNext makes the NIC refuse the next rule, with that text.
func (n *Eswsim) RefuseNext(t testing.TB, extack string) {
	t.Helper()
	if err := n.control(filepath.Join(n.Name, "refuse_next"), extack); err != nil {
		t.Fatal(err)
	}
}

// NICCounters are what a NIC has counted since it was made, but for Rules.
type NICCounters struct {
	Rules         uint64 // in the table now
	Adds, Dels    uint64
	Refused, Full uint64        // insertions that failed
	Hits, Misses  uint64        // packets that a rule took, or that went to a representor
	Dropped       uint64        // packets
	CPU           time.Duration // that the model itself took, on all processors
	HostCPU       time.Duration // of that: for packets that the host sent
}

// Counters reads the NIC's counters.
func (n *Eswsim) Counters(t testing.TB) NICCounters {
	t.Helper()
	c, err := parseNICCounters(n.read(t, "counters"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Rules are the NIC's rules as its table has them, a line for each.
func (n *Eswsim) Rules(t testing.TB) []string {
	t.Helper()
	return slices.Collect(strings.Lines(n.read(t, "rules")))
}

func (n *Eswsim) read(t testing.TB, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(eswsimControl, n.Name, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.TrimSpace(b))
}

func parseNICCounters(text string) (c NICCounters, err error) {
	var cpu, host uint64
	fields := map[string]*uint64{
		"rules": &c.Rules, "adds": &c.Adds, "dels": &c.Dels, "refused": &c.Refused, "full": &c.Full,
		"hits": &c.Hits, "misses": &c.Misses, "dropped": &c.Dropped, "cpu_ns": &cpu, "cpu_host_ns": &host,
	}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		field, known := fields[name]
		if !known {
			continue
		}
		if *field, err = strconv.ParseUint(value, 10, 64); err != nil {
			return c, fmt.Errorf("eswsim's counters: %w in %q", err, line)
		}
		delete(fields, name)
	}
	if len(fields) > 0 {
		return c, fmt.Errorf("eswsim's counters: %d are missing in %q", len(fields), text)
	}
	c.CPU, c.HostCPU = time.Duration(cpu), time.Duration(host)
	return c, nil
}
