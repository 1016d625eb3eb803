package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/ovsdb"
	"github.com/flowshunt/flowshunt/pkg/control"
	"github.com/flowshunt/flowshunt/pkg/eswitch/model"
)

// groupsFile is a file with two ports in one security group.
type groupsFile struct {
	t    *testing.T
	path string
}

func newGroupsFile(t *testing.T, ingress ...string) *groupsFile {
	t.Helper()
	f := &groupsFile{t, filepath.Join(t.TempDir(), "groups.yaml")}
	f.write(ingress...)
	return f
}

// write puts rules for what may come in into the place of those that were there.
func (f *groupsFile) write(ingress ...string) {
	f.t.Helper()
	text := `ports:
- {id: lp0, "binding:host_id": here, security_groups: [sg], fixed_ips: [{ip_address: 10.9.0.1}]}
- {id: lp1, "binding:host_id": here, security_groups: [sg], fixed_ips: [{ip_address: 10.9.0.2}]}
security_groups:
- id: sg
  security_group_rules:
  - {id: out, direction: egress, ethertype: IPv4}
`
	for i, rule := range ingress {
		text += fmt.Sprintf("  - {id: in-%d, direction: ingress, ethertype: IPv4, %s}\n", i, rule)
	}
	f.raw(text)
}

func (f *groupsFile) raw(text string) {
	f.t.Helper()
	next := f.path + ".next"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(next, f.path); err != nil {
		f.t.Fatal(err)
	}
}

// guardedAgent is one whose two ports have security groups, with n sessions.
func guardedAgent(t *testing.T, f *groupsFile, n int, grace time.Duration) (*running, *model.Model) {
	t.Helper()
	kernelReady(t)
	d := newDatabase(t)
	a, b := d.wire(t)
	d.vsctl("set interface p0 external_ids:iface-id=lp0")
	d.vsctl("set interface p1 external_ids:iface-id=lp1")
	m := model.New(model.Config{}, a, b)
	cfg := testConfig(t, d)
	cfg.Engine.Enforce, cfg.Engine.PermissionGrace, cfg.driver = true, grace, m
	cfg.Groups.Host = "here"
	if err := ParseGroups("file:"+f.path, &cfg.Groups); err != nil {
		t.Fatal(err)
	}
	r := start(t, cfg)
	tuples, _ := conns(t, n, 4)
	r.see(tuples...)
	eventually(t, "all are offloaded", func() bool { return r.states()[engine.Offloaded] == n && m.Len() == 2*n })
	return r, m
}

// reasons returns how many connections there are by reason.
func (r *running) reasons() (n map[flows.Reason]int) {
	r.t.Helper()
	if err := r.loop.ask(r.t.Context(), func(g *engine.Engine) { n = g.Counts().Followed }); err != nil {
		r.t.Fatal(err)
	}
	return n
}

