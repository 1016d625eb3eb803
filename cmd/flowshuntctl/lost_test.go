package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/cmd/flowshuntctl/internal/cli"
	"github.com/flowshunt/flowshunt/ovsdb/dbctl"
	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
)

// ctlAt runs flowshuntctl on some servers, behind which there may be more options, without an agent,
// and returns what it says.
func ctlAt(ctx context.Context, remotes, line string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	args := strings.Fields("--db=" + remotes + " --socket=/nonexistent/control.sock " + line)
	code = cli.Run(ctx, cli.Env{Stdout: &out, Stderr: &err}, args)
	return code, out.String(), err.String()
}

// A change whose answer was lost was made, or not: flowshuntctl says that it does not know, and does
// not make it again, even with --retry. To make it again is safe for whoever can say "unless
// it is there".
func TestLostAnswer(t *testing.T) {
	for name, unsent := range map[string]bool{"made": false, "not made": true} {
		t.Run(name, func(t *testing.T) {
			s := ovsdbtest.Start(t, ovsdbtest.OpenVSwitch)
			p := ovsdbtest.NewProxy(t, s)
			p.Set(ovsdbtest.Fault{Lose: `"insert"`, Unsent: unsent})
			code, stdout, stderr := ctlAt(t.Context(), p.Endpoint(), "--retry --database=Open_vSwitch create Queue dscp=3")
			if code != 1 || stdout != "" || !strings.Contains(stderr, dbctl.ErrUncertain.Error()) || p.Lost() != 1 {
				t.Errorf("exit code %d of %d lost: %s%s", code, p.Lost(), stdout, stderr)
			}
			want := 1
			if unsent {
				want = 0
			}
			// A table that lets two equal rows in would have two.
			if got := len(strings.Fields(s.VSCtl("--bare", "--columns=_uuid", "list", "Queue"))); got != want {
				t.Errorf("%d rows, want %d", got, want)
			}

			f := ovsdbtest.Start(t, policySchema)
			p = ovsdbtest.NewProxy(t, f)
			p.Set(ovsdbtest.Fault{Lose: `"insert"`, Unsent: unsent})
			const add = "add-policy p 5 offload protocols=tcp"
			if code, _, stderr := ctlAt(t.Context(), p.Endpoint(), "--retry --wait=all "+add); code != 1 || !strings.Contains(stderr, dbctl.ErrUncertain.Error()) {
				t.Errorf("exit code %d: %s", code, stderr)
			}
			if code, _, stderr := ctlAt(t.Context(), p.Endpoint(), "--wait=all --may-exist "+add); code != 0 {
				t.Errorf("exit code %d: %s", code, stderr)
			}
			if _, got, _ := ctlAt(t.Context(), p.Endpoint(), "get Flowshunt . next_cfg -- get Offload_Policy p priority"); got != "1\n5\n" {
				t.Errorf("next_cfg and priority are %q", got)
			}
		})
	}
}
