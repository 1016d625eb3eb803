package ofproto

import (
	"context"
	"fmt"
	"strings"

	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

// Caller calls a method of ovs-vswitchd, as unixctl.Client does.
type Caller interface {
	Call(ctx context.Context, method string, args ...string) (string, error)
}

// Tracer asks OVS. It keeps no state: traces may be concurrent where the Caller's
// calls may; OVS answers them one after the other.
type Tracer struct {
	Caller Caller
	// Ours reports whether a flow with this cookie is a rule made of what OVS said before. A
	// packet that meets one is refused: OVS would confirm what we asked it for. nil: none is.
	Ours func(cookie uint64) bool
}

// Trace is what OVS does with a packet.
type Trace struct {
	// Stages are the flows that the packet would make, the first one for the packet
	// as it comes in, each of the others behind a Recirc of an earlier one. The first one
	// holds for the port, which is an OpenFlow port where the datapath's was not given,
	// for the tags and for the tunnel that were asked about. They hold for packets like
	// the one asked about; counters are 0.
	Stages []megaflow.Flow
	// Plain says that no OpenFlow action on the way changed what later tables see of
	// the port, the addresses or the protocol: a flow in any table that does not match
	// the packet as it came in did not match it. Registers, marks, tunnel fields, TOS
	// and TTL do not count. False where that is not certain.
	Plain bool
	// Groups says that an OpenFlow group took part, whose changes nobody announces.
	Groups bool
}

// Trace asks once what OVS would do with a packet now. Where no rule could do the same
// whatever the path is, the error is a *megaflow.Refusal. Where the packet is translated
// on its way, what comes then is about one that is not: see Follow.
func (t *Tracer) Trace(ctx context.Context, q Query) (*Trace, error) {
	args, err := q.args()
	if err != nil {
		return nil, err
	}
	text, err := t.call(ctx, &q, args)
	if err != nil {
		return nil, err
	}
	q.ours = t.Ours
	trace, err := parse(&q, text)
	if err != nil {
		return nil, fmt.Errorf("trace in %s: %w", q.Bridge, err)
	}
	return trace, nil
}

func (t *Tracer) call(ctx context.Context, q *Query, args []string) (string, error) {
	text, err := t.Caller.Call(ctx, "ofproto/trace", args...)
	switch {
	case err == nil:
		return text, nil
	case q.from != nil && strings.Contains(err.Error(), "no recirculation data for recirc_id"):
		err = errForgotten
	case isUnknown(q, err):
		err = fmt.Errorf("%w: %w", ErrBridge, err)
	}
	return "", fmt.Errorf("trace in %s: %w", q.Bridge, err)
}

// isUnknown reports whether OVS refused for want of the bridge, the port or the
// datapath. Its refusals differ in their text alone.
func isUnknown(q *Query, err error) bool {
	text := err.Error()
	return strings.HasSuffix(text, q.Bridge+": unknown bridge") ||
		strings.HasSuffix(text, "Cannot find the datapath") ||
		q.Datapath != nil && strings.HasSuffix(text, fmt.Sprintf("no OpenFlow port for datapath port %d", q.Datapath.Port))
}
