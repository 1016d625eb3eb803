package agent

import (
	"fmt"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/policy"
)

// Changes of policies that wait are one: from what was in force before the first to what is
// after the last, which says that it is; and orders and permissions stay.
func TestOneChange(t *testing.T) {
	tables := []*policy.Table{}
	for i := range 4 {
		table, _ := policy.Compile([]policy.Spec{{Name: fmt.Sprint(i % 3), Verdict: "drop"}}, nil, nil)
		tables = append(tables, table)
	}
	told := ""
	change := func(i int) message {
		return message{event: changeOf(tables[i-1], tables[i]), from: tables[i-1], settled: func(int) { told += fmt.Sprint(i) }}
	}
	b := newInbox()
	b.put(message{event: engine.PermissionsChanged{}}, change(1), message{event: engine.Ordered{}}, change(2))
	silent := change(3)
	silent.settled = nil
	b.put(silent)
	list := b.take()
	if len(list) != 3 || !isChange(list[1]) || list[1].event.(engine.PoliciesChanged).Policies != engine.Policies(tables[3]) {
		t.Fatalf("%+v", list)
	}
	if _, ok := list[2].event.(engine.Ordered); !ok {
		t.Errorf("%+v", list[2])
	}
	list[1].settled(0)
	if told != "2" {
		t.Errorf("told %q", told)
	}
	// the policy of 0 and 3 is the same, what is between never was
	if concerns := list[1].event.(engine.PoliciesChanged).Concerns; concerns == nil || concerns(tables[0].Decide(&flows.Subject{}).Policy, &flows.Subject{}) {
		t.Error("it concerns what is as it was")
	}

	b.put(message{event: engine.PoliciesChanged{Policies: tables[0]}}, change(1)) // the first one is about all
	if list := b.take(); len(list) != 1 || list[0].event.(engine.PoliciesChanged).Concerns != nil {
		t.Errorf("%+v", list)
	}
	b.put(change(1), message{event: engine.PoliciesChanged{Policies: engine.Elephants(engine.DefaultConfig().Elephant)}})
	if list := b.take(); len(list) != 1 || list[0].event.(engine.PoliciesChanged).Concerns != nil {
		t.Errorf("%+v", list)
	}
}
