package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

const eswsimControl = "/sys/kernel/debug/eswsim"

// bench is a NIC model on a test bench: no OVS, no agent. Its VFs are in namespaces vm0,
// vm1, ..., with the addresses 10.0.0.1/24 and so on; its representors are in host.
type bench struct {
	*testing.T
	nic  string
	host string
	vms  []string
	macs map[string]string // of VFs, by representor, as devlink tells them to the host
}

var benches int // so far, for names

func newBench(t *testing.T, vfs int, options string) *bench {
	t.Helper()
	harness.OnEswsim(t)
	benches++
	b := &bench{T: t, nic: fmt.Sprintf("b%d", benches)}
	b.host = b.namespace("host")
	b.order("new", fmt.Sprintf("%s vfs=%d uplinks=1 %s", b.nic, vfs, options))
	t.Cleanup(func() { _ = os.WriteFile(filepath.Join(eswsimControl, "del"), []byte(b.nic), 0) })
	b.macs = make(map[string]string)
	for _, p := range b.ports() {
		b.macs[p.Netdev] = p.Function.Addr
	}
	var host, qdiscs strings.Builder
	for i := range vfs {
		vm := b.namespace(fmt.Sprint("vm", i))
		b.vms = append(b.vms, vm)
		fmt.Fprintf(&host, "link set %s up\nlink set %s netns %s\n", b.rep(i), b.vf(i), vm)
		fmt.Fprintf(&qdiscs, "qdisc add dev %s clsact\n", b.rep(i))
	}
	b.feed(b.host, host.String(), "ip", "-batch", "-")
	b.feed(b.host, qdiscs.String(), "tc", "-batch", "-")
	for i, vm := range b.vms {
		vmBatch := fmt.Sprintf("addr add 10.0.0.%d/24 dev %s\nlink set %[2]s up\n", i+1, b.vf(i))
		for j := range vfs {
			if i != j { // no ARP: packets are what the tests send
				vmBatch += fmt.Sprintf("neigh add 10.0.0.%d lladdr %s dev %s\n", j+1, b.mac(j), b.vf(i))
			}
		}
		b.feed(vm, vmBatch, "ip", "-batch", "-")
	}
	return b
}

