package e2e

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What a test can see of a bench: the NIC, its devices, the kernel's log.

// counters are the NIC's own.
func (b *bench) counters() map[string]uint64 {
	b.Helper()
	c := make(map[string]uint64)
	for line := range strings.Lines(b.read("counters")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		c[name] = n
	}
	return c
}

// grown is what counters have grown by since.
func (b *bench) grown(since map[string]uint64) map[string]uint64 {
	b.Helper()
	now := b.counters()
	for name := range now {
		now[name] -= since[name]
	}
	return now
}

func (b *bench) read(file string) string {
	b.Helper()
	text, err := os.ReadFile(filepath.Join(eswsimControl, b.nic, file))
	if err != nil {
		b.Fatal(err)
	}
	return string(text)
}

var ruleCount = regexp.MustCompile(` packets=(\d+) bytes=(\d+)\n$`)

// rule is what the one rule whose line has that text has counted.
func (b *bench) rule(text string) (packets, bytes uint64) {
	b.Helper()
	lines := slices.Collect(strings.Lines(b.read("rules")))
	lines = slices.DeleteFunc(lines, func(l string) bool { return !strings.Contains(l, text) })
	if len(lines) != 1 {
		b.Fatalf("rules with %q: %q", text, lines)
	}
	m := ruleCount.FindStringSubmatch(lines[0])
	packets, _ = strconv.ParseUint(m[1], 10, 64)
	bytes, _ = strconv.ParseUint(m[2], 10, 64)
	return packets, bytes
}

// deviceStats are the counters and the state of a net device.
type deviceStats struct {
	Index   int `json:"ifindex"`
	Flags   []string
	Address string
	Switch  string `json:"phys_switch_id"`
	Port    string `json:"phys_port_name"`
	Stats   struct {
		Rx, Tx struct{ Packets, Bytes uint64 }
	} `json:"stats64"`
}

func (b *bench) device(ns, name string) (d deviceStats) {
	b.Helper()
	var all []deviceStats
	out := b.in(ns, "ip", "-j", "-s", "-d", "link", "show", "dev", name)
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 1 {
		b.Fatalf("%v in %s", err, out)
	}
	return all[0]
}

func (b *bench) carrier(ns, name string) bool {
	b.Helper()
	d := b.device(ns, name)
	return slices.Contains(d.Flags, "LOWER_UP")
}

// hostSaw is how many packets the host has received and sent on the first two
// representors.
func (b *bench) hostSaw() (n uint64) {
	b.Helper()
	for i := range 2 {
		d := b.device(b.host, b.rep(i))
		n += d.Stats.Rx.Packets + d.Stats.Tx.Packets
	}
	return n
}

var kernelTrouble = regexp.MustCompile(`WARNING:|BUG:|BUG |Oops|RIP:|refcount|suspicious RCU|waiting for .* to become free|Call Trace|INFO: task`)

// geneveReport is what Linux 6.12 says, once, when its own tunnel receives a Geneve packet
// with options: a check of its memcpy() takes the room behind a structure for none.
var geneveReport = regexp.MustCompile(`(?s)[^\n]*\[ cut here \][^\n]*\n[^\n]*field-spanning write[^\n]*net/ip_tunnels\.h.*?end trace[^\n]*`)

// kernelQuiet fails the test if the kernel complains until it ends.
func kernelQuiet(t *testing.T) {
	t.Helper()
	before := kernelLog(t)
	t.Cleanup(func() {
		said := strings.TrimPrefix(kernelLog(t), before)
		for _, line := range strings.Split(geneveReport.ReplaceAllString(said, ""), "\n") {
			if kernelTrouble.MatchString(line) {
				t.Errorf("the kernel: %s", line)
			}
		}
	})
}

func kernelLog(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("dmesg").Output()
	if err != nil {
		t.Fatal(errors.Join(errors.New("dmesg"), err))
	}
	return string(out)
}
