package ovsdb

import (
	"fmt"
	"testing"

	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
)

// What an agent reads does not grow with the fleet: what 1,000 others write of themselves, all of
// it twice, costs it nothing; in a cluster neither, where each change is an entry of the log.
func TestOthersCostNothing(t *testing.T) {
	const others, rounds = 1000, 2
	for name, serve := range map[string]func() *ovsdbtest.Server{
		"server":  func() *ovsdbtest.Server { return ovsdbtest.Start(t, schema) },
		"cluster": func() *ovsdbtest.Server { return ovsdbtest.NewCluster(t, schema, "Flowshunt", 1, nil).Members[0] },
	} {
		t.Run(name, func(t *testing.T) {
			s := serve()
			c := s.Dial("Flowshunt")
			p := ovsdbtest.NewProxy(t, s)
			a := startAt(t, p.Endpoint(), "node-1")
			a.await("nothing", has(0))
			a.Report(Node{Mode: "enforce"})
			eventually(t, "the node", func() bool { return node(c, "node-1") != nil })

			insertOthers(c, others)
			begin := p.Said()
			for round := range rounds {
				for i := range others {
					c.Transact(map[string]any{"op": "update", "table": "Node", "row": map[string]any{"cur_cfg": round + 1, "health": "ok"},
						"where": []any{[]any{"system_id", "==", fmt.Sprint("other-", i)}}})
				}
			}
			c.Transact(insert("Offload_Policy", offload)) // it is told behind all of them
			a.await("a policy", has(1))
			said := p.Said() - begin
			t.Logf("%d changes of others: %d bytes with a policy of its own", rounds*others, said)
			if said > 2000 {
				t.Errorf("a client was sent %d bytes, %.1f for each change of others", said, float64(said)/(rounds*others))
			}
		})
	}
}

func insertOthers(c *ovsdbtest.Conn, n int) {
	var list []any
	for i := range n {
		list = append(list, insert("Node", map[string]any{"system_id": fmt.Sprint("other-", i), "mode": "enforce"}))
	}
	c.Transact(list...)
}
