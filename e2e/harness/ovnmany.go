package harness

import (
	"encoding/json"
	"fmt"
	"net"
	"time"
)

// AddMany adds rules in one transaction, and waits until all hosts have them: the
// database's own protocol, since ten thousand fit into no command line.
func (g *Group) AddMany(rules []Rule) {
	o := g.o
	t := o.w.T
	t.Helper()
	began := time.Now()
	var names []any
	ops := []any{"OVN_Northbound"}
	for i, r := range rules {
		direction := "to-lport"
		if r.Egress {
			direction = "from-lport"
		}
		name := fmt.Sprint("acl", i)
		names = append(names, []string{"named-uuid", name})
		ops = append(ops, map[string]any{"op": "insert", "table": "ACL", "uuid-name": name, "row": map[string]any{
			"direction": direction, "priority": 1002, "action": "allow-related", "match": r.match(g.Name),
			"external_ids": []any{"map", [][2]string{{"neutron:security_group_rule_id", o.uuid()}}},
		}})
	}
	ops = append(ops, map[string]any{"op": "mutate", "table": "Port_Group", "where": [][3]string{{"name", "==", g.Name}},
		"mutations": []any{[]any{"acls", "insert", []any{"set", names}}}})
	if err := o.transact(ops); err != nil {
		t.Fatalf("%d rules: %v", len(rules), err)
	}
	Within(t, 6*time.Minute, fmt.Sprintf("%d rules stand", len(rules)), func() error {
		_, err := o.w.Try("ovn-nbctl", "--db="+o.NB(), "--timeout=50", "--wait=hv", "sync")
		return err
	})
	t.Logf("%d rules stand after %v", len(rules), time.Since(began).Round(time.Millisecond))
}

// transact asks the Northbound database for a transaction: its name, then operations.
func (o *OVN) transact(params []any) error {
	c, err := net.Dial("unix", o.socket(nb))
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(commandLimit)); err != nil {
		return err
	}
	if err := json.NewEncoder(c).Encode(map[string]any{"id": 1, "method": "transact", "params": params}); err != nil {
		return err
	}
	var reply struct {
		Error  any
		Result []struct{ Error, Details string }
	}
	if err := json.NewDecoder(c).Decode(&reply); err != nil {
		return err
	}
	if reply.Error != nil {
		return fmt.Errorf("%v", reply.Error)
	}
	for _, r := range reply.Result {
		if r.Error != "" {
			return fmt.Errorf("%s: %s", r.Error, r.Details)
		}
	}
	return nil
}
