package agent

import (
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
	"github.com/flowshunt/flowshunt/pkg/control"
	"github.com/flowshunt/flowshunt/pkg/path"
)

// A port says for itself that it may be used, and one that says something else is not, and
// is reported.
func TestPortWishes(t *testing.T) {
	db := ovsdbtest.Start(t, flowshuntSchema)
	var ovs *database
	r, m := policedAgent(t, db, 2, func(d *database, c *Config) {
		ovs = d
		c.Selected, _ = path.ParseSelection("none")
		d.vsctl("set interface p0 external_ids:flowshunt=on")
		d.vsctl("set interface p1 external_ids:flowshunt=ON")
	})
	eventually(t, "both are chosen", func() bool { return m.Len() == 4 })
	port := func(name string) (found control.Port) {
		s, err := (*backend)(r.Agent).Show(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range s.Ports {
			if p.Name == name {
				found = p
			}
		}
		return found
	}
	ovs.vsctl("remove interface p1 external_ids flowshunt")
	eventually(t, "one end is not", func() bool { return m.Len() == 0 && port("p1").Reason == flows.PortUnchosen })
	if p := port("p0"); !p.Usable {
		t.Errorf("p0 is %+v", p)
	}
	ovs.vsctl("set interface p1 external_ids:flowshunt=on")
	eventually(t, "both are again", func() bool { return m.Len() == 4 })

	ovs.vsctl("set interface p1 external_ids:flowshunt=yes")
	eventually(t, "it is taken for off", func() bool { return m.Len() == 0 })
	const want = `external_ids:flowshunt: "yes" is neither "on" nor "off", taken for off`
	if p := port("p1"); p.Reason != flows.PortOff || p.Detail != want {
		t.Errorf("p1 is %+v", p)
	}
	eventually(t, "the database has it", func() bool {
		node := db.Transact("Flowshunt", `{"op":"select","table":"Node","where":[["system_id","==","node-1"]]}`)
		return strings.Contains(node, `"port p1"`) && strings.Contains(node, "neither")
	})
	ovs.vsctl("set interface p1 external_ids:flowshunt=off")
	eventually(t, "off is no problem", func() bool { p := port("p1"); return p.Reason == flows.PortOff && p.Detail == "" })
}
