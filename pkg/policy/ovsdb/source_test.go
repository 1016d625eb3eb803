package ovsdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/ovsdb/flowshunt"
	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const schema = "../../../ovsdb/flowshunt.ovsschema"

// agent is a source, and what it told.
type agent struct {
	*Source
	t    *testing.T
	mu   sync.Mutex
	last News
	told int
	news chan struct{}
}

func start(t *testing.T, s *ovsdbtest.Server, systemID string) *agent {
	t.Helper()
	return startAt(t, s.Endpoint(), systemID)
}

func startAt(t *testing.T, remotes, systemID string) *agent {
	t.Helper()
	source, err := New(Config{Remotes: remotes, SystemID: systemID, Interval: 10 * time.Millisecond,
		Inactivity: 10 * time.Second, MinBackoff: 5 * time.Millisecond, MaxBackoff: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	a := &agent{Source: source, t: t, news: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- source.Run(ctx, a.tell) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != context.Canceled {
			t.Errorf("Run: %v", err)
		}
	})
	return a
}

func (a *agent) tell(n News) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = n
	a.told++
	select {
	case a.news <- struct{}{}:
	default:
	}
}

// await waits for news.
func (a *agent) await(what string, good func(News) bool) News {
	a.t.Helper()
	late := time.After(ovsdbtest.Patience)
	for {
		a.mu.Lock()
		n := a.last
		a.mu.Unlock()
		if good(n) {
			return n
		}
		select {
		case <-a.news:
		case <-late:
			a.t.Fatalf("waiting for %s: %+v", what, n)
		}
	}
}

func has(policies int) func(News) bool {
	return func(n News) bool { return n.Err == nil && n.Table != nil && n.Table.Len() == policies }
}

func insert(table string, row map[string]any) any {
	return map[string]any{"op": "insert", "table": table, "row": row}
}

func update(table, name string, row map[string]any) any {
	return map[string]any{"op": "update", "table": table, "where": []any{[]any{"name", "==", name}}, "row": row}
}

func remove(table, column, value string) any {
	return map[string]any{"op": "delete", "table": table, "where": []any{[]any{column, "==", value}}}
}

// rows reads a table past any agent.
func rows(c *ovsdbtest.Conn, table string) []map[string]any {
	var list []map[string]any
	for _, r := range c.Try(map[string]any{"op": "select", "table": table, "where": []any{}})[0]["rows"].([]any) {
		list = append(list, r.(map[string]any))
	}
	return list
}

func status(c *ovsdbtest.Conn, table, name string) string {
	for _, r := range rows(c, table) {
		if r["name"] == name {
			return r["status"].(string)
		}
	}
	return "no row"
}

func eventually(t *testing.T, what string, good func() bool) {
	t.Helper()
	if !ovsdbtest.Eventually(good) {
		t.Fatalf("waiting for %s", what)
	}
}

var offload = map[string]any{"name": "a", "priority": 10, "verdict": "offload", "protocols": "tcp", "dst_ports": []any{"set", []any{"80", "443"}}}

func TestFollowsPolicies(t *testing.T) {
	s := ovsdbtest.Start(t, schema)
	c := s.Dial("Flowshunt")
	a := start(t, s, "node-1")
	a.await("nothing", has(0))
	c.Transact(insert("Flowshunt", map[string]any{"next_cfg": 1, "options": []any{"map", []any{[]any{"k", "v"}}}}),
		insert("Offload_Policy", offload),
		insert("Offload_Policy", map[string]any{"name": "off", "priority": 20, "enabled": false}),
		insert("Decryption_Profile", map[string]any{"name": "d", "dst_prefixes": "10.0.0.0/8"}))
	n := a.await("a policy", func(n News) bool { return has(1)(n) && n.NextCfg == 1 })
	if n.Options["k"] != "v" || len(n.Problems) > 0 {
		t.Errorf("%+v", n)
	}
	tuple, _ := flows.ParseTuple("tcp,10.0.0.1:40000,10.0.0.2:443")
	subject := flows.Subject{Tuple: tuple, Far: tuple}
	d := n.Table.Decide(&subject)
	if n.Table.Describe(d.Policy) != "a" || d.Verdict != flows.Offload || n.Table.Terms(d.Policy).InspectPackets != flows.DefaultInspectPackets {
		t.Errorf("%+v", d)
	}
	c.Transact(update("Offload_Policy", "a", map[string]any{"verdict": "drop"}),
		map[string]any{"op": "mutate", "table": "Flowshunt", "where": []any{}, "mutations": []any{[]any{"next_cfg", "+=", 1}}})
	n = a.await("the change", func(n News) bool { return n.NextCfg == 2 })
	if now := n.Table.Decide(&subject); now.Policy != d.Policy || now.Verdict != flows.Drop {
		t.Errorf("%+v", now)
	}
	c.Transact(remove("Offload_Policy", "name", "a"))
	a.await("its end", has(0))
}

