package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/agent"
	"github.com/flowshunt/flowshunt/pkg/eswitch/flower"
	"github.com/flowshunt/flowshunt/pkg/metrics"
)

// invoke runs a command line against an agent that ends at once.
func invoke(t *testing.T, ends error, args ...string) (cfg *agent.Config, code int, stderr string) {
	t.Helper()
	var out bytes.Buffer
	code = run(t.Context(), &out, args, func(_ context.Context, c agent.Config) error {
		cfg = &c
		return ends
	})
	return cfg, code, out.String()
}

func TestRefusedFlags(t *testing.T) {
	for _, tt := range []struct {
		args string
		want []string // in the message
	}{
		{"--mode=offload", []string{"--mode", `"offload"`, "enforce, observe"}},
		{"--mode=enforce", []string{"--ports", "name them, or say all"}},
		{"--mode=enforce --ports=,", []string{"--ports"}},
		{"--ports=[", []string{"--ports", `"["`}},
		{"--on-exit=leave", []string{"--on-exit", "flush, keep"}},
		{"--hardware=yes", []string{"--hardware", "both, require, skip-hw, skip-sw"}},
		{"--wires=p0", []string{"--wires", "PORT:PORT"}},
		{"--wires=p0:p1,p1:p2", []string{"--wires", "p1 is at another end already"}},
		{"--mode=enforce --ports=p0 --wires=p0:p1", []string{"--wires", "p1 is not among --ports", "add it there"}},
		{"--mark-offload=x", []string{"--mark-offload", "VALUE/MASK", "0x4/0x6"}},
		{"--mark-never=1/0", []string{"--mark-never", "leave the flag out"}},
		{"--mark-offload=0x8/0x4", []string{"offload mark 0x8", "never match"}},
		{"--mark-offload=0x100000000", []string{"--mark-offload", "32 bits"}},
		{"--mark-offload=0x4/0x4 --mark-never=0x4/0x4", []string{"--mark-offload", "also --mark-never", "no connection"}},
		{"--mark-offload=0x1/0x3", []string{"--mark-offload", "also --mark-blocked"}},
		{"--capacity=0", []string{"capacity must be greater than zero"}},
		{"--poll-interval=1ms", []string{"poll interval", "at least 10ms"}},
		{"--idle=1s --count-interval=500ms", []string{"idle time", "count interval"}},
		{"--leave-rate=1e9", []string{"leave rate"}},
		{"--metrics-listen=:9474", []string{`":9474"`, "ADDR:PORT", "[::]:9474"}},
		{"--metrics-listen=0.0.0.0:9474", []string{"0.0.0.0:9474", "plain text", "--metrics-tls-cert", "--metrics-insecure"}},
		{"--metrics-insecure", []string{"--metrics-insecure", "without --metrics-listen"}},
		{"--metrics-listen=[::1]:9474 --metrics-tls-cert=c", []string{"--metrics-tls-key"}},
		{"--log-level=loud", []string{"--log-level", "loud"}},
		{"--poll-interval=soon", []string{"--poll-interval", "soon"}},
		{"--no-such-flag", []string{"--no-such-flag"}},
		{"start", []string{`"start"`, "only flags"}},
	} {
		t.Run(tt.args, func(t *testing.T) {
			cfg, code, stderr := invoke(t, nil, strings.Fields(tt.args)...)
			if cfg != nil || code != ExitUsage {
				t.Errorf("exit code %d, started: %v", code, cfg != nil)
			}
			for _, want := range append(tt.want, "flowshuntd: ", "--help") {
				if !strings.Contains(stderr, want) {
					t.Errorf("message %q does not say %q", stderr, want)
				}
			}
		})
	}
}

// Everything that is wrong is said at once.
func TestAllErrorsAtOnce(t *testing.T) {
	_, _, stderr := invoke(t, nil, "--mode=x", "--on-exit=y", "--capacity=0")
	for _, want := range []string{"--mode", "--on-exit", "capacity"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("message %q does not say %q", stderr, want)
		}
	}
}

func TestDefaults(t *testing.T) {
	cfg, code, stderr := invoke(t, nil)
	if code != ExitOK || stderr != "" {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	if cfg.Engine.Enforce || cfg.KeepOnExit || cfg.RequireHW || cfg.Selected.Has("p0") {
		t.Errorf("the default does more than observe: %+v", cfg)
	}
	if (cfg.Engine.Mark.Blocked != engine.MaskedMark{Value: 1, Mask: 1}) || cfg.Engine.Mark.Offload.Mask != 0 {
		t.Errorf("marks %+v", cfg.Engine.Mark)
	}
	if cfg.Log == nil {
		t.Error("nothing would be logged")
	}
}

func TestFlags(t *testing.T) {
	cfg, code, stderr := invoke(t, nil, "--mode=enforce", "--ports=tap*,p0,p1", "--wires=p0:p1", "--on-exit=keep",
		"--hardware=require", "--mark-offload=4/6", "--mark-never=8", "--mark-blocked=", "--preference=100",
		"--control-socket=/x", "--control-group=g", "--ovsdb=tcp:h:1", "--ovs-rundir=/r", "--keepalive=false",
		"--metrics-listen=0.0.0.0:9474", "--metrics-tls-cert=/c", "--metrics-tls-key=/k", "--metrics-tls-client-ca=/ca")
	if code != ExitOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	m := cfg.Engine.Mark
	if !cfg.Engine.Enforce || !cfg.KeepOnExit || !cfg.RequireHW || cfg.Hardware != flower.Both || cfg.Preference != 100 ||
		cfg.Control.Path != "/x" || cfg.Control.Group != "g" || cfg.OVSDB != "tcp:h:1" || cfg.OVSRundir != "/r" || cfg.Engine.KeepAlive {
		t.Errorf("got %+v", cfg)
	}
	if (cfg.Metrics != metrics.Config{Listen: "0.0.0.0:9474", Cert: "/c", Key: "/k", ClientCA: "/ca"}) {
		t.Errorf("metrics %+v", cfg.Metrics)
	}
	if !cfg.Selected.Has("tap1") || cfg.Selected.Has("vnet1") || len(cfg.Wires) != 1 {
		t.Errorf("ports %+v, wires %+v", cfg.Selected, cfg.Wires)
	}
	if (m.Offload != engine.MaskedMark{Value: 4, Mask: 6}) || (m.Never != engine.MaskedMark{Value: 8, Mask: 1<<32 - 1}) || m.Blocked.Mask != 0 {
		t.Errorf("marks %+v", m)
	}
}

func TestAgentFails(t *testing.T) {
	_, code, stderr := invoke(t, errors.New("ovsdb: nobody is there"))
	if code != ExitFailed || stderr != "flowshuntd: ovsdb: nobody is there\n" {
		t.Errorf("exit code %d: %q", code, stderr)
	}
}

func TestHelp(t *testing.T) {
	cmd := command(nil)
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"--help"})
	if err := cmd.Execute(); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if len(line) > 110 {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
	for _, want := range []string{"observe", "Exit codes:", "Usage:\n  flowshuntd", "--ports"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("help does not say %q:\n%s", want, out.String())
		}
	}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Usage == "" {
			t.Errorf("--%s has no description", f.Name)
		}
	})
}

func TestReferencePageIsCurrent(t *testing.T) {
	have, err := os.ReadFile("../../../../docs/flowshuntd.md")
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := Reference(&want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(have)); diff != "" {
		t.Errorf("docs/flowshuntd.md is not what the flags say (go generate ./cmd/flowshuntd/...):\n%s", diff)
	}
}
