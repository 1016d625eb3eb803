package agent

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
	"github.com/flowshunt/flowshunt/pkg/control"
	"github.com/flowshunt/flowshunt/pkg/eswitch/model"
)

const flowshuntSchema = "../../ovsdb/flowshunt.ovsschema"

// policedAgent is one with n sessions that their marks ask for, whose policy database Open
// vSwitch names.
func policedAgent(t *testing.T, db *ovsdbtest.Server, n int, change func(*database, *Config)) (*running, *model.Model) {
	t.Helper()
	kernelReady(t)
	d := newDatabase(t)
	a, b := d.wire(t)
	d.vsctl("set open_vswitch . external_ids:system-id=node-1 external_ids:flowshunt-remote=" + db.Endpoint())
	m := model.New(model.Config{}, a, b)
	cfg := testConfig(t, d)
	cfg.Engine.Enforce, cfg.driver = true, m
	if change != nil {
		change(d, &cfg)
	}
	r := start(t, cfg)
	tuples, _ := conns(t, n, 4)
	r.see(tuples...)
	return r, m
}

// count sets how many changes operators have made, and returns what the row of node-1 says
// until it says that it has them.
func count(t *testing.T, db *ovsdbtest.Server, n int) (node string) {
	t.Helper()
	db.Transact("Flowshunt", fmt.Sprintf(`{"op":"delete","table":"Flowshunt","where":[]},{"op":"insert","table":"Flowshunt","row":{"next_cfg":%d}}`, n))
	eventually(t, "the change is in force", func() bool {
		node = db.Transact("Flowshunt", `{"op":"select","table":"Node","where":[["system_id","==","node-1"]]}`)
		return strings.Contains(node, fmt.Sprintf(`"cur_cfg":%d`, n))
	})
	return node
}

func TestPolicyDatabase(t *testing.T) {
	db := ovsdbtest.Start(t, flowshuntSchema)
	r, m := policedAgent(t, db, 3, nil)
	eventually(t, "no policy is against it", func() bool { return m.Len() == 6 })
	node := count(t, db, 1)
	for _, want := range []string{`"mode":"enforce"`, `"policies":0`, `"eswitches":["uuid"`} {
		if !strings.Contains(node, want) {
			t.Errorf("the node says %s, want %s", node, want)
		}
	}

	db.Transact("Flowshunt", `{"op":"insert","table":"Offload_Policy","row":{"name":"bad","priority":9,"verdict":"offload","dst_ports":"80-"}}`)
	db.Transact("Flowshunt", `{"op":"insert","table":"Offload_Policy","row":{"name":"look","verdict":"inspect","interfaces":"p0"}}`)
	eventually(t, "what is to be inspected leaves", func() bool { return m.Len() == 0 && r.reasons()[flows.PolicyInspect] == 3 })
	if node := count(t, db, 2); !strings.Contains(node, "policy bad") {
		t.Errorf("the node does not say what is wrong with a policy: %s", node)
	}
	db.Transact("Flowshunt", `{"op":"delete","table":"Offload_Policy","where":[["name","==","look"]]}`)
	eventually(t, "and comes back", func() bool { return m.Len() == 6 })

	// While the database is away, what it said last is in force.
	db.Kill()
	eventually(t, "the agent misses it", func() bool { return r.health("policies") == control.HealthFailed })
	if m.Len() != 6 {
		t.Error("sessions leave with the database")
	}
	db.Start()
	db.Transact("Flowshunt", `{"op":"insert","table":"Offload_Policy","row":{"name":"never","verdict":"drop","interfaces":"p?"}}`)
	eventually(t, "what is dropped leaves", func() bool { return m.Len() == 0 && r.reasons()[flows.PolicyDrop] == 3 })
	count(t, db, 3)
	db.Transact("Flowshunt", `{"op":"delete","table":"Offload_Policy","where":[["name","==","never"]]}`)
	count(t, db, 4)
	if n := r.reasons()[flows.PolicyDrop]; n != 3 {
		t.Errorf("%d connections remember that they were dropped, want 3", n)
	}
}

// An agent that has read no policy yet offloads nothing.
func TestPolicyDatabaseIsAway(t *testing.T) {
	db := ovsdbtest.New(t, flowshuntSchema)
	r, m := policedAgent(t, db, 2, nil)
	eventually(t, "all wait for a word", func() bool { return r.reasons()[flows.PolicyUnknown] == 2 })
	if m.Len() > 0 {
		t.Error("it has rules")
	}
	db.Start()
	eventually(t, "it has come", func() bool { return m.Len() == 4 })
}

// A flag that says none overrides what Open vSwitch names.
func TestNoPolicies(t *testing.T) {
	db := ovsdbtest.Start(t, flowshuntSchema)
	db.Transact("Flowshunt", `{"op":"insert","table":"Offload_Policy","row":{"name":"never","verdict":"drop"}}`)
	r, m := policedAgent(t, db, 2, func(_ *database, c *Config) { c.Policies.Remotes = noPolicies })
	eventually(t, "nobody asks the database", func() bool { return m.Len() == 4 && r.states()[engine.Offloaded] == 2 })
}
