package secgroup_test

import (
	"reflect"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// A table says whose a port is, and a change says when that is another one.
func TestOwner(t *testing.T) {
	c := secgroup.NewCompiler()
	of := func(tenant string) secgroup.Owner {
		return secgroup.Owner{Tenant: secgroup.Names{List: []string{tenant}, IDs: true}}
	}
	for _, step := range []struct {
		name    string
		port    *secgroup.Port
		want    secgroup.Owner
		changed bool
	}{
		{"a port of nobody", &secgroup.Port{}, secgroup.Owner{}, false},
		{"of a tenant", &secgroup.Port{Owner: of("a")}, of("a"), true},
		{"it is bound elsewhere", &secgroup.Port{Owner: of("a"), Reason: flows.PortUnbound}, of("a"), false},
		{"of another", &secgroup.Port{Owner: of("b")}, of("b"), true},
		{"it is gone", nil, secgroup.Owner{}, true},
	} {
		table, change := c.Apply(&secgroup.Update{Ports: map[flows.LogicalPort]*secgroup.Port{"p": step.port}})
		if got := table.Owner("p"); !reflect.DeepEqual(got, step.want) || change.Owners != step.changed {
			t.Errorf("%s: %+v, changed %v", step.name, got, change.Owners)
		}
		if len(change.Rules)+len(change.Addrs) > 0 {
			t.Errorf("%s: it concerns %+v", step.name, change)
		}
	}
}