// namespace adds one in which no kernel talks by itself.
func (b *bench) namespace(name string) string {
	b.Helper()
	ns := fmt.Sprintf("eswsim-%d-%s-%s", os.Getpid(), b.nic, name)
	b.in("", "ip", "netns", "add", ns)
	b.Cleanup(func() { _ = exec.Command("ip", "netns", "del", ns).Run() })
	b.in(ns, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
	return ns
}

func (b *bench) rep(i int) string { return fmt.Sprint(b.nic, "r", i) }
func (b *bench) vf(i int) string  { return fmt.Sprint(b.nic, "v", i) }

func (b *bench) uplink(i int) string { return fmt.Sprint(b.nic, "p", i) }
func (b *bench) wire(i int) string   { return fmt.Sprint(b.nic, "w", i) }

func (b *bench) mac(i int) string { return b.macs[b.rep(i)] }

type devlinkPort struct {
	Netdev, Flavour string
	PF              int `json:"pfnum"`
	VF              int `json:"vfnum"`
	Port            int
	Function        struct {
		Addr string `json:"hw_addr"`
	}
}

func (b *bench) ports() map[string]devlinkPort {
	b.Helper()
	var all struct{ Port map[string]devlinkPort }
	if out := b.in(b.host, "devlink", "-j", "port", "show"); json.Unmarshal([]byte(out), &all) != nil {
		b.Fatalf("devlink: %s", out)
	}
	return all.Port
}

func (b *bench) try(ns, stdin string, args ...string) (string, error) {
	if ns != "" {
		args = append([]string{"nsenter", "--net=/run/netns/" + ns}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// in runs a command in a namespace; it must succeed.
func (b *bench) in(ns string, args ...string) string {
	b.Helper()
	return b.feed(ns, "", args...)
}

func (b *bench) feed(ns, stdin string, args ...string) string {
	b.Helper()
	out, err := b.try(ns, stdin, args...)
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// order writes to a control file, from the host's namespace.
func (b *bench) order(file, text string) {
	b.Helper()
	b.feed(b.host, text, "sh", "-c", "cat >"+filepath.Join(eswsimControl, file))
}

// set writes to a file of the NIC.
func (b *bench) set(file string, value any) {
	b.Helper()
	b.order(filepath.Join(b.nic, file), fmt.Sprint(value))
}

// tc adds a filter to a representor, or says why not.
func (b *bench) tc(rep int, filter string) error {
	b.Helper()
	return b.tcAt(b.rep(rep), filter)
}

// tcAt adds a filter to the ingress of a device of the host, or says why not. The words
// $r0, $r1, ... are representors, $p0, ... uplinks, $m0, ... addresses of VFs.
func (b *bench) tcAt(dev, filter string) error {
	b.Helper()
	filter = regexp.MustCompile(`\$[rpm]\d`).ReplaceAllStringFunc(filter, func(word string) string {
		i := int(word[2] - '0')
		switch word[1] {
		case 'm':
			return b.mac(i)
		case 'p':
			return b.uplink(i)
		}
		return b.rep(i)
	})
	args := append([]string{"tc", "filter", "add", "dev", dev, "ingress"}, strings.Fields(filter)...)
	out, err := b.try(b.host, "", args...)
	if err == nil && strings.Contains(out, "Warning: ") { // what "verbose" says of hardware
		err = fmt.Errorf("%s: %s", filter, out)
	}
	return err
}

// addAt adds a filter that must be in hardware: on devices that have no driver of
// their own, tunnels and bonds, the kernel knows no skip_sw.
func (b *bench) addAt(dev, filter string) {
	b.Helper()
	if err := b.tcAt(dev, filter); err != nil {
		b.Fatal(err)
	}
	pref := strings.Fields(filter)[1]
	out := b.in(b.host, "tc", "filter", "show", "dev", dev, "ingress", "pref", pref)
	if !strings.Contains(filter, "skip_hw") && !strings.Contains(out, "  in_hw ") {
		b.Fatalf("%s at %s is not in hardware: %s", filter, dev, out)
	}
}

func (b *bench) add(rep int, filter string) {
	b.Helper()
	if err := b.tc(rep, filter); err != nil {
		b.Fatal(err)
	}
}

// remove deletes all filters of a preference.
func (b *bench) remove(rep, pref int) {
	b.Helper()
	b.in(b.host, "tc", "filter", "del", "dev", b.rep(rep), "ingress", "pref", fmt.Sprint(pref))
}

// slowPath makes the host forward between the first two VFs what the NIC does not.
func (b *bench) slowPath() {
	b.Helper()
	for i := range 2 {
		b.add(i, fmt.Sprintf("pref 49000 protocol all matchall skip_hw action mirred egress redirect dev $r%d", 1-i))
	}
}

// fastPath makes the NIC forward IPv4 between the first two VFs.
func (b *bench) fastPath() {
	b.Helper()
	for i := range 2 {
		b.add(i, fmt.Sprintf("pref 100 protocol ip flower skip_sw action mirred egress redirect dev $r%d", 1-i))
	}
}

// ping sends packets from one VF to another and says if all came back.
func (b *bench) ping(from, to, count int, options ...string) error {
	b.Helper()
	args := append([]string{"ping", "-q", "-W", "1", "-i", "0.01", "-c", strconv.Itoa(count)}, options...)
	_, err := b.try(b.vms[from], "", append(args, fmt.Sprint("10.0.0.", to+1))...)
	return err
}

// pings is ping where packets must come back.
func (b *bench) pings(from, to, count int, options ...string) {
	b.Helper()
	if err := b.ping(from, to, count, options...); err != nil {
		b.Fatal(err)
	}
}
