package ovsdb

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
)

func TestInventoryFollowsTheDatabase(t *testing.T) {
	s := newServer(t)
	inv := follow(t, "unix:"+s.Socket)
	empty := await(t, inv, "the empty database", connected)
	if !empty.Synced || empty.Switch.Present || len(empty.Ports) != 0 || empty.Err != nil {
		t.Fatalf("empty database: %s", describe(empty))
	}

	s.VSCtl("init", "--", "set", "Open_vSwitch", ".", "other_config:hw-offload=true", "other_config:tc-policy=skip_sw",
		"ovs_version=3.1.0", "datapath_types=system,netdev", "external_ids:system-id=node-1")
	got := await(t, inv, "hw-offload", func(s *Snapshot) bool { return s.Switch.HWOffload })
	if got.Switch.OVSVersion != "3.1.0" || got.Switch.SystemID != "node-1" || got.Switch.TCPolicy != "skip_sw" ||
		!slices.Equal(got.Switch.DatapathTypes, []string{"netdev", "system"}) {
		t.Errorf("switch: %+v", got.Switch)
	}

	if got.Switch.OVNBridge != "br-int" || got.Switch.OVNRemote != "" || got.Switch.TLS != (client.TLS{}) {
		t.Errorf("OVN's settings where none are: %+v", got.Switch)
	}

	const remote = "ssl:10.0.0.1:6642,ssl:10.0.0.2:6642"
	s.VSCtl("set", "Open_vSwitch", ".", `external_ids:ovn-remote="`+remote+`"`, "external_ids:ovn-bridge=br-x", "external_ids:ovn-bridge-node-1=br-y",
		"--", "set-ssl", "/key.pem", "/cert.pem", "/ca.pem")
	got = await(t, inv, "OVN's settings", func(s *Snapshot) bool { return s.Switch.OVNRemote == remote })
	if want := (client.TLS{PrivateKey: "/key.pem", Certificate: "/cert.pem", CACert: "/ca.pem"}); got.Switch.TLS != want || got.Switch.OVNBridge != "br-y" {
		t.Errorf("switch: %+v", got.Switch)
	}
	s.VSCtl("del-ssl")
	await(t, inv, "no certificates", func(s *Snapshot) bool { return s.Switch.TLS == client.TLS{} })

	s.VSCtl("add-br", "br-int", "--", "set", "Bridge", "br-int", "datapath_id=0000000000000001", "external_ids:ct-zone-lsp-1=7",
		"--", "add-port", "br-int", "tap1",
		"--", "set", "Interface", "tap1", "ofport=3", "ifindex=12", "mac_in_use=\"fe:16:3e:00:00:01\"", "admin_state=up", "link_state=up",
		"external_ids:iface-id=lsp-1", "external_ids:attached-mac=\"fa:16:3e:00:00:01\"", "external_ids:vm-uuid=vm-1", "external_ids:flowshunt=off",
		"ingress_policing_rate=1000", "ingress_policing_burst=100", "ingress_policing_kpkts_rate=2", "ingress_policing_kpkts_burst=1",
		"--", "set", "Port", "tap1", "tag=5", "other_config:tag=5", "other_config:net_uuid=net-1", "qos=@q", "--", "--id=@q", "create", "QoS", "type=linux-htb")
	p, _ := await(t, inv, "tap1", has("tap1")).PortByName("tap1")
	want := Port{
		Name: "tap1", PortName: "tap1", Bridge: "br-int", DatapathType: "system", Type: "system",
		OFPort: 3, Ifindex: 12, MAC: flows.MAC{0xfe, 0x16, 0x3e, 0, 0, 1}, AdminUp: true, LinkUp: true,
		AttachedMAC: flows.MAC{0xfa, 0x16, 0x3e, 0, 0, 1}, IfaceID: "lsp-1", VMUUID: "vm-1", Wish: WishOff,
		OVNZone: OptionalZone{7, true}, LocalVLANZone: OptionalZone{5, true},
		VLAN:     VLAN{Mode: "access", Tag: 5, HasTag: true},
		Policing: Policing{RateKbps: 1000, BurstKb: 100, RateKpkts: 2, BurstKpackets: 1},
		QoS:      "linux-htb",
	}
	if diff := cmp.Diff(want, *p, cmpopts.IgnoreFields(Port{}, "ID"), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("port (-want +got):\n%s", diff)
	}
	if p.ID == 0 {
		t.Error("the port has no id")
	}

	s.VSCtl("del-port", "tap1")
	got = await(t, inv, "tap1's end", func(s *Snapshot) bool { return !has("tap1")(s) })
	if _, ok := got.Port(p.ID); ok {
		t.Error("the removed port is still found by its id")
	}
}