// TestStatus shows that what is wrong stands in the row and goes when it is put right, that
// two agents agree, and that the last good form stays in force.
func TestStatus(t *testing.T) {
	s := ovsdbtest.Start(t, schema)
	c := s.Dial("Flowshunt")
	c.Transact(insert("Offload_Policy", offload), insert("Decryption_Profile", map[string]any{"name": "d", "dst_ports": "x"}))
	a, b := start(t, s, "node-1"), start(t, s, "node-2")
	a.await("a policy", has(1))
	b.await("a policy", has(1))
	c.Transact(update("Offload_Policy", "a", map[string]any{"dst_ports": []any{"set", []any{"80-", "443"}}}))
	const want = `dst_ports: "80-" is no port or range: want 0..65535 or FIRST-LAST`
	eventually(t, "the status", func() bool {
		return status(c, "Offload_Policy", "a") == want &&
			status(c, "Decryption_Profile", "d") == `dst_ports: "x" is no port or range: want 0..65535 or FIRST-LAST`
	})
	for _, agent := range []*agent{a, b} {
		n := agent.await("the problem", func(n News) bool { return len(n.Problems) == 2 && n.Table.Len() == 1 })
		if p := Problems(n.Problems, nil)["policy a"]; p != want+" (its last good form is in force)" {
			t.Errorf("%q", p)
		}
	}
	late := start(t, s, "node-3") // it has never seen the good form
	late.await("the problem", func(n News) bool { return has(0)(n) && len(n.Problems) == 2 })

	c.Transact(update("Offload_Policy", "a", map[string]any{"dst_ports": "80-90"}), update("Decryption_Profile", "d", map[string]any{"dst_ports": "1"}))
	eventually(t, "no status", func() bool {
		return status(c, "Offload_Policy", "a") == "" && status(c, "Decryption_Profile", "d") == ""
	})
	late.await("the policy", has(1))
}

// TestStatusIsWrittenOnce shows that an agent of another opinion makes nobody write for ever.
func TestStatusIsWrittenOnce(t *testing.T) {
	s := ovsdbtest.Start(t, schema)
	c := s.Dial("Flowshunt")
	bad := maps.Clone(offload)
	bad["dst_ports"] = "x"
	c.Transact(insert("Offload_Policy", bad))
	a := start(t, s, "node-1")
	eventually(t, "the status", func() bool { return status(c, "Offload_Policy", "a") != "" })
	c.Transact(update("Offload_Policy", "a", map[string]any{"status": "another opinion"}))
	a.Report(Node{Mode: "observe", Version: "1"}) // what comes later was looked at later
	eventually(t, "the node", func() bool { return len(rows(c, "Node")) == 1 })
	a.Report(Node{Mode: "observe", Version: "2"})
	eventually(t, "the node", func() bool { return rows(c, "Node")[0]["version"] == "2" })
	if got := status(c, "Offload_Policy", "a"); got != "another opinion" {
		t.Errorf("status %q", got)
	}
	c.Transact(update("Offload_Policy", "a", map[string]any{"dst_ports": "y"}))
	eventually(t, "the status of what has changed", func() bool { return strings.Contains(status(c, "Offload_Policy", "a"), `"y"`) })
}

func node(c *ovsdbtest.Conn, systemID string) map[string]any {
	for _, r := range rows(c, "Node") {
		if r["system_id"] == systemID {
			return r
		}
	}
	return nil
}

// TestNode shows that each agent has one row, that its eswitches are replaced, and that the
// row comes back when it was removed, or the database was.
func TestNode(t *testing.T) {
	s := ovsdbtest.Start(t, schema)
	c := s.Dial("Flowshunt")
	a, b := start(t, s, "node-1"), start(t, s, "node-2")
	capacity := 1000
	n := Node{Hostname: "h\x00\xff", Version: "1.2", Mode: flowshunt.NodeModeEnforce, Started: time.Unix(1700000000, 0), CurCfg: 3, Policies: 2,
		Problems: map[string]string{"policy x": "bad"}, Health: "ok",
		Eswitches: []flowshunt.Eswitch{{Name: "e0", Driver: "mlx5_core", Capacity: &capacity, InsertRate: 12.5}, {Name: "e1"}}}
	a.Report(n)
	b.Report(Node{Mode: flowshunt.NodeModeObserve})
	eventually(t, "two nodes", func() bool { return node(c, "node-1") != nil && node(c, "node-2") != nil })
	row := node(c, "node-1")
	if row["mode"] != "enforce" || row["cur_cfg"] != 3.0 || row["started"] != 1.7e9 || row["hostname"] != "h??" || len(rows(c, "Eswitch")) != 2 {
		t.Errorf("%v, eswitches %v", row, rows(c, "Eswitch"))
	}
	n.CurCfg, n.Eswitches = 4, []flowshunt.Eswitch{{Name: "e1", Used: 7}}
	a.Report(n)
	eventually(t, "the change", func() bool {
		e := rows(c, "Eswitch")
		return node(c, "node-1")["cur_cfg"] == 4.0 && len(e) == 1 && e[0]["used"] == 7.0
	})
	uuid := row["_uuid"]
	if now := node(c, "node-1")["_uuid"]; fmt.Sprint(now) != fmt.Sprint(uuid) {
		t.Errorf("another row: %v, was %v", now, uuid)
	}
	c.Transact(remove("Node", "system_id", "node-1"))
	eventually(t, "the row again", func() bool { return node(c, "node-1")["cur_cfg"] == 4.0 && len(rows(c, "Eswitch")) == 1 })

	s.Kill()
	a.await("the loss", func(n News) bool { return n.Err != nil })
	s.Create() // all is lost
	s.Start()
	c = s.Dial("Flowshunt")
	eventually(t, "both again", func() bool { return node(c, "node-1")["cur_cfg"] == 4.0 && node(c, "node-2") != nil })
}

