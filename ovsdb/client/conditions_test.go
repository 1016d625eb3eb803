package client

import (
	"testing"

	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
)

// numbered starts a server of database Every with rows of the numbers 0 to 9.
func numbered(t *testing.T) *ovsdbtest.Server {
	t.Helper()
	s := everyServer(t)
	var ops []any
	for i := range 10 {
		ops = append(ops, map[string]any{"op": "insert", "table": "T", "row": map[string]any{"number": i, "three": 1}})
	}
	s.Dial("Every").Transact(ops...)
	return s
}

func below(n int) []Condition { return []Condition{{"number", "<", n}} }

// holds reports whether the rows are those with numbers below n.
func holds(r *recorder, n int) bool {
	for _, row := range r.rows["T"] {
		if row.(*everything).Number >= n {
			return false
		}
	}
	return len(r.rows["T"]) == n
}

// What is called after SetWhere finds the rows told, also when the connection ends in
// between, and whoever calls it.
func TestSetWhere(t *testing.T) {
	s := numbered(t)
	p := ovsdbtest.NewProxy(t, s)
	cfg := every(p.Endpoint())
	cfg.Tables[0].Where = below(3)
	c, r := run(t, cfg)
	r.await("3 rows", func(r *recorder) bool { return holds(r, 3) })
	step := func(n int) <-chan bool {
		inForce := make(chan bool, 1)
		c.SetWhere("T", below(n), func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			inForce <- r.sync && holds(r, n)
		})
		return inForce
	}
	for i, n := range []int{5, 2, 2, 10, 0, 7} {
		if !<-step(n) {
			t.Errorf("step %d: not the rows below %d", i, n)
		}
	}

	p.Set(ovsdbtest.Fault{Cut: true})
	p.CutAll()
	r.await("the loss", lost)
	first, second := step(4), step(6)
	p.Set(ovsdbtest.Fault{})
	if <-first || !<-second { // the later condition is in force when the first is asked about
		t.Error("not the rows of the last condition")
	}

	again := make(chan bool, 1)
	c.SetWhere("T", below(1), func() {
		c.SetWhere("T", below(8), func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			again <- holds(r, 8)
		})
	})
	if !<-again {
		t.Error("not the rows of a condition that was set by Run's goroutine")
	}
}

// A server without conditions tells all rows, and says so to who waits.
func TestSetWhereOnOldServer(t *testing.T) {
	p := ovsdbtest.NewProxy(t, numbered(t))
	p.Set(ovsdbtest.Fault{Old: true})
	cfg := every(p.Endpoint())
	cfg.Tables[0].Where = below(3)
	c, r := run(t, cfg)
	r.await("all rows", func(r *recorder) bool { return holds(r, 10) })
	inForce := make(chan struct{})
	c.SetWhere("T", below(2), func() { close(inForce) })
	<-inForce
}

// A condition on a column that the server lacks cannot hide rows.
func TestConditionOnMissingColumn(t *testing.T) {
	s := ovsdbtest.Start(t, ovsdbtest.OpenVSwitch)
	s.VSCtl("init", "--", "add-br", "br0")
	cfg := bridges(s.Endpoint())
	cfg.Tables[0].Where = []Condition{{"name", "==", "nothing"}, {"of_the_future", "==", 1}}
	_, r := run(t, cfg)
	r.await("br0", hasBridge("br0"))
	uuid := s.VSCtl("get", "Bridge", "br0", "_uuid")
	cfg.Tables[0].Where = []Condition{{"_uuid", "==", UUID(uuid)}}
	_, r = run(t, cfg)
	r.await("br0 by its uuid", hasBridge("br0"))
	cfg.Tables[0].Where = []Condition{{}}
	_, r = run(t, cfg)
	r.await("nothing", func(r *recorder) bool { return r.sync && len(r.rows["Bridge"]) == 0 && len(r.rows["Port"]) == 1 })
}

func TestValues(t *testing.T) {
	for want, c := range map[string]Condition{
		`false`:                                {},
		`["a","==","x"]`:                       {"a", "==", "x"},
		`["a","\u003c",3]`:                     {"a", "<", 3},
		`["_uuid","!=",["uuid","u"]]`:          {"_uuid", "!=", UUID("u")},
		`["a","includes",["set",["x","y"]]]`:   {"a", "includes", Set{"x", "y"}},
		`["a","excludes",["set",[]]]`:          {"a", "excludes", Set(nil)},
		`["a","includes",["map",[["k","v"]]]]`: {"a", "includes", Map{"k": "v"}},
	} {
		if got, err := c.MarshalJSON(); err != nil || string(got) != want {
			t.Errorf("%s, want %s (%v)", got, want, err)
		}
	}
}
