package ofproto

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

// maxCalls bounds the calls for one answer of Follow, and maxTries how often it starts
// anew because OVS has forgotten where it was.
const (
	maxCalls = 12
	maxTries = 3
)

// errForgotten means that OVS does not know a recirculation id any more. It knows those
// of a trace for at least 250 ms (recirc_run in ofproto/ofproto-dpif-rid.c), and longer
// where flows of the datapath have them.
var errForgotten = errors.New("OVS has forgotten the recirculation")

// Follow asks what OVS would do now with an established packet of a connection, whose
// entries may differ from zone to zone, and may translate. q says how the packet comes in;
// its Tuple is that of conn, and Reply, Original, Mark and Labels are ignored. The stages
// are those that the packet of this connection takes, relaxed (see megaflow.Flow.Relax);
// where it comes to no end that a rule can carry, they are all that OVS told.
//
// A trace goes on behind conntrack with the packet as it was, and with one mark. Where
// that is not what the entry says, OVS is asked again, about a packet that is recirculated
// there, as the datapath would ask. Without the datapath's port it cannot be.
//
// Where stages were relaxed, OVS is asked once more, with another TTL and another ECN. If
// it does something else then, the error is a *megaflow.Refusal.
func (t *Tracer) Follow(ctx context.Context, q Query, conn megaflow.Connection) (*Trace, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	q.guess(conn)
	f, err := t.follow(ctx, q, conn)
	if err == nil && errors.Is(f.undecided, megaflow.ErrAnyTTL) && t.anyTTL(ctx, q, conn) {
		q.alike = true
		f, err = t.follow(ctx, q, conn)
	}
	switch {
	case err != nil:
		return nil, err
	case f.undecided != nil && f.groups(): // whatever it does then
		return nil, &megaflow.Refusal{Reason: flows.UnsupportedGroup, Detail: f.undecided.Error()}
	case f.undecided != nil || !f.relaxed:
		return f.trace(), nil
	}
	q.other = true
	again, err := t.follow(ctx, q, conn)
	switch {
	case err != nil:
		return nil, err
	case again.undecided != nil || !again.path.Equal(f.path):
		return nil, &megaflow.Refusal{Reason: flows.UnsupportedRouted, Detail: "what OVS does depends on the TTL or on ECN"}
	}
	return f.trace(), nil
}

// anyTTL reports whether OVS does with a packet that has its last hop left, or all of them,
// what it does with others, although it looks: OVN's port security asks for the TTL of some
// ICMPv6, and OVS then matches it in all packets of IPv6.
func (t *Tracer) anyTTL(ctx context.Context, q Query, conn megaflow.Connection) bool {
	q.alike = true
	f, err := t.follow(ctx, q, conn)
	if err != nil || f.undecided != nil {
		return false
	}
	for _, ttl := range []uint8{1, 255} {
		q.exact = ttl
		other, err := t.follow(ctx, q, conn)
		if err != nil || other.undecided != nil || !other.path.Equal(f.path) {
			return false
		}
	}
	return true
}

// guess fills in what one trace can be told of conntrack.
func (q *Query) guess(conn megaflow.Connection) {
	q.Tuple, q.Original, q.Mark, q.Labels, q.Reply = conn.Tuple, flows.Tuple{}, 0, [16]byte{}, false
	for _, s := range conn.States {
		if dir, _, ok := s.Translate(conn.Tuple); ok {
			q.Original, q.Mark, q.Labels, q.Reply = s.Tuple, s.Mark, megaflow.Labels(s.Labels), dir == flows.Reply
			return
		}
	}
}

func (t *Tracer) follow(ctx context.Context, q Query, conn megaflow.Connection) (f *follower, err error) {
	for range maxTries {
		f = &follower{ctx: ctx, tracer: t, query: q, stages: make(map[*megaflow.Flow]*stage)}
		if err = f.follow(conn); !errors.Is(err, errForgotten) {
			break
		}
	}
	return f, err
}

