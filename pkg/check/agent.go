package check

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/flowshunt/flowshunt/pkg/control"
)

// agent is what the control socket says.
type agent struct {
	status control.Status
	err    error
}

func askAgent(ctx context.Context, socket string) agent {
	if ctx.Err() != nil {
		return agent{err: errLate}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client, err := control.Dial(ctx, socket)
	if err != nil {
		return agent{err: err}
	}
	defer client.Close()
	status, err := client.Show(ctx)
	return agent{status, err}
}

// gone reports whether there certainly is no agent.
func (a agent) gone() bool { return errors.Is(a.err, control.ErrNoAgent) }

func running(_ context.Context, n *node) []Line {
	const name = "flowshuntd"
	a := n.agent
	switch {
	case a.gone():
		return []Line{warning(name, "no agent is running").why("nothing is offloaded").
			fix("systemctl start flowshuntd # once the rest is ok")}
	case denied(a.err), errors.Is(a.err, errLate):
		return []Line{unknown(name, a.err)}
	case a.err != nil:
		return []Line{fatal(name, "does not answer (%s)", oneLine(a.err.Error())).
			why("it hangs, or the machine is overloaded").
			fix("systemctl restart flowshuntd", "flowshuntctl flush --force # takes its rules out at once")}
	}
	found := fmt.Sprintf("%s, mode %s", a.status.Version, a.status.Mode)
	var lines []Line
	if n.Version != "" && a.status.Version != n.Version {
		lines = append(lines, warning("version", "the agent is %s, flowshuntctl %s", a.status.Version, n.Version).
			why("it runs since before an upgrade, perhaps").fix("systemctl restart flowshuntd"))
	}
	if a.status.ObserveReason != "" {
		lines = append(lines, warning("mode", "%s, but it only observes: %s", a.status.Mode, a.status.ObserveReason).
			why("%s", a.status.ObserveDetail).fix("flowshuntctl show"))
	}
	bad := ailing(&a.status)
	if !a.status.Ready || len(bad) > 0 {
		lines = append(lines, fatal(name, "%s, not well: %s", found, some(bad)).
			why("what it does not see it does not offload, or takes out").fix("flowshuntctl show").detail(bad))
		return lines
	}
	return append(lines, ok(name, "%s, ready", found))
}

// ailing lists the components that have failed; of an agent that is not ready, for want of
// these, those that are starting. One of a ready agent may be, for want of work.
func ailing(s *control.Status) (bad []string) {
	var starting []string
	for _, p := range s.Components {
		switch p.Health {
		case control.HealthOK:
		case control.HealthStarting:
			starting = append(starting, p.Name+" is starting")
		default:
			bad = append(bad, strings.TrimSuffix(fmt.Sprintf("%s %s: %s", p.Name, p.Health, oneLine(p.LastError)), ": "))
		}
	}
	if len(bad) == 0 && !s.Ready {
		return starting
	}
	return bad
}

// unitDirs are where systemd looks for units, the strongest first.
var unitDirs = []string{"etc/systemd/system", "run/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"}

// unit looks at the service as it is installed: its rules must not outlive an agent that
// died (ExecStopPost), and it should come back.
func unit(_ context.Context, n *node) []Line {
	const name, file = "unit", "flowshuntd.service"
	if !n.exists("run/systemd/system") {
		return []Line{ok(name, "systemd does not run here")}
	}
	var text, path string
	for _, dir := range unitDirs {
		if t, err := read(n.root, dir+"/"+file); err == nil {
			text, path = t, "/"+dir+"/"+file
			break
		}
	}
	switch {
	case path == "":
		return []Line{warning(name, "%s is not installed", file).
			why("nobody starts the agent again, and nobody flushes its rules if it dies").
			fix("install -m 644 hack/systemd/flowshuntd.service /etc/systemd/system/", "systemctl daemon-reload", "systemctl enable --now flowshuntd")}
	case !strings.Contains(text, "flowshuntctl flush"):
		return []Line{warning(name, "%s does not flush (ExecStopPost)", path).
			why("rules of an agent that died go on forwarding past every check").
			fix("systemctl cat flowshuntd", "compare with hack/systemd/flowshuntd.service")}
	case !n.exists("etc/systemd/system/multi-user.target.wants/" + file):
		return []Line{warning(name, "%s is not enabled", path).why("the agent does not start with the machine").
			fix("systemctl enable flowshuntd")}
	}
	return []Line{ok(name, "%s, enabled", path)}
}

// rivals are other programs that write to the same OVS, or to the same table.
func rivals(_ context.Context, n *node) []Line {
	var lines []Line
	if agents := n.named("flowshuntd"); len(agents) > 1 {
		var pids []string
		for _, p := range agents {
			pids = append(pids, p.pid)
		}
		lines = append(lines, fatal("agents", "%d run in this network namespace: processes %s", len(agents), strings.Join(pids, ", ")).
			why("each takes the other's rules for leftovers").fix("systemctl stop flowshuntd", "ps -C flowshuntd"))
	}
	var cms []string
	for _, name := range []string{"ovn-controller", "neutron-openvswitch-agent"} {
		if len(n.named(name)) > 0 {
			cms = append(cms, name)
		}
	}
	switch len(cms) {
	case 0:
		return append(lines, ok("cms", "neither ovn-controller nor neutron-openvswitch-agent runs here"))
	case 1:
		return append(lines, ok("cms", "%s", cms[0]))
	}
	return append(lines, warning("cms", "%s both run", strings.Join(cms, " and ")).
		why("both write flows; on a bridge that they share they undo each other's"))
}
