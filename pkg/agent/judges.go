package agent

import (
	"context"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/path"
)

// judges asks about a port the judge of its datapath, each of which numbers its ports
// by itself.
type judges struct{ kernel, userspace judge }

// newJudges returns judges that differ in the datapath alone.
func newJudges(kernel, user path.Datapath, cfg path.JudgeConfig) *judges {
	cfg.Datapath = kernel
	j := &judges{kernel: path.NewJudge(cfg)}
	cfg.Datapath = user
	j.userspace = path.NewJudge(cfg)
	return j
}

func (j *judges) of(p *path.Port) judge {
	if p.Datapath == userspace {
		return j.userspace
	}
	return j.kernel
}

// Forward implements path.Forwarder.
func (j *judges) Forward(ctx context.Context, q path.Question, now flows.Instant) (path.Forwarding, error) {
	return j.of(q.In).Forward(ctx, q, now)
}

// Tunnels implements path.Forwarder.
func (j *judges) Tunnels(ctx context.Context, q path.Question, now flows.Instant) ([]flows.Tunnel, error) {
	return j.of(q.In).Tunnels(ctx, q, now)
}

// Doubt implements doubter.
func (j *judges) Doubt(now flows.Instant) {
	j.kernel.Doubt(now)
	j.userspace.Doubt(now)
}

// SetPorts implements judge.
func (j *judges) SetPorts(ports *path.Ports) {
	j.kernel.SetPorts(ports)
	j.userspace.SetPorts(ports)
}
