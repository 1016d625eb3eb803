package path

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
	"github.com/flowshunt/flowshunt/pkg/ofproto"
)

// settled is how long after a doubt the datapath's flows may still be old: OVS
// revalidates all of them at least every 500 ms (max-revalidator, vswitch.xml), and
// that takes time.
const settled = 2 * time.Second

// JudgeConfig is whom a Judge asks. Both are required.
type JudgeConfig struct {
	Datapath Datapath
	Tracer   Tracer
}

// Judge says what OVS does with packets. OVS is asked to trace such a packet, and what
// it says must be what the datapath really does, as far as its flows tell; when
// something has changed of late, they may be old and are not asked. The flows alone
// would not do: the kernel hides some of their conditions (see package datapath), and
// does not tell what changes a path on its way. Its methods may be called concurrently.
type Judge struct {
	numbers   numbers
	megaflows megaflows
	chains    chains
	ports     atomic.Pointer[Ports]
	doubted   atomic.Int64 // flows.Instant of the last doubt
}

// NewJudge returns a judge that knows no port yet.
func NewJudge(cfg JudgeConfig) *Judge {
	j := &Judge{
		numbers:   numbers{datapath: cfg.Datapath},
		megaflows: megaflows{datapath: cfg.Datapath},
		chains:    chains{tracer: cfg.Tracer, known: make(map[chainKey][]chain)},
	}
	j.ports.Store(NewPorts(nil))
	return j
}

// SetPorts replaces the ports.
func (j *Judge) SetPorts(ports *Ports) {
	j.ports.Store(ports)
	j.numbers.forget()
}

// Doubt says that OVS may do something else from now on: what is known is forgotten.
func (j *Judge) Doubt(now flows.Instant) {
	j.doubted.Store(int64(now))
	j.numbers.forget()
	j.chains.forget()
}

// Forward implements Forwarder.
func (j *Judge) Forward(ctx context.Context, q Question, now flows.Instant) (Forwarding, error) {
	numbers, err := j.numbers.get(ctx)
	if err != nil {
		return Forwarding{}, fmt.Errorf("ports of the datapath: %w", err)
	}
	number, ok := numbers.numbers[q.In.Name]
	if !ok {
		return Forwarding{}, refuse(flows.PathUnknown, "%s is no port of the datapath", q.In.Name)
	}
	path, plain, err := j.chains.compose(ctx, q, number)
	if err != nil {
		return Forwarding{}, refusalOf(err)
	}
	if err := j.contradicted(ctx, q, number, path, now); err != nil {
		return Forwarding{}, err
	}
	out := j.ports.Load().byName[numbers.name(path.Out)]
	if out == nil {
		return Forwarding{}, refuse(flows.PathUnknown, "OVS sends what enters %s to port %d of its datapath, which is none of the database's", q.In.Name, path.Out)
	}
	return Forwarding{Out: out.ID, Leaves: path.Leaves, Hops: path.Hops, Tuple: path.Tuple, Stands: standsOf(q.States, path.States), Plain: plain}, nil
}

// Tunnels implements Forwarder. The flows of the datapath tell, as long as packets come.
func (j *Judge) Tunnels(ctx context.Context, q Question, now flows.Instant) ([]flows.Tunnel, error) {
	numbers, err := j.numbers.get(ctx)
	if err != nil {
		return nil, fmt.Errorf("ports of the datapath: %w", err)
	}
	number, ok := numbers.numbers[q.In.Name]
	if !ok {
		return nil, nil
	}
	return j.megaflows.tunnels(ctx, q, number, now)
}

// contradicted returns why the flows of the datapath say something else than OVS does.
// That they do not tell is none: they are gone soon after the last packet.
func (j *Judge) contradicted(ctx context.Context, q Question, number uint32, path megaflow.Path, now flows.Instant) error {
	quiet := flows.Instant(j.doubted.Load()).Add(settled)
	if now <= quiet {
		return nil
	}
	actual, err := j.megaflows.compose(ctx, q, number, now, quiet)
	switch {
	case errors.Is(err, megaflow.ErrUnknown):
		return nil
	case err != nil:
		return refusalOf(err)
	case !actual.Equal(path):
		return refuse(flows.PathUnknown, "OVS says that what enters %s goes by %v, the flows of its datapath send it by %v",
			q.In.Name, path, actual)
	}
	return nil
}

// refusalOf returns the Refusal that answers a question, or err where OVS could not be
// asked.
func refusalOf(err error) error {
	if r, ok := errors.AsType[*megaflow.Refusal](err); ok {
		return &Refusal{Reason: r.Reason, Detail: r.Detail}
	}
	for _, answer := range []error{megaflow.ErrUnknown, ofproto.ErrQuery, ofproto.ErrStages, ofproto.ErrFailed, ofproto.ErrFormat} {
		if errors.Is(err, answer) {
			return refuse(flows.PathUnknown, "%v", err)
		}
	}
	return err
}

func packetOf(q Question, in uint32) megaflow.Packet {
	return megaflow.NewPacket(in, q.Frame, q.Tuple)
}

func connectionOf(q Question) megaflow.Connection {
	c := megaflow.Connection{Tuple: q.Tuple, States: q.States}
	if mtu := largest(q.In, q.Frame); mtu > 0 {
		c.MaxFrame = mtu + ethernetLen
	}
	return c
}

func standsOf(states []flows.ZoneState, indexes []int) (stands []flows.Stand) {
	for _, i := range indexes {
		stands = append(stands, states[i].Stand())
	}
	return stands
}