// TestOlderDatabase shows that what an agent has said is said again to a server that forgot it.
func TestOlderDatabase(t *testing.T) {
	s := ovsdbtest.Start(t, schema)
	a := start(t, s, "node-1")
	a.Report(Node{Mode: "enforce", CurCfg: 1})
	c := s.Dial("Flowshunt")
	eventually(t, "the node", func() bool { return node(c, "node-1") != nil })
	older, err := os.ReadFile(s.File)
	if err != nil {
		t.Fatal(err)
	}
	a.Report(Node{Mode: "enforce", CurCfg: 2})
	eventually(t, "the change", func() bool { return node(c, "node-1")["cur_cfg"] == 2.0 })
	s.Kill()
	a.await("the loss", func(n News) bool { return n.Err != nil })
	if err := os.WriteFile(s.File, older, 0o600); err != nil {
		t.Fatal(err)
	}
	s.Start()
	c = s.Dial("Flowshunt")
	eventually(t, "the change again", func() bool { return node(c, "node-1")["cur_cfg"] == 2.0 })
}

// TestLostDatabase shows that the last policies stay, their last good forms too, and that
// what happens meanwhile is told later.
func TestLostDatabase(t *testing.T) {
	s := ovsdbtest.Start(t, schema)
	c := s.Dial("Flowshunt")
	c.Transact(insert("Flowshunt", map[string]any{"next_cfg": 1}), insert("Offload_Policy", offload))
	a := start(t, s, "node-1")
	before := a.await("a policy", has(1))
	a.Report(Node{Mode: "enforce", CurCfg: 1})
	eventually(t, "the node", func() bool { return node(c, "node-1") != nil })
	s.Kill()
	lost := a.await("the loss", func(n News) bool { return n.Err != nil })
	var e *client.Error
	if lost.Table != before.Table || lost.NextCfg != 1 || !errors.As(lost.Err, &e) {
		t.Errorf("%+v", lost)
	}
	a.Report(Node{Mode: "enforce", CurCfg: 1, Health: "database lost"})
	s.Start()
	c = s.Dial("Flowshunt")
	c.Transact(update("Offload_Policy", "a", map[string]any{"protocols": "tcp", "dst_ports": "z"}))
	n := a.await("the database", func(n News) bool { return n.Err == nil && len(n.Problems) == 1 })
	if n.Table.Len() != 1 {
		t.Error("the last good form is lost")
	}
	eventually(t, "the report", func() bool { return node(c, "node-1")["health"] == "database lost" })
	eventually(t, "no error", func() bool { _, err := a.State(); return err == nil })
}

// TestMissingColumn shows that a policy is not read without one of its conditions.
func TestMissingColumn(t *testing.T) {
	for _, table := range tables("x") {
		if table.Name != flowshunt.OffloadPolicyTable {
			continue
		}
		all := flowshunt.Schema().Tables[table.Name].Columns
		for _, column := range slices.Sorted(maps.Keys(all)) {
			if column != "external_ids" && !slices.Contains(table.NeededColumns, column) {
				t.Errorf("column %s is not read", column)
			}
		}
	}
}

// TestSchemaBounds shows that the schema and the parser agree: what the one lets through, the
// other has no problem with.
func TestSchemaBounds(t *testing.T) {
	s := ovsdbtest.Start(t, schema)
	c := s.Dial("Flowshunt")
	a := start(t, s, "node-1")
	set := func(v ...any) any { return []any{"set", v} }
	c.Transact(insert("Offload_Policy", map[string]any{"name": strings.Repeat("n", 255), "priority": 65535, "protocols": set("tcp", "udp", "esp", "ah", "gre"),
		"dscp": set(0, 63), "elephant_bytes": json.Number("9007199254740991"), "elephant_rate": json.Number("9007199254740991"), "elephant_age": 86400, "inspect_packets": 1000000,
		"max_lifetime": 31536000, "reinspect_interval": 31536000, "src_ports": "10000-65535", "interfaces": strings.Repeat("i", 255)}))
	n := a.await("the policy", has(1))
	if len(n.Problems) > 0 {
		t.Errorf("%+v", n.Problems)
	}
}
