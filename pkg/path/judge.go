package path

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
	"github.com/flowshunt/flowshunt/pkg/ofproto"
	"github.com/flowshunt/flowshunt/pkg/underlay"
)

// settled is how long after a doubt the datapath's flows may still be old: OVS
// revalidates all of them at least every 500 ms (max-revalidator, vswitch.xml), and
// that takes time.
const settled = 2 * time.Second

// JudgeConfig is whom a Judge asks.
type JudgeConfig struct {
	Datapath Datapath
	Tracer   Tracer
	Underlay Underlay // nil: nothing that leaves in a tunnel has a path
	// Aside is the metadata of packets that no rule of ours matches. OVS is asked about
	// such packets where rules are flows (Port.AsFlows).
	Aside uint64
}

// Underlay says how the host sends to an address; *underlay.Table does.
type Underlay interface {
	To(netip.Addr) (underlay.Route, error)
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
	underlay  Underlay
	ports     atomic.Pointer[Ports]
	doubted   atomic.Int64 // flows.Instant of the last doubt
}

// NewJudge returns a judge that knows no port yet.
func NewJudge(cfg JudgeConfig) *Judge {
	j := &Judge{
		numbers:   numbers{datapath: cfg.Datapath},
		megaflows: megaflows{datapath: cfg.Datapath},
		chains:    chains{tracer: cfg.Tracer, aside: cfg.Aside, known: make(map[chainKey][]chain)},
		underlay:  cfg.Underlay,
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
	goes := Forwarding{Out: out.ID, Leaves: path.Leaves, Hops: path.Hops, Tuple: path.Tuple, Stands: standsOf(q.States, path.States), Plain: plain}
	return goes, j.wrap(&goes, out)
}

// wrap completes the outer header of what leaves in a tunnel: OVS leaves the source to the
// kernel's routing, unless options:local_ip says it, and a rule must know it.
func (j *Judge) wrap(goes *Forwarding, out *Port) error {
	switch {
	case goes.Leaves.Tunnel.IsZero() != !out.IsTunnel():
		return refuse(flows.UnsupportedTunnel, "OVS sends packets to %s with the tunnel %v", out.Name, goes.Leaves.Tunnel.Value())
	case goes.Leaves.Tunnel.IsZero():
		return nil
	case j.underlay == nil:
		return refuse(flows.UnsupportedTunnel, "by %s", out.Name)
	}
	tunnel := goes.Leaves.Tunnel.Value()
	route, err := j.underlay.To(tunnel.Dst)
	if err != nil {
		return refuse(flows.UnsupportedTunnel, "by %s: %v", out.Name, err)
	}
	if !tunnel.Src.IsValid() {
		tunnel.Src = route.Source
	}
	goes.Leaves.Tunnel, goes.Underlay = flows.RefTo(tunnel), route.MTU
	return nil
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
	if errors.Is(err, megaflow.ErrDiffer) { // unless they changed while they were read
		actual, err = j.megaflows.compose(ctx, q, number, now, now)
	}
	switch {
	case errors.Is(err, megaflow.ErrDiffer):
		return refuse(flows.PathUnknown, "the flows of the datapath: %v", err)
	case errors.Is(err, megaflow.ErrUnknown), errors.Is(err, megaflow.ErrAnyTTL): // of few hops OVS was asked
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
	for _, answer := range []error{megaflow.ErrUnknown, ofproto.ErrBridge, ofproto.ErrQuery, ofproto.ErrStages, ofproto.ErrFailed, ofproto.ErrFormat} {
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
	if q.In.MTU > 0 {
		c.MaxFrame = q.In.MTU + ethernetLen
	}
	return c
}

func standsOf(states []flows.ZoneState, indexes []int) (stands []flows.Stand) {
	for _, i := range indexes {
		stands = append(stands, states[i].Stand())
	}
	return stands
}
