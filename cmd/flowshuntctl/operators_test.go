package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
)

// process runs flowshuntctl as a process of its own.
func process(t *testing.T, remotes, line string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.Command("flowshuntctl", strings.Fields("--db="+remotes+" --socket=/nonexistent/control.sock "+line)...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	if failed := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(failed)
	}
	return cmd.ProcessState.ExitCode(), out.String(), err.String()
}

// Processes of several operators that read and change the same rows lose nothing of each other, and of
// those who add one name exactly one has done it.
func TestOperatorsAreProcesses(t *testing.T) {
	const operators, each = 4, 5
	s := ovsdbtest.Start(t, policySchema)
	if code, _, stderr := process(t, s.Endpoint(), "create Flowshunt next_cfg=0 -- add-policy shared 9 inspect"); code != 0 {
		t.Fatal(stderr)
	}
	var group sync.WaitGroup
	var lock sync.Mutex
	var won []string
	for o := range operators {
		group.Go(func() {
			for i := range each {
				// What it prints is what it has read: the set as a whole, written back.
				line := fmt.Sprintf("--wait=all add Offload_Policy shared dst_ports %d -- add-policy own-%d-%d %[1]d offload -- get Offload_Policy shared dst_ports", 100*(o+1)+i, o, i)
				if code, _, stderr := process(t, s.Endpoint(), line); code != 0 {
					t.Errorf("operator %d: %s", o, stderr)
				}
				name := fmt.Sprint("same-", i)
				code, _, stderr := process(t, s.Endpoint(), fmt.Sprintf("add-policy %s %d offload", name, o))
				want := fmt.Sprintf("flowshuntctl: there is a policy %q already\n", name)
				lock.Lock()
				if code == 0 {
					won = append(won, name)
				} else if code != 1 || stderr != want {
					t.Errorf("exit code %d, %q; want %q", code, stderr, want)
				}
				lock.Unlock()
			}
		})
	}
	group.Wait()
	if slices.Sort(won); len(won) != each || len(slices.Compact(won)) != each {
		t.Errorf("added were %s", won)
	}
	_, ports, _ := process(t, s.Endpoint(), "--bare --columns=dst_ports list Offload_Policy shared")
	if n := len(strings.Fields(ports)); n != operators*each {
		t.Errorf("of %d ports there are %d: %s", operators*each, n, ports)
	}
	if _, next, _ := process(t, s.Endpoint(), "get Flowshunt . next_cfg"); next != fmt.Sprintln(operators*each) {
		t.Errorf("next_cfg is %swant %d", next, operators*each)
	}
	if _, names, _ := process(t, s.Endpoint(), "--bare --columns=name list Offload_Policy"); len(strings.Fields(names)) != 1+operators*each+each {
		t.Errorf("policies: %s", names)
	}
}

// A change that relies on what was read, such as that there is no policy of a name, fails where that is
// so no longer when it is carried out.
func TestReadIsVerified(t *testing.T) {
	s := ovsdbtest.Start(t, policySchema)
	p := ovsdbtest.NewProxy(t, s)
	c := s.Dial("Flowshunt")
	c.Transact(map[string]any{"op": "insert", "table": "Flowshunt", "row": map[string]any{"next_cfg": 6}})
	p.Before(`"wait"`, func() { // between what it reads and what it writes
		c.Transact(map[string]any{"op": "mutate", "table": "Flowshunt", "where": []any{}, "mutations": []any{[]any{"next_cfg", "+=", 1}}},
			map[string]any{"op": "insert", "table": "Offload_Policy", "row": map[string]any{"name": "other"}})
	})
	code, _, stderr := process(t, p.Endpoint(), "--wait=all add-policy one 5 offload")
	if _, next, _ := process(t, s.Endpoint(), "get Flowshunt . next_cfg"); code != 0 || next != "8\n" {
		t.Errorf("exit code %d, %snext_cfg is %s", code, stderr, next)
	}
	p.Before(`"wait"`, func() {
		c.Transact(map[string]any{"op": "insert", "table": "Offload_Policy", "row": map[string]any{"name": "two"}})
	})
	if code, _, stderr := process(t, p.Endpoint(), "add-policy two 5 offload"); code != 1 || stderr != "flowshuntctl: there is a policy \"two\" already\n" {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}
