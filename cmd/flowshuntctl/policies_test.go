package main

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
)

const policySchema = "../../ovsdb/flowshunt.ovsschema"

// policyServer starts a server with an empty policy database and returns what runs a line on it.
func policyServer(t *testing.T) (do func(line string) (code int, stdout, stderr string)) {
	t.Helper()
	s := ovsdbtest.Start(t, policySchema)
	return func(line string) (int, string, string) {
		return ctl(t.Context(), s, "--database=Flowshunt --socket="+s.Dir+"/nobody "+line)
	}
}

// Of two operators who add the same name one is told so, whoever is second; what they add apart
// is all there, and no number of next_cfg is given twice.
func TestTwoOperators(t *testing.T) {
	do := policyServer(t)
	const operators, each = 4, 10
	var group sync.WaitGroup
	var lock sync.Mutex
	won := 0
	for o := range operators {
		group.Go(func() {
			for i := range each {
				line := fmt.Sprintf("--wait=all add-policy own-%d-%d %d offload protocols=tcp dst_ports=%d", o, i, i, o)
				if code, _, stderr := do(line); code != 0 {
					t.Errorf("operator %d: %s", o, stderr)
				}
				code, _, stderr := do(fmt.Sprintf("add-policy same-%d %d offload", i, o))
				lock.Lock()
				if code == 0 {
					won++
				} else if !strings.Contains(stderr, "there is a policy \"same-") {
					t.Errorf("operator %d: %s", o, stderr)
				}
				lock.Unlock()
			}
		})
	}
	group.Wait()
	if won != each {
		t.Errorf("%d policies of %d names were added", won, each)
	}
	_, names, _ := do("--bare --columns=name list Offload_Policy")
	if n := len(strings.Fields(names)); n != operators*each+each {
		t.Errorf("there are %d policies", n)
	}
	if _, next, _ := do("get Flowshunt . next_cfg"); next != fmt.Sprintln(operators*each) {
		t.Errorf("next_cfg is %s", next)
	}
}

// Of two who say the same with --may-exist both are right.
func TestTwoAgree(t *testing.T) {
	do := policyServer(t)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for i := range 5 {
				if code, _, stderr := do(fmt.Sprintf("--may-exist add-policy p%d 7 offload dscp=46 -- --may-exist add-wire w%[1]d a%[1]d b%[1]d", i)); code != 0 {
					t.Error(stderr)
				}
			}
		})
	}
	group.Wait()
}