func TestMirrorsBondsAndSamplers(t *testing.T) {
	s := newServer(t)
	inv := follow(t, "unix:"+s.Socket)
	s.VSCtl("init", "--", "add-br", "br0", "--", "add-port", "br0", "in", "--", "add-port", "br0", "out", "--", "add-port", "br0", "span",
		"--", "add-bond", "br0", "bond0", "m1", "m2", "bond_mode=balance-slb",
		"--", "--id=@in", "get", "Port", "in", "--", "--id=@out", "get", "Port", "out", "--", "--id=@span", "get", "Port", "span",
		"--", "--id=@m", "create", "Mirror", "name=m", "select_src_port=@in", "select_dst_port=@out", "output_port=@span", "--", "set", "Bridge", "br0", "mirrors=@m")
	got := await(t, inv, "the bond", has("m2"))
	for name, want := range map[string]Mirroring{"in": {In: true}, "out": {Out: true}, "span": {Target: true}, "m1": {}} {
		if p, ok := got.PortByName(name); !ok || p.Mirror != want {
			t.Errorf("mirroring of %s: %+v, want %+v", name, p.Mirror, want)
		}
	}
	if p, _ := got.PortByName("m1"); p.PortName != "bond0" || p.Bond != (Bond{Members: 2, Mode: "balance-slb"}) {
		t.Errorf("bond: %+v", p)
	}

	s.VSCtl("set", "Mirror", "m", "select_all=true")
	await(t, inv, "select_all", func(s *Snapshot) bool { p, _ := s.PortByName("m1"); return p.Mirror.All && p.Mirror.Watched() })

	for column, want := range map[string]Sampling{"sflow": {SFlow: true}, "netflow": {NetFlow: true}, "ipfix": {IPFIX: true}} {
		table := map[string]string{"sflow": "sFlow", "netflow": "NetFlow", "ipfix": "IPFIX"}[column]
		args := []string{"--", "--id=@x", "create", table, `targets="127.0.0.1:6343"`}
		s.VSCtl(append([]string{"set", "Bridge", "br0", column + "=@x"}, args...)...)
		await(t, inv, column, func(s *Snapshot) bool { p, _ := s.PortByName("in"); return p.Sampling == want })
		s.VSCtl("clear", "Bridge", "br0", column)
	}
	s.VSCtl("--id=@b", "get", "Bridge", "br0", "--", "create", "Flow_Sample_Collector_Set", "id=1", "bridge=@b")
	await(t, inv, "sample actions", func(s *Snapshot) bool { p, _ := s.PortByName("in"); return p.Sampling == (Sampling{FlowSample: true}) })
	s.VSCtl("--all", "destroy", "Flow_Sample_Collector_Set")
	await(t, inv, "no sampler", func(s *Snapshot) bool { p, _ := s.PortByName("in"); return !p.Sampling.Active() })
}

