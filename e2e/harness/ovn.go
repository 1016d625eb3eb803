package harness

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Host is the name of the node for the network service, SystemID that of its chassis,
// and Integration its bridge: all three differ, as they do where people have them.
const (
	Host        = "compute-1"
	SystemID    = "3c8a1f52-7d1e-4a0b-9b7e-5f6d2c1e0a01"
	Integration = "br-int"
)

// OVN is a network service, a real one: its two databases and ovn-northd, and
// ovn-controller for the node, all of the world's own; other nodes may Join. What it is told is what Neutron
// tells it, in the same rows and in as many transactions, if it is not by a NeutronServer.
type OVN struct {
	Network string // name of the first logical switch, subnet 0; empty: see BareOVN

	w       *World
	hosts   []*ovnHost
	dir     string // databases, sockets and logs
	made    int    // rows that have a number in their name
	ports   []*LogicalPort
	daemons map[string]*Process
}

// OVN starts a network service with one network, and waits until the node's bridge
// follows it.
func (w *World) OVN() *OVN {
	w.T.Helper()
	o := w.BareOVN()
	o.addNetwork()
	return o
}

// BareOVN is OVN without a network and without the group that denies: a NeutronServer
// makes its own.
func (w *World) BareOVN() *OVN {
	t := w.T
	t.Helper()
	if missing := ovnMissing(); len(missing) > 0 {
		if Must() {
			t.Fatalf("missing: %s", strings.Join(missing, ", "))
		}
		t.Skipf("missing: %s", strings.Join(missing, ", "))
	}
	began := time.Now()
	o := &OVN{w: w, dir: filepath.Join(w.Dir, "ovn"), daemons: make(map[string]*Process)}
	t.Cleanup(o.clear)
	o.reportOnFailure()
	if err := os.Mkdir(o.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	o.StartNB()
	o.StartSB()
	o.startNorthd()
	o.hosts = []*ovnHost{{w, Host, controller}}
	o.enlist(w, Host, SystemID)
	o.StartController()
	o.Sync()
	t.Logf("OVN started in %v", time.Since(began).Round(time.Millisecond))
	return o
}

func ovnMissing() (missing []string) {
	_ = exec.Command("modprobe", "-q", "geneve").Run() // built in, perhaps
	for _, p := range []string{"ovn-northd", "ovn-controller", "ovn-nbctl", "ovn-sbctl", "ovn-appctl"} {
		if _, err := exec.LookPath(p); err != nil {
			missing = append(missing, p)
		}
	}
	return missing
}

// enlist tells a node where its network service is, as an installer does.
func (o *OVN) enlist(w *World, host, systemID string) {
	w.T.Helper()
	w.bridges = append(w.bridges, Integration)
	tunnel := w.Endpoint
	if !tunnel.IsValid() {
		tunnel = netip.MustParseAddr("192.0.2.1")
		w.Run(w.T, "ip", "addr", "replace", tunnel.String()+"/32", "dev", "lo")
	}
	w.Vsctl("set", "open_vswitch", ".", "external_ids:system-id="+systemID, "external_ids:hostname="+host, "external_ids:ovn-remote="+o.SB(),
		"external_ids:ovn-bridge="+Integration, "external_ids:ovn-encap-type=geneve", `external_ids:ovn-encap-ip="`+tunnel.String()+`"`)
}

func (o *OVN) addNetwork() {
	o.w.T.Helper()
	o.Nbctl(newDropGroup()...)
	o.Network = o.AddNetwork(0).Name
}

// dropGroup is the group that all ports with port security are in, whose rules deny
// what no other group permits.
const dropGroup = "neutron_pg_drop"

func newDropGroup() (commands []string) {
	return []string{
		"--id=@in", "create", "acl", "direction=to-lport", "priority=1001", "action=drop", `match="outport == @neutron_pg_drop && ip"`,
		"--", "--id=@out", "create", "acl", "direction=from-lport", "priority=1001", "action=drop", `match="inport == @neutron_pg_drop && ip"`,
		"--", "create", "port_group", "name=" + dropGroup, "acls=@in,@out",
	}
}

// NB and SB are where the databases listen, as OVS's tools write it.
func (o *OVN) NB() string { return "unix:" + o.socket("nb") }
func (o *OVN) SB() string { return "unix:" + o.socket("sb") }

func (o *OVN) socket(db string) string { return filepath.Join(o.dir, "ovn"+db+"_db.sock") }

// Nbctl runs ovn-nbctl.
func (o *OVN) Nbctl(args ...string) string {
	o.w.T.Helper()
	return o.w.Run(o.w.T, append([]string{"ovn-nbctl", "--db=" + o.NB(), "--timeout=60"}, args...)...)
}

// Sbctl runs ovn-sbctl.
func (o *OVN) Sbctl(args ...string) string {
	o.w.T.Helper()
	return o.w.Run(o.w.T, append([]string{"ovn-sbctl", "--db=" + o.SB(), "--timeout=60"}, args...)...)
}

// Enforced is when a change was ordered, and when the node's ovn-controller had told
// that it stands: what ovn-nbctl --wait=hv returns upon.
type Enforced struct{ Ordered, Stands time.Time }

// Change makes a transaction of ovn-nbctl's commands, which are separated by "--", and
// waits until it is enforced.
func (o *OVN) Change(commands ...string) Enforced {
	o.w.T.Helper()
	ordered := time.Now()
	o.Nbctl(append([]string{"--wait=hv", "--"}, commands...)...)
	return Enforced{ordered, time.Now()}
}

// Sync waits until all that was ordered before is enforced.
func (o *OVN) Sync() {
	o.w.T.Helper()
	o.Nbctl("--wait=hv", "sync")
}

func (o *OVN) clear() {
	for _, name := range append(o.controllers(), northd, sb, nb) {
		if p := o.daemons[name]; p != nil {
			p.thaw()
			p.Stop()
		}
	}
	for _, h := range o.hosts {
		for _, key := range []string{"system-id", "hostname", "ovn-remote", "ovn-bridge", "ovn-encap-type", "ovn-encap-ip", "ovn-bridge-mappings", "ovn-chassis-mac-mappings"} {
			if _, err := h.w.Try("ovs-vsctl", "--timeout=20", "--if-exists", "remove", "open_vswitch", ".", "external_ids", key); err != nil {
				o.w.T.Errorf("clean up: %v", err)
			}
		}
	}
	if err := os.RemoveAll(o.dir); err != nil {
		o.w.T.Errorf("clean up: %v", err)
	}
}

// reportOnFailure writes what OVN's daemons said to the log of a test that has failed.
func (o *OVN) reportOnFailure() {
	o.w.T.Cleanup(func() {
		if !o.w.T.Failed() {
			return
		}
		for _, name := range append(o.controllers(), northd) {
			o.w.T.Logf("%s.log:\n%s", name, tail(fileFrom(filepath.Join(o.dir, name+".log"), 0)))
		}
		if out, err := o.w.Try("ovn-sbctl", "--db="+o.SB(), "--timeout=5", "show"); err == nil {
			o.w.T.Logf("ovn-sbctl show:\n%s", tail(out))
		}
	})
}
