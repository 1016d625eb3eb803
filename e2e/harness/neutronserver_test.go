package harness

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/pkg/secgroup/file"
)

// TestNeutronServer shows what a rule's deletion by REST becomes: rows of the Southbound
// database go, and how long that takes without ovn-controller and the agent.
func TestNeutronServer(t *testing.T) {
	dir := t.TempDir()
	nb, sb := startOVNDatabases(t, dir)
	addChassis(t, sb, "compute-1")
	s := StartNeutronServer(t, dir, nb, sb)
	network := s.Network("net1")
	s.Subnet(network, "10.0.0.0/24")
	group := s.SecurityGroup("web")
	if own := s.Rules(group); len(own) != 2 || own[0].ID == "" || own[0].Direction != "egress" {
		t.Fatalf("a new group has %+v", own)
	}
	port := s.Port(NeutronPort{
		Network: network, Groups: []string{group}, Host: "compute-1", Owner: "compute:nova",
		MAC: "fa:16:3e:00:00:01", FixedIPs: []NeutronFixedIP{{IP: "10.0.0.11"}},
	})
	if port.ID == "" || port.MAC != "fa:16:3e:00:00:01" || port.FixedIPs[0].IP != "10.0.0.11" || port.VIFType != "ovs" || !slices.Equal(port.Groups, []string{group}) {
		t.Fatalf("the port has become %+v", port)
	}
	changes := watchLflows(t, sb, "tcp.dst == 80")

	var answered, gone, behind []time.Duration
	for range 20 {
		rule := s.Rule(NeutronRule{Group: group, Direction: "ingress", Protocol: "tcp", PortMin: 80, PortMax: 80, RemotePrefix: "10.0.0.0/24"})
		await(t, changes, "insert", 2)
		ordered := time.Now()
		s.DeleteRule(rule)
		done := time.Now()
		last := await(t, changes, "delete", 2)
		answered, gone, behind = append(answered, done.Sub(ordered)), append(gone, last.Sub(ordered)), append(behind, last.Sub(done))
	}
	t.Logf("20 deletions of a rule: REST answered %s; the Southbound rows were gone %s after the request, %s after the answer",
		spread(answered), spread(gone), spread(behind))

	// what it answers is what the source of files reads
	text := fmt.Sprintf(`{"ports": %s, "security_groups": %s}`, s.Bodies("ports"), s.Bodies("security-groups"))
	if update, err := file.Parse([]byte(text), ""); err != nil || len(update.Ports) != 1 {
		t.Errorf("%v in %s", err, text)
	}
	s.UpdatePort(port.ID, map[string]any{"security_groups": []string{}, "port_security_enabled": false})
	s.Delete("ports", port.ID)
}

// startOVNDatabases starts what neutron-server needs of an OVN.
func startOVNDatabases(t *testing.T, dir string) (nb, sb string) {
	t.Helper()
	for _, program := range []string{"ovsdb-server", "ovsdb-tool", "ovsdb-client", "ovn-northd", "ovn-sbctl"} {
		if _, err := exec.LookPath(program); err != nil {
			missing(t, program)
		}
	}
	daemon := func(args ...string) {
		p, err := startProcess(exec.Command(args[0], args[1:]...))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Stop)
	}
	remote := func(name string) string {
		db, socket := filepath.Join(dir, name+".db"), filepath.Join(dir, name+".sock")
		if out, err := exec.Command("ovsdb-tool", "create", db, "/usr/share/ovn/ovn-"+name+".ovsschema").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		daemon("ovsdb-server", db, "--remote=punix:"+socket, "--unixctl="+filepath.Join(dir, name+".ctl"))
		Within(t, commandLimit, "the database "+name+" answers", func() error {
			return exec.Command("ovsdb-client", "--timeout=5", "list-dbs", "unix:"+socket).Run()
		})
		return "unix:" + socket
	}
	nb, sb = remote("nb"), remote("sb")
	daemon("ovn-northd", "--ovnnb-db="+nb, "--ovnsb-db="+sb, "--unixctl="+filepath.Join(dir, "northd.ctl"))
	return nb, sb
}

// addChassis is what an ovn-controller does first.
func addChassis(t *testing.T, sb, host string) {
	t.Helper()
	sbctl := func(args ...string) string {
		out, err := exec.Command("ovn-sbctl", append([]string{"--db=" + sb, "--timeout=60"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("ovn-sbctl %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	sbctl("chassis-add", "ch", "geneve", "192.0.2.1", "--", "set", "chassis", "ch", "hostname="+host)
	sbctl("create", "chassis_private", "name=ch", "chassis="+sbctl("get", "chassis", "ch", "_uuid"),
		fmt.Sprint("nb_cfg_timestamp=", time.Now().Add(time.Hour).UnixMilli())) // alive for as long as the test lasts
}

// lflowChange is what became of a logical flow, and when that was told.
type lflowChange struct {
	action string // "insert", "delete", ...
	when   time.Time
}

// watchLflows tells the changes of logical flows whose match has a text.
func watchLflows(t *testing.T, sb, text string) <-chan lflowChange {
	t.Helper()
	cmd := exec.Command("ovsdb-client", "--format=json", "monitor", sb, "OVN_Southbound", "Logical_Flow", "match")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	changes := make(chan lflowChange, 1000)
	go func() {
		defer close(changes)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, maxOutput)
		for lines.Scan() {
			var update struct{ Data [][]any }
			if json.Unmarshal(lines.Bytes(), &update) != nil {
				return
			}
			for _, row := range update.Data { // id, action, match
				if len(row) == 3 && strings.Contains(fmt.Sprint(row[2]), text) {
					changes <- lflowChange{fmt.Sprint(row[1]), time.Now()}
				}
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return changes
}

// await waits for n changes of a kind and returns when the last one was told.
func await(t *testing.T, changes <-chan lflowChange, action string, n int) (last time.Time) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for range n {
		select {
		case c, ok := <-changes:
			if !ok || c.action != action {
				t.Fatalf("got %+v, not %s", c, action)
			}
			last = c.when
		case <-limit:
			t.Fatalf("no %s within 30 s", action)
		}
	}
	return last
}

// spread is the median of some times, and what 95 % do not exceed.
func spread(times []time.Duration) string {
	slices.Sort(times)
	at := func(percent int) time.Duration {
		return times[(len(times)*percent+99)/100-1].Round(100 * time.Microsecond)
	}
	return fmt.Sprintf("p50 %v p95 %v", at(50), at(95))
}