func TestMalformedRowsAreListed(t *testing.T) {
	s := newServer(t)
	inv := follow(t, "unix:"+s.Socket)
	s.VSCtl("init", "--", "add-br", "br0", "--", "set", "Bridge", "br0", "external_ids:ct-zone-lsp=seven", "external_ids:ct-zone-other=70000",
		"--", "add-port", "br0", "bad", "--", "set", "Interface", "bad", "ofport=-1", `error="no such device"`, `mac_in_use="zz"`,
		"external_ids:iface-id=lsp", "external_ids:attached-mac=01:00:5e:00:00:01", "external_ids:flowshunt=nope",
		"--", "set", "Port", "bad", "tag=9", "other_config:tag=8", "other_config:net_uuid=n",
		"--", "add-port", "br0", "good", "--", "set", "Interface", "good", "ofport=2", "external_ids:iface-id=lsp")
	got := await(t, inv, "the ports", has("good"))
	bad, _ := got.PortByName("bad")
	for _, want := range []string{"ofport -1", "no such device", "mac_in_use", "attached-mac", "flowshunt", "ct-zone-lsp", "tag 9", "claimed by other"} {
		if !strings.Contains(strings.Join(bad.Problems, "\n"), want) {
			t.Errorf("no problem mentions %q: %q", want, bad.Problems)
		}
	}
	if bad.OFPort != 0 || !bad.MAC.IsZero() || !bad.AttachedMAC.IsZero() || bad.OVNZone.Known || bad.LocalVLANZone.Known || bad.Wish != WishOff {
		t.Errorf("malformed fields are set: %+v", bad)
	}
	if good, _ := got.PortByName("good"); good.OFPort != 2 {
		t.Errorf("the good port suffers: %+v", good)
	}
	if _, ok := got.PortByIfaceID("lsp"); ok {
		t.Error("an iface-id of two ports finds one")
	}
	if br, _ := got.Bridge("br0"); len(br.Problems) != 2 || len(br.Zones) != 0 {
		t.Errorf("bridge: %+v", br)
	}
}

func TestPortIDs(t *testing.T) {
	s := newServer(t)
	inv := follow(t, "unix:"+s.Socket)
	s.VSCtl("init", "--", "add-br", "br0", "--", "add-br", "br1", "--", "add-port", "br0", "p")
	last := await(t, inv, "p", has("p"))
	used := map[flows.PortID]bool{}
	step := func(what string, fresh bool, good func(*Port) bool, args ...string) {
		t.Helper()
		before, _ := last.PortByName("p")
		used[before.ID] = true
		s.VSCtl(args...)
		last = await(t, inv, what, func(s *Snapshot) bool { p, ok := s.PortByName("p"); return ok && good(p) })
		after, _ := last.PortByName("p")
		if fresh && used[after.ID] || !fresh && after.ID != before.ID {
			t.Errorf("%s: id %d -> %d", what, before.ID, after.ID)
		}
	}
	ifindex := func(n int32) func(*Port) bool { return func(p *Port) bool { return p.Ifindex == n } }
	step("first ifindex", false, ifindex(7), "set", "Interface", "p", "ifindex=7")
	step("unrelated", false, func(p *Port) bool { return p.VLAN.Tag == 3 }, "set", "Port", "p", "tag=3")
	step("ifindex forgotten", false, ifindex(0), "clear", "Interface", "p", "ifindex")
	step("the same ifindex", false, ifindex(7), "set", "Interface", "p", "ifindex=7")
	step("another ifindex", true, ifindex(8), "set", "Interface", "p", "ifindex=8")
	step("forgotten again", false, ifindex(0), "clear", "Interface", "p", "ifindex")
	step("the first ifindex", true, ifindex(7), "set", "Interface", "p", "ifindex=7")
	step("type", true, func(p *Port) bool { return p.Type == "internal" }, "set", "Interface", "p", "type=internal")
	step("datapath", true, func(p *Port) bool { return p.DatapathType == "netdev" }, "set", "Bridge", "br0", "datapath_type=netdev")
	uuid := s.VSCtl("set", "Bridge", "br1", "datapath_type=netdev", "--", "get", "Port", "p", "_uuid")
	step("bridge", true, func(p *Port) bool { return p.Bridge == "br1" }, "remove", "Bridge", "br0", "ports", uuid, "--", "add", "Bridge", "br1", "ports", uuid)
	step("new row", true, func(p *Port) bool { return p.Bridge == "br0" }, "del-port", "p", "--", "add-port", "br0", "p", "--", "set", "Interface", "p", "ifindex=7")
}

