package agent

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
	"github.com/flowshunt/flowshunt/pkg/control"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/model"
)

const flowshuntSchema = "../../ovsdb/flowshunt.ovsschema"

// policedAgent is one with n sessions that their marks ask for, whose policy database Open
// vSwitch names.
func policedAgent(t *testing.T, db *ovsdbtest.Server, n int, change func(*database, *Config)) (*running, *model.Model) {
	t.Helper()
	r, m, _ := policedModel(t, db, n, model.Config{}, change)
	return r, m
}

// policedModel is a policedAgent with a model as told.
func policedModel(t *testing.T, db *ovsdbtest.Server, n int, of model.Config, change func(*database, *Config)) (*running, *model.Model, *database) {
	t.Helper()
	kernelReady(t)
	d := newDatabase(t)
	a, b := d.wire(t)
	d.vsctl("set open_vswitch . external_ids:system-id=node-1 external_ids:flowshunt-remote=" + db.Endpoint())
	m := model.New(of, a, b)
	cfg := testConfig(t, d)
	cfg.Engine.Enforce, cfg.driver = true, m
	if change != nil {
		change(d, &cfg)
	}
	r := start(t, cfg)
	tuples, _ := conns(t, n, 4)
	r.see(tuples...)
	return r, m, d
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

// A change is in force when the rules are out, not when that is decided.
func TestChangeWaitsForRules(t *testing.T) {
	var stuck atomic.Bool
	var tried atomic.Int32
	db := ovsdbtest.Start(t, flowshuntSchema)
	_, m, _ := policedModel(t, db, 3, model.Config{Fail: func(c eswitch.Change) error {
		if c.Op == eswitch.Delete && stuck.Load() {
			tried.Add(1)
			return errors.New("device busy")
		}
		return nil
	}}, nil)
	eventually(t, "all are offloaded", func() bool { return m.Len() == 6 })
	count(t, db, 1)
	stuck.Store(true)
	db.Transact("Flowshunt", `{"op":"insert","table":"Offload_Policy","row":{"name":"look","verdict":"inspect"}},{"op":"update","table":"Flowshunt","where":[],"row":{"next_cfg":2}}`)
	row := func() string {
		return db.Transact("Flowshunt", `{"op":"select","table":"Node","where":[["system_id","==","node-1"]]}`)
	}
	began := time.Now()
	eventually(t, "rules are stuck for longer than a row takes to be written", func() bool {
		if strings.Contains(row(), `"cur_cfg":2`) {
			t.Fatalf("in force with %d rules", m.Len())
		}
		return tried.Load() > 3 && time.Since(began) > 3*time.Second
	})
	stuck.Store(false)
	eventually(t, "the change is in force", func() bool { return strings.Contains(row(), `"cur_cfg":2`) })
	if m.Len() > 0 {
		t.Errorf("in force with %d rules", m.Len())
	}
}

// What was said of one database is not said to the next one.
func TestOtherPolicyDatabase(t *testing.T) {
	one, two := ovsdbtest.Start(t, flowshuntSchema), ovsdbtest.Start(t, flowshuntSchema)
	one.Transact("Flowshunt", `{"op":"insert","table":"Offload_Policy","row":{"name":"bad","verdict":"offload","dst_ports":"80-"}}`)
	two.Transact("Flowshunt", `{"op":"insert","table":"Offload_Policy","row":{"name":"look","verdict":"inspect"}}`)
	var stuck atomic.Bool
	_, m, d := policedModel(t, one, 1, model.Config{Fail: func(c eswitch.Change) error {
		if c.Op == eswitch.Delete && stuck.Load() {
			return errors.New("device busy")
		}
		return nil
	}}, nil)
	eventually(t, "it is offloaded", func() bool { return m.Len() == 2 })
	if node := count(t, one, 7); !strings.Contains(node, "policy bad") {
		t.Errorf("the first has %s", node)
	}
	stuck.Store(true) // so that what the other one says is not in force at once
	defer stuck.Store(false)
	d.vsctl("set open_vswitch . external_ids:flowshunt-remote=" + two.Endpoint())
	node := ""
	eventually(t, "the other one has a row", func() bool {
		node = two.Transact("Flowshunt", `{"op":"select","table":"Node","where":[["system_id","==","node-1"]]}`)
		return strings.Contains(node, "node-1")
	})
	if !strings.Contains(node, `"cur_cfg":0`) || strings.Contains(node, "policy bad") {
		t.Errorf("the other one has %s", node)
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
