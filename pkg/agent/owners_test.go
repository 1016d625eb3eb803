package agent

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
	"github.com/flowshunt/flowshunt/pkg/policy"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// owned writes a port p0 of a project in a group, and a port p1 of nobody's.
func (f *groupsFile) owned(project, group string) {
	f.t.Helper()
	f.raw(fmt.Sprintf(`ports:
- {id: lp0, "binding:host_id": here, project_id: %s, security_groups: [sg, %s], fixed_ips: [{ip_address: 10.9.0.1}]}
- {id: lp1, "binding:host_id": here, project_id: "", security_groups: [sg], fixed_ips: [{ip_address: 10.9.0.2}]}
security_groups:
- id: sg
  name: all
  security_group_rules:
  - {id: out, direction: egress, ethertype: IPv4}
  - {id: in, direction: ingress, ethertype: IPv4}
- {id: 0e0e0e0e-0000-4000-8000-000000000001, name: web}
- {id: 0e0e0e0e-0000-4000-8000-000000000002, name: db}
`, project, group))
}

const (
	red, blue  = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
	groupOfWeb = "0e0e0e0e-0000-4000-8000-000000000001"
	groupOfDB  = "0e0e0e0e-0000-4000-8000-000000000002"
)

// Policies ask for groups and tenants of ports: a port that gets another group is judged
// again at once, and what was said of it last counts while its source is away.
func TestPolicyAsksForOwners(t *testing.T) {
	db := ovsdbtest.Start(t, flowshuntSchema)
	db.Transact("Flowshunt", `{"op":"insert","table":"Offload_Policy","row":{"name":"db","verdict":"inspect","security_groups":"db","priority":2}}`)
	db.Transact("Flowshunt", `{"op":"insert","table":"Offload_Policy","row":{"name":"blue","verdict":"drop","tenants":"`+blue+`"}}`)
	f := &groupsFile{t, t.TempDir() + "/groups.yaml"}
	f.owned(red, groupOfWeb)
	r, m := policedAgent(t, db, 3, func(d *database, c *Config) {
		d.vsctl("set interface p0 external_ids:iface-id=lp0")
		d.vsctl("set interface p1 external_ids:iface-id=lp1")
		c.Groups.Host = "here"
		if err := ParseGroups("file:"+f.path, &c.Groups); err != nil {
			t.Fatal(err)
		}
	})
	eventually(t, "all are offloaded", func() bool { return r.states()[engine.Offloaded] == 3 && m.Len() == 6 })

	f.owned(red, groupOfDB)
	eventually(t, "what has joined a group is inspected", func() bool { return m.Len() == 0 && r.reasons()[flows.PolicyInspect] == 3 })
	f.raw("ports: [\n")
	count(t, db, 1)
	if n := r.reasons()[flows.PolicyInspect]; n != 3 {
		t.Errorf("%d are inspected, want 3: the file is wrong, and says no other thing", n)
	}
	f.owned(red, groupOfWeb)
	eventually(t, "they come back", func() bool { return m.Len() == 6 })
	f.owned(blue, groupOfWeb)
	eventually(t, "what is another tenant's is dropped", func() bool { return m.Len() == 0 && r.reasons()[flows.PolicyDrop] == 3 })
}

// Of two sources that know a port, the one counts that knows more of it.
func TestOwner(t *testing.T) {
	source := func(o secgroup.Owner) *groupSource {
		table, _ := secgroup.NewCompiler().Apply(&secgroup.Update{Ports: map[flows.LogicalPort]*secgroup.Port{"p": {Owner: o}}})
		src := &groupSource{}
		src.now.Store(&groupsNow{table: table})
		return src
	}
	ids := func(list ...string) secgroup.Names { return secgroup.Names{List: list, IDs: true} }
	all := func(list ...string) secgroup.Names { return secgroup.Names{List: list, IDs: true, Named: true} }
	silent := &groupSource{}
	silent.now.Store(&groupsNow{})
	for _, c := range []struct {
		name       string
		told, want []secgroup.Names
	}{
		{"nobody knows", []secgroup.Names{{}, {}}, []secgroup.Names{{}}},
		{"one knows", []secgroup.Names{ids("a"), {}}, []secgroup.Names{ids("a")}},
		{"the later one", []secgroup.Names{ids("a"), ids("b")}, []secgroup.Names{ids("b")}},
		{"the wiser one", []secgroup.Names{all("a", "x"), ids("b")}, []secgroup.Names{all("a", "x")}},
		{"the later and wiser one", []secgroup.Names{ids("a"), all("a", "x")}, []secgroup.Names{all("a", "x")}},
	} {
		g := &groups{sources: []*groupSource{silent}}
		for _, names := range c.told {
			g.sources = append(g.sources, source(secgroup.Owner{Groups: names}))
		}
		if got := g.owner("p").Groups; !reflect.DeepEqual(got, c.want[0]) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want[0])
		}
		if got := policy.Names(g.owner("q").Groups); !reflect.DeepEqual(got, policy.Names{}) {
			t.Errorf("%s: of another port %+v", c.name, got)
		}
	}
}

// Only what says another thing of an owner has policies asked again.
func TestOwnersChanged(t *testing.T) {
	calls := 0
	src := &groupSource{compiler: secgroup.NewCompiler(), owners: func() { calls++ }, health: newComponent("x", silent),
		loop: newLoop(newClock(), engine.New(engine.DefaultConfig()), nil)}
	src.now.Store(&groupsNow{})
	told := func(p secgroup.Port) int {
		calls = 0
		src.tell(secgroup.News{Update: &secgroup.Update{Ports: map[flows.LogicalPort]*secgroup.Port{"p": &p}}})
		return calls
	}
	a := secgroup.Owner{Tenant: secgroup.Names{List: []string{"a"}, IDs: true}}
	if told(secgroup.Port{}) != 0 || told(secgroup.Port{Owner: a}) != 1 || told(secgroup.Port{Owner: a, Open: true}) != 0 || told(secgroup.Port{}) != 1 {
		t.Error("the policies are asked again at other times than when owners change")
	}
}