func TestThousandPortsQuickly(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	inv := follow(t, "unix:"+s.Socket)
	s.VSCtl("init", "--", "add-br", "br0")
	await(t, inv, "br0", has("br0"))
	const n, batch = 1000, 20
	for i := 0; i < n; i += batch {
		var args []string
		for j := i; j < i+batch; j++ {
			name := fmt.Sprintf("p%04d", j)
			args = append(args, "--", "add-port", "br0", name, "--", "set", "Interface", name, fmt.Sprintf("ifindex=%d", j+10))
		}
		s.VSCtl(args[1:]...)
	}
	got := await(t, inv, "all ports", func(s *Snapshot) bool { return len(s.Ports) == n+1 })
	ids := map[flows.PortID]bool{}
	for i := range n {
		p, ok := got.PortByName(fmt.Sprintf("p%04d", i))
		if !ok {
			t.Fatalf("port %d is missing", i)
		}
		ids[p.ID] = true
		if byIfindex, ok := got.PortByIfindex(int32(i + 10)); !ok || byIfindex != p {
			t.Fatalf("port %d is not found by its ifindex", i)
		}
	}
	if len(ids) != n {
		t.Errorf("%d ids for %d ports", len(ids), n)
	}
	if !slices.IsSortedFunc(got.Ports, func(a, b Port) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("ports are not sorted")
	}
}

func TestUnchangedContentMakesNoRevision(t *testing.T) {
	s := newServer(t)
	inv := follow(t, "unix:"+s.Socket)
	s.VSCtl("init", "--", "add-br", "br0", "--", "--id=@m", "create", "Mirror", "name=m", "--", "set", "Bridge", "br0", "mirrors=@m")
	before := await(t, inv, "br0", has("br0"))
	s.VSCtl("set", "Mirror", "m", "name=n") // read, but nothing that a snapshot shows
	s.VSCtl("set", "Port", "br0", "tag=1")
	after := await(t, inv, "the tag", func(s *Snapshot) bool { p, _ := s.PortByName("br0"); return p.VLAN.Tag == 1 })
	if after.Revision != before.Revision+1 {
		t.Errorf("revision %d -> %d, want one step", before.Revision, after.Revision)
	}
}

func TestRemovedRowsAreForgotten(t *testing.T) {
	r := newReplica()
	for _, table := range monitored {
		row := reflect.New(reflect.TypeOf(table.Row).Elem()).Interface()
		r.apply(client.Batch{{Table: table.Name, UUID: "u", New: row}, {Table: table.Name, UUID: "v", New: row}})
		r.apply(client.Batch{{Table: table.Name, UUID: "u", Old: row}})
	}
	for i := range reflect.TypeFor[replica]().NumField() {
		if n := reflect.ValueOf(*r).Field(i).Len(); n != 1 {
			t.Errorf("%s: %d rows, want 1", reflect.TypeFor[replica]().Field(i).Name, n)
		}
	}
}

func TestEndOfRunClosesTheConnection(t *testing.T) {
	s := newServer(t)
	p := ovsdbtest.NewProxy(t, s.Server)
	inv, err := New(Config{Endpoint: p.Endpoint()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- inv.Run(ctx) }()
	await(t, inv, "connection", connected)
	cancel()
	if err := <-ended; err != context.Canceled {
		t.Errorf("Run: %v", err)
	}
	if got := inv.Snapshot(); got.Connected {
		t.Error("still connected after the end")
	}
	if !ovsdbtest.Eventually(func() bool { return p.Open() == 0 }) {
		t.Error("the connection is still open")
	}
}

func TestRunsOnce(t *testing.T) {
	s := newServer(t)
	inv := follow(t, "unix:"+s.Socket)
	await(t, inv, "connection", connected)
	if err := inv.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("second Run: %v", err)
	}
}

// Every table that is monitored has a place in the replica.
func TestMonitoredTablesArePlaced(t *testing.T) {
	for _, table := range monitored {
		if newReplica().table(table.Name) == nil {
			t.Errorf("table %s has no place in the replica", table.Name)
		}
	}
}
