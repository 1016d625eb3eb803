package flower_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/eswitchtest"
	"github.com/flowshunt/flowshunt/pkg/eswitch/flower"
	"github.com/flowshunt/flowshunt/pkg/tc/tctest"
)

const childEnv = "FLOWSHUNT_TEST_KILLED_CHILD"

// TestKilledChild is the process that TestKilled kills: it installs sessions until
// then.
func TestKilledChild(t *testing.T) {
	if os.Getenv(childEnv) == "" {
		t.Skip("only as a child of TestKilled")
	}
	d, err := flower.Open(flower.Config{})
	if err != nil {
		t.Fatal(err)
	}
	r := &eswitchtest.Rig{Driver: d, A: tctest.Index(t, "p0"), B: tctest.Index(t, "p1")}
	e := prepared(t, r)
	for n := 1; ; n++ {
		if res := e.Install(t.Context(), []flows.Session{r.Session(n, flows.TCP, n%2 == 0)}); res[0].Err != nil {
			t.Fatal(res[0].Err)
		}
		fmt.Println("installed", n)
	}
}

// TestKilled kills an installing process at some instruction; one that remembers
// nothing finds what it left and clears it up.
func TestKilled(t *testing.T) {
	tctest.NeedFlower(t)
	for _, clear := range []string{"sweep", "flush"} {
		t.Run(clear, func(t *testing.T) {
			r := rig(t, flower.Config{})
			installed := killAfter(t, 50)
			e := eswitch.New(r.Driver, eswitch.Config{})
			found, err := e.Audit(t.Context())
			if err != nil || len(found) < 2*installed {
				t.Fatalf("audit found %d rules of at least %d sessions, %v", len(found), installed, err)
			}
			if clear == "sweep" {
				if n, err := e.Sweep(t.Context()); n != len(found) || err != nil {
					t.Errorf("swept %d of %d rules, %v", n, len(found), err)
				}
			}
			if n, err := e.Flush(t.Context()); err != nil || clear == "flush" && n != len(found) {
				t.Errorf("flushed %d of %d rules, %v", n, len(found), err)
			}
			for _, dev := range []string{"p0", "p1"} {
				left := tctest.Run(t, "tc filter show dev "+dev+" ingress") + tctest.Run(t, "tc qdisc show dev "+dev)
				if strings.Contains(left, "flower") || strings.Contains(left, "clsact") {
					t.Errorf("left on %s: %s", dev, left)
				}
			}
		})
	}
}

// killAfter runs the child until it has said so many times that it installed a
// session, and returns how many times it did.
func killAfter(t *testing.T, sessions int) (installed int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledChild$")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if !strings.HasPrefix(lines.Text(), "installed") {
			t.Log(lines.Text())
			continue
		}
		if installed++; installed == sessions {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait()
	if installed < sessions {
		t.Fatalf("the child ended after %d sessions", installed)
	}
	return installed
}