func TestGroupsRevoke(t *testing.T) {
	f := newGroupsFile(t, "protocol: udp")
	r, m := guardedAgent(t, f, 3, time.Hour)
	client, err := control.Dial(t.Context(), r.cfg.Control.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var tuple flows.Tuple
	if err := r.loop.ask(t.Context(), func(g *engine.Engine) { tuple = g.Sessions()[0].Key.Tuple }); err != nil {
		t.Fatal(err)
	}
	why := func() string {
		x, err := client.Why(t.Context(), control.Question{Tuple: tuple})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%+v", x)
	}
	for _, want := range []string{"security groups: egress", "egress of lp0", "rule out", "ingress of lp1", "rule in-0"} {
		if text := why(); !strings.Contains(text, want) {
			t.Errorf("why does not say %q: %s", want, text)
		}
	}

	f.write("protocol: tcp")
	eventually(t, "what is not permitted any more is out", func() bool { return m.Len() == 0 })
	eventually(t, "and says why", func() bool { return r.reasons()[flows.SGDenied] == 3 })
	for _, want := range []string{"sg-denied", "ingress of lp1 by file: no rule permits it; until now by", "rule in-0"} {
		if text := why(); !strings.Contains(text, want) {
			t.Errorf("why does not say %q: %s", want, text)
		}
	}
}

// What cannot be known leaves after the grace, and comes back when it is known again.
func TestGroupsUnknown(t *testing.T) {
	f := newGroupsFile(t, "protocol: udp")
	r, m := guardedAgent(t, f, 3, 100*time.Millisecond)
	f.raw("ports: [\n")
	eventually(t, "nothing is offloaded by the word of a file that is wrong", func() bool { return m.Len() == 0 })
	if h := r.health("security-groups/file"); h != control.HealthFailed {
		t.Errorf("the file is %v", h)
	}
	status, err := (*backend)(r.Agent).Show(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range status.Ports {
		if p.Name == "p0" && (p.Usable || p.Reason != flows.SGUnknown || !strings.Contains(p.Detail, "file:")) {
			t.Errorf("p0 is shown as %+v", p)
		}
	}
	f.write("protocol: udp")
	eventually(t, "it comes back", func() bool { return m.Len() == 6 })
	if h := r.health("security-groups/file"); h != control.HealthOK {
		t.Errorf("the file is %v", h)
	}
}

func TestGuard(t *testing.T) {
	remote := ovsdb.Switch{OVNRemote: "unix:/nowhere"}
	tests := []struct {
		name    string
		kinds   []GroupsKind
		trust   bool
		of      ovsdb.Switch
		port    ovsdb.Port
		logical flows.LogicalPort
		reason  flows.Reason
	}{
		{"no logical port", []GroupsKind{GroupsOVN}, false, remote, ovsdb.Port{}, "", ""},
		{"nobody to ask", nil, false, remote, ovsdb.Port{IfaceID: "lp"}, "", flows.SGUnknown},
		{"nobody to ask, OVS is trusted", nil, true, remote, ovsdb.Port{IfaceID: "lp"}, "", ""},
		{"auto without OVN", []GroupsKind{GroupsAuto}, false, ovsdb.Switch{}, ovsdb.Port{IfaceID: "lp"}, "", flows.SGUnknown},
		{"auto without OVN, OVS is trusted", []GroupsKind{GroupsAuto}, true, ovsdb.Switch{}, ovsdb.Port{IfaceID: "lp"}, "", ""},
		{"auto with OVN, OVS is trusted", []GroupsKind{GroupsAuto}, true, remote, ovsdb.Port{IfaceID: "lp", OVNInstalled: true}, "lp", ""},
		{"flows are not in", []GroupsKind{GroupsOVN}, false, remote, ovsdb.Port{IfaceID: "lp"}, "", flows.PortUnbound},
		{"file", []GroupsKind{GroupsFile}, true, remote, ovsdb.Port{IfaceID: "lp"}, "lp", ""},
	}
	for _, test := range tests {
		cfg := Config{TrustOVS: test.trust, Groups: Groups{Kinds: test.kinds}}
		g := &groups{cfg: &cfg}
		logical, reason, detail := g.guard(&ovsdb.Snapshot{Switch: test.of}, &test.port)
		if logical != test.logical || reason != test.reason || (reason != "") != (detail != "") {
			t.Errorf("%s: %q, %q, %q; want %q, %q", test.name, logical, reason, detail, test.logical, test.reason)
		}
	}
}

func TestParseGroups(t *testing.T) {
	for text, want := range map[string]string{
		"auto": "[auto]", "none": "[]", "ovn": "[ovn]", "ovn,file:/a:b": "[ovn file]/a:b", "file:x": "[file]x",
		"": "error", "ovn,ovn": "error", "auto,ovn": "error", "file:": "error", "file": "error", "ovn:x": "error", "neutron": "error",
	} {
		var g Groups
		got := "error"
		if err := ParseGroups(text, &g); err == nil {
			got = fmt.Sprint(g.Kinds) + g.File
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// The state that the flows have counts for both of OVN's databases, and for no file.
func TestEnforced(t *testing.T) {
	g := &groups{sources: []*groupSource{{index: 0, ovn: true}, {index: 1}, {index: 2, ovn: true}}}
	s := &ovsdb.Snapshot{Bridges: []ovsdb.Bridge{
		{Name: "br0", ExternalIDs: map[string]string{"ovn-nb-cfg": "9"}},
		{Name: "br-int", ExternalIDs: map[string]string{"ovn-nb-cfg": "5"}},
	}}
	want := fmt.Sprint([]engine.Event{engine.PermissionsEnforced{Source: 0, Revision: 5}, engine.PermissionsEnforced{Source: 2, Revision: 5}})
	if got := fmt.Sprint(g.enforced(s)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	s.Switch.OVNBridge = "br0"
	if got := fmt.Sprint(g.enforced(s)); !strings.Contains(got, "9") {
		t.Errorf("of another bridge: %s", got)
	}
	s.Switch.OVNBridge = "br9"
	if got := g.enforced(s); len(got) != 0 {
		t.Errorf("of a bridge that is not there: %v", got)
	}
}
