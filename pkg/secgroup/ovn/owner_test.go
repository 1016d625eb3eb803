package ovn

import (
	"reflect"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

const project = "0123456789abcdef0123456789abcdef"

func ids(list ...string) secgroup.Names {
	return secgroup.Names{List: append([]string{}, list...), IDs: true, Named: len(list) == 0}
}

// Both databases say of Neutron's ports whose they are, and which groups they are in.
func TestOwner(t *testing.T) {
	web := secgroup.Owner{Tenant: ids(project), Groups: ids("c0ffee00-1111-4222-8333-444455556601")}
	for name, c := range map[string]struct {
		rig   *rig
		table string
	}{"Southbound": {newSouthRig(t), "Port_Binding"}, "Northbound": {newNorthRig(t), "Logical_Switch_Port"}} {
		t.Run(name, func(t *testing.T) {
			if p := c.rig.port(web1); !reflect.DeepEqual(p.Owner, web) {
				t.Errorf("%+v, want %+v", p.Owner, web)
			}
			tell := func(ids string, want secgroup.Owner) {
				t.Helper()
				news := c.rig.change(c.table, string(web1), `{"external_ids": `+ids+`}`)
				if p := c.rig.port(web1); !reflect.DeepEqual(p.Owner, want) {
					t.Errorf("%s: %+v, want %+v", ids, p.Owner, want)
				}
				if news.Update == nil || news.Update.Ports[web1] == nil {
					t.Error("nothing is told")
				}
			}
			// a port of the service itself has no project, and a port may have no group
			tell(`{"neutron:project_id": "", "neutron:security_group_ids": ""}`, secgroup.Owner{Tenant: ids(), Groups: ids()})
			tell(`{"neutron:project_id": "p", "neutron:security_group_ids": "b a  b"}`, secgroup.Owner{Tenant: ids("p"), Groups: ids("a", "b")})
			tell(`{"name": "of another service"}`, secgroup.Owner{})
			c.rig.consistent()
		})
	}
}

// TestOwnerOnTheWire reads whose a port is from a server, and that it is another one's.
func TestOwnerOnTheWire(t *testing.T) {
	server := ovsdbtest.Start(t, ovsdbtest.Southbound)
	s, err := NewSouthbound(Config{Remotes: server.Endpoint(), Chassis: "us"})
	if err != nil {
		t.Fatal(err)
	}
	news := run(t, s)
	await(t, news, "a reset", isReset)
	server.Transact("OVN_Southbound", `
		{"op": "insert", "table": "Encap", "uuid-name": "e", "row": {"type": "geneve", "ip": "192.0.2.1", "chassis_name": "us"}},
		{"op": "insert", "table": "Chassis", "uuid-name": "us", "row": {"name": "us", "encaps": ["named-uuid", "e"]}},
		{"op": "insert", "table": "Datapath_Binding", "uuid-name": "dp", "row": {"tunnel_key": 3}},
		{"op": "insert", "table": "Port_Binding", "row": {"logical_port": "p", "tunnel_key": 1, "datapath": ["named-uuid", "dp"],
			"chassis": ["named-uuid", "us"], "up": true, "external_ids":
			["map", [["neutron:project_id", "`+project+`"], ["neutron:security_group_ids", "g h"]]]}}`)
	compiler := secgroup.NewCompiler()
	told := func(what string) (secgroup.Owner, bool) {
		n := await(t, news, what, func(n secgroup.News) bool { return n.Update != nil })
		table, change := compiler.Apply(n.Update)
		return table.Owner(flows.LogicalPort("p")), change.Owners
	}
	if o, changed := told("the port"); !changed || !reflect.DeepEqual(o, secgroup.Owner{Tenant: ids(project), Groups: ids("g", "h")}) {
		t.Errorf("%+v, changed %v", o, changed)
	}
	server.Transact("OVN_Southbound", `{"op": "mutate", "table": "Port_Binding", "where": [], "mutations":
		[["external_ids", "delete", ["set", ["neutron:security_group_ids"]]],
		 ["external_ids", "insert", ["map", [["neutron:security_group_ids", "g"]]]]]}`)
	if o, changed := told("the change"); !changed || !reflect.DeepEqual(o.Groups, ids("g")) {
		t.Errorf("%+v, changed %v", o, changed)
	}
}
