package path

import (
	"context"
	"errors"

	"github.com/flowshunt/flowshunt/flows"
)

// detour is a Forwarder that follows packets through the inspector of a wire: OVS sends
// them there, and takes them back at another port. Whether the inspector lets them through,
// and as they are, OVS does not know; see Resolver.passed.
type detour struct {
	Forwarder // what OVS does
	resolver  *Resolver
}

// Forward implements Forwarder. That OVS sends packets past the inspector is an answer, too:
// without Inspected.
func (d detour) Forward(ctx context.Context, q Question, now flows.Instant) (Forwarding, error) {
	goes, err := d.Forwarder.Forward(ctx, q, now)
	if err != nil {
		return goes, err
	}
	far, end := d.behind(q.In, goes.Out)
	if far == nil {
		return goes, nil
	}
	through, err := d.through(ctx, q, &goes, far, end, now)
	if _, refused := errors.AsType[*Refusal](err); !refused {
		return through, err
	}
	// A wire can be opened between the two questions.
	if again, err := d.Forwarder.Forward(ctx, q, now); err == nil && again.Out != goes.Out {
		return again, nil
	}
	return Forwarding{}, err
}

// behind returns where the inspector puts packets that enter a port and leave by another,
// and the name of the end that they are for; nil where that is no way to an inspector.
func (d detour) behind(in *Port, out flows.PortID) (far *Port, end string) {
	ports := d.resolver.ports.Load()
	at := d.resolver.wires.Load().places[in.Name]
	to := ports.byID[out]
	if at.wire == nil || at.inspector || !at.wire.inspected() || to == nil || to.Name != at.wire.Inspectors[at.end] {
		return nil, ""
	}
	return ports.byName[at.wire.Inspectors[1-at.end]], at.wire.Ends[1-at.end]
}

// through composes what OVS does before the inspector and behind it.
func (d detour) through(ctx context.Context, q Question, before *Forwarding, far *Port, end string, now flows.Instant) (Forwarding, error) {
	if altered(q, before) {
		return Forwarding{}, refuse(flows.UnsupportedInspector, "OVS changes what enters %s on its way to the inspector", q.In.Name)
	}
	second := q
	second.In = far
	behind, err := d.Forwarder.Forward(ctx, second, now)
	if err != nil {
		return Forwarding{}, err
	}
	ports := d.resolver.ports.Load()
	switch {
	case ports.name(behind.Out) != end:
		return Forwarding{}, refuse(flows.UnsupportedInspector, "OVS sends what the inspector puts into %s to %s, not to %s", far.Name, ports.name(behind.Out), end)
	case altered(second, &behind):
		return Forwarding{}, refuse(flows.UnsupportedInspector, "OVS changes what the inspector puts into %s", far.Name)
	}
	behind.Stands = append(before.Stands[:len(before.Stands):len(before.Stands)], behind.Stands...)
	behind.Inspected = true
	behind.Plain = false // a doubt about what enters the inspector's port would not be found to be one about this
	return behind, nil
}

// altered reports whether OVS changes packets.
func altered(q Question, goes *Forwarding) bool {
	return goes.Leaves != q.Frame || goes.Tuple != q.Tuple || goes.Hops != 0
}