// follower is a megaflow.Source that asks OVS for what it does not know.
type follower struct {
	ctx    context.Context
	tracer *Tracer
	query  Query
	failed error // of OVS

	tables  []*megaflow.Table // of each answer, the last one first
	calls   int
	stages  map[*megaflow.Flow]*stage
	known   []*stage
	used    []*stage // in the order of the way
	relaxed bool     // one of them was

	path      megaflow.Path
	undecided error // why there is none
}

// follow asks for all stages that the packet takes.
func (f *follower) follow(conn megaflow.Connection) error {
	in := f.query.InPort
	if d := f.query.Datapath; d != nil {
		in = d.Port
	}
	if f.ask(nil); f.failed != nil {
		return f.failed
	}
	p := megaflow.NewPacket(in, f.query.Frame, conn.Tuple)
	if f.query.exact != 0 {
		p.SetUint(megaflow.IPTTL, uint64(f.query.exact))
	}
	f.path, f.undecided = megaflow.Compose(f, p, conn)
	return f.failed
}

// trace returns the stages that the packet takes; all that are known where that is not.
func (f *follower) trace() *Trace {
	taken := f.used
	if f.undecided != nil {
		taken = f.known
	}
	var stages []stage
	for _, s := range taken {
		stages = append(stages, *s)
	}
	trace := traceOf(stages)
	trace.Plain = trace.Plain && f.path.Tuple == f.query.Tuple
	return trace
}

// groups reports whether OpenFlow groups took part on the way, as far as it is known.
func (f *follower) groups() bool {
	return slices.ContainsFunc(f.used, func(s *stage) bool { return s.groups })
}

// Lookup implements megaflow.Source.
func (f *follower) Lookup(p *megaflow.Packet) (*megaflow.Flow, error) {
	flow, err := f.find(p)
	if errors.Is(err, megaflow.ErrUnknown) && p.Key.Uint(megaflow.RecircID) != 0 && f.query.Datapath != nil {
		if f.ask(p); f.failed != nil {
			return nil, f.failed
		}
		flow, err = f.find(p)
	}
	if s := f.stages[flow]; err == nil && !slices.Contains(f.used, s) {
		f.used = append(f.used, s)
		f.relaxed = f.relaxed || s.relaxed
	}
	return flow, err
}

// find looks into the answers. What OVS said last is the best.
func (f *follower) find(p *megaflow.Packet) (flow *megaflow.Flow, err error) {
	var last error
	for _, table := range f.tables {
		if flow, err = table.Lookup(p); err == nil {
			return flow, nil
		}
		last = cmp.Or(last, err)
	}
	return nil, last
}

// ask asks OVS about a packet, as it comes in or where it is recirculated.
func (f *follower) ask(from *megaflow.Packet) {
	q := f.query
	q.from = from
	stages, err := f.tracer.stages(f.ctx, &q)
	if f.calls++; f.calls > maxCalls {
		err = ErrStages
	}
	if err != nil {
		f.failed = err
		return
	}
	all := make([]megaflow.Flow, len(stages))
	for i := range stages {
		stages[i].relaxed = stages[i].flow.Relax()
		if q.alike {
			stages[i].flow.AnyTTL = false
		}
		all[i] = stages[i].flow
		f.stages[&all[i]] = &stages[i]
		f.known = append(f.known, &stages[i])
	}
	f.tables = slices.Insert(f.tables, 0, megaflow.NewTable(all))
}

// stages asks OVS once. What is wrong with a stage that may be asked for by itself is
// seen then, if it is asked for at all.
func (t *Tracer) stages(ctx context.Context, q *Query) ([]stage, error) {
	args, err := q.args()
	if err != nil {
		return nil, err
	}
	text, err := t.call(ctx, q, args)
	if err != nil {
		return nil, err
	}
	q.ours = t.Ours
	stages, err := parseStages(q, text, q.Datapath == nil)
	if err != nil {
		return nil, fmt.Errorf("trace in %s: %w", q.Bridge, err)
	}
	return stages, nil
}
