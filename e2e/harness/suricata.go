package harness

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// suricataConfig is a configuration as light as it can be; DIR, FW0 and FW1 in it are to be
// replaced.
//
//go:embed suricata.yaml
var suricataConfig string

// Suricata is a real IPS between two ports of a bridge, in a namespace of its own: what
// comes in at one leaves by the other, if it lets it. The devices of the machines behind
// have to send packets as they would be on a wire: VMConfig.NoOffload.
type Suricata struct {
	*Namespace
	*Process
	Ports [2]string // on the bridge

	t   testing.TB
	dir string // log, records, socket
	cfg SuricataConfig
}

// SuricataConfig is what a story varies.
type SuricataConfig struct {
	// Rules are in Suricata's own words, each with its sid.
	Rules []string
	// Set are settings as for suricata --set, e.g. "stream.midstream=true".
	Set []string
}

// Its own two devices, behind the ports.
var suricataDevices = [2]string{"eth0", "eth1"}

// Suricata adds the ports fw0 and fw1 to a bridge and starts Suricata between them. It
// returns when packets can pass.
func (w *World) Suricata(bridge string, cfg SuricataConfig) *Suricata {
	t := w.T
	t.Helper()
	suricataBinary(t)
	ns, err := addNamespace("ips")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ns.remove)
	s := &Suricata{Namespace: ns, Ports: [2]string{"fw0", "fw1"}, t: t, cfg: cfg}
	if s.dir, err = os.MkdirTemp(w.Dir, "suricata-"); err != nil {
		t.Fatal(err)
	}
	for i, port := range s.Ports {
		dev := suricataDevices[i]
		w.Feed(t, fmt.Sprintf("link add %s type veth peer name %s netns %s\nlink set %[1]s up\n", port, dev, ns.Name), "ip", "-batch", "-")
		t.Cleanup(func() { _, _ = w.Try("ip", "link", "del", port) })
		// IPv6 would have the devices speak for themselves
		ns.Run(t, "sysctl", "-qw", "net.ipv6.conf."+dev+".disable_ipv6=1")
		ns.Run(t, "ethtool", "-K", dev, "gro", "off", "rx", "off", "tx", "off", "tso", "off", "gso", "off")
		ns.Run(t, "ip", "link", "set", dev, "up")
		w.Vsctl("add-port", bridge, port)
		t.Cleanup(func() { w.Vsctl("--if-exists", "del-port", port) })
	}
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("suricata:\n%s", tail(s.Output()))
		}
	})
	s.Start()
	return s
}

// Start starts Suricata again after Stop or Kill, with these settings on top of the first
// ones, and waits until packets can pass.
func (s *Suricata) Start(set ...string) {
	t := s.t
	t.Helper()
	yaml := strings.NewReplacer("DIR", s.dir, "FW0", suricataDevices[0], "FW1", suricataDevices[1]).Replace(suricataConfig)
	config, rules := filepath.Join(s.dir, "suricata.yaml"), filepath.Join(s.dir, "rules")
	for path, text := range map[string]string{config: yaml, rules: strings.Join(s.cfg.Rules, "\n") + "\n"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_ = os.Remove(s.records())
	args := []string{suricataBinary(t), "-c", config, "-S", rules, "-l", s.dir, "--af-packet"}
	for _, o := range append(s.cfg.Set, set...) {
		args = append(args, "--set", o)
	}
	start := time.Now()
	p, err := startProcess(s.contained(args))
	if err != nil {
		t.Fatal(err)
	}
	s.Process = p
	p.WaitOutput(t, 2*time.Minute, "Engine started")
	t.Logf("Suricata started in %v", time.Since(start).Round(time.Millisecond))
}

// Restart is Stop and Start: it has forgotten every connection, and has these settings on
// top of the first ones.
func (s *Suricata) Restart(set ...string) {
	s.t.Helper()
	s.Stop()
	s.Start(set...)
}

// Kill ends Suricata at once; its devices stay up, as those of a machine whose program
// has died.
func (s *Suricata) Kill() {
	s.t.Helper()
	s.Signal(s.t, syscall.SIGKILL)
	s.Wait(s.t, commandLimit)
}

func (s *Suricata) records() string { return filepath.Join(s.dir, "eve.json") }

// suricataBinary is where hack/suricata unpacked it: $FLOWSHUNT_SURICATA, or build/suricata
// of the repository. A test without it is skipped, or fails if Must.
func suricataBinary(t testing.TB) string {
	t.Helper()
	dirs := []string{os.Getenv("FLOWSHUNT_SURICATA")}
	if dirs[0] == "" {
		dirs = []string{"../build/suricata", "../../build/suricata"} // from e2e, from here
	}
	for _, dir := range dirs {
		path, err := filepath.Abs(filepath.Join(dir, "bin", "suricata"))
		if err == nil {
			if _, err = os.Stat(path); err == nil {
				return path
			}
		}
	}
	missing(t, "suricata (hack/suricata; or set FLOWSHUNT_SURICATA)")
	return ""
}
