package check

import (
	"context"
	"net/netip"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
)

// probeKind is a way in which packets look, or are changed, beyond the plain one.
type probeKind struct {
	name   string
	v6     bool
	tunnel string // kind of the device that the packets leave in, or come in from; empty: none
	decap  bool   // they come in from it
	alter  func(*flows.Rule)
	only   bool // the kernel cannot do it in the place of hardware
}

var (
	probeTag  = flows.Tag{Type: flows.TagCustomer, ID: 4094}
	probeSTag = flows.Tag{Type: flows.TagProvider, ID: 4094}
	probeNAT4 = [2]netip.Addr{netip.MustParseAddr("192.0.2.77"), netip.MustParseAddr("198.51.100.77")}
	probeNAT6 = [2]netip.Addr{netip.MustParseAddr("2001:db8::77"), netip.MustParseAddr("2001:db8::78")}
)

// probeKinds are in the order in which they are tried.
var probeKinds = []probeKind{
	{name: "tagged", alter: tagged(flows.Tags{probeTag}, flows.Tags{probeTag})},
	{name: "tag off", alter: tagged(flows.Tags{probeTag}, flows.Tags{})},
	{name: "tag on", alter: tagged(flows.Tags{}, flows.Tags{probeTag})},
	{name: "tagged twice", alter: tagged(flows.Tags{probeSTag, probeTag}, flows.Tags{probeSTag, probeTag})},
	{name: "tag on a tag", alter: tagged(flows.Tags{probeTag}, flows.Tags{probeSTag, probeTag})},
	{name: "routed", alter: routed},
	{name: "routed over IPv6", v6: true, alter: routed},
	{name: "NAT", alter: translated},
	{name: "NAT over IPv6", v6: true, alter: translated, only: true},
	{name: "into Geneve", tunnel: "geneve", alter: encapsulated(probeOptions)},
	{name: "out of Geneve", tunnel: "geneve", decap: true, alter: decapsulated(probeOptions)},
	{name: "into VXLAN", tunnel: "vxlan", alter: encapsulated("")},
	{name: "out of VXLAN", tunnel: "vxlan", decap: true, alter: decapsulated("")},
}

func tagged(in, out flows.Tags) func(*flows.Rule) {
	return func(r *flows.Rule) {
		r.Tags = in
		leaves := r.Frame
		leaves.Tags = out
		r.Change = flows.ChangeTo(r.Frame, leaves, 0, flows.Tuple{})
	}
}

func routed(r *flows.Rule) {
	leaves := r.Frame
	leaves.SrcMAC[5], leaves.DstMAC[5] = 3, 4
	r.Change = flows.ChangeTo(r.Frame, leaves, 1, flows.Tuple{})
}

func translated(r *flows.Rule) {
	to := r.Tuple
	to.Src, to.Dst = probeNAT4[0], probeNAT4[1]
	if r.Tuple.IsIPv6() {
		to.Src, to.Dst = probeNAT6[0], probeNAT6[1]
	}
	to.SrcPort, to.DstPort = 9, 10
	r.Change = flows.ChangeTo(r.Frame, r.Frame, 0, to)
}

// The tunnels of probes; in Geneve with an option, as OVN has it.
const (
	probeVNI     = 0xfffffe
	probeOptions = "\x01\x02\x80\x01\x00\x01\x00\x01"
)

func encapsulated(options string) func(*flows.Rule) {
	return func(r *flows.Rule) {
		leaves := r.Frame
		leaves.Tunnel = flows.RefTo(flows.Tunnel{Dst: probeAddr4[1], ID: probeVNI, Options: options, TTL: 64})
		r.Change = flows.ChangeTo(r.Frame, leaves, 0, flows.Tuple{})
	}
}

func decapsulated(options string) func(*flows.Rule) {
	return func(r *flows.Rule) {
		leaves := r.Frame
		r.Tunnel = flows.RefTo(flows.Tunnel{Src: probeAddr4[1], Dst: probeAddr4[0], ID: probeVNI, Options: options})
		r.Change = flows.ChangeTo(r.Frame, leaves, 0, flows.Tuple{})
	}
}

// kinds tries each kind of rule.
func (p *prober) kinds(ctx context.Context) (lines []Line) {
	for i, k := range probeKinds {
		if ctx.Err() != nil {
			break
		}
		lines = append(lines, p.kind(ctx, k, 20+i))
	}
	return lines
}

func (p *prober) kind(ctx context.Context, k probeKind, n int) Line {
	name := "kind " + k.name
	in, out := p.in, p.out
	if k.tunnel != "" {
		i := slices.IndexFunc(p.tunnels, func(d device) bool { return d.Kind == k.tunnel })
		if i < 0 {
			return ok(name, "not tried: there is no %s device", k.tunnel)
		}
		if in, out = p.in, p.tunnels[i]; k.decap {
			in, out = out, in
		}
	}
	changes, err := p.changesOf(ctx, k, in, out, n)
	if err == nil {
		p.add(ctx, changes)
		refs := make([]eswitch.Ref, 0, len(changes))
		for i := range changes {
			if changes[i].Err == nil {
				refs = append(refs, changes[i].Ref)
			} else if err == nil {
				err = changes[i].Err
			}
		}
		slices.Reverse(refs) // a guard goes last
		if errRemove := p.remove(ctx, refs); err == nil {
			err = errRemove
		}
	}
	return k.line(name, err)
}

// changesOf returns the rule of a kind, after the guard that it needs.
func (p *prober) changesOf(ctx context.Context, k probeKind, in, out device, n int) ([]eswitch.Change, error) {
	c := p.change(probeTuple(flows.TCP, k.v6, n), flows.Orig, n)
	c.Rule.In, c.Rule.Out = in.index, out.index
	k.alter(&c.Rule)
	class, _ := eswitch.ClassOf(c.Rule)
	c.Ref.Link, c.Ref.Class = in.index, class
	if k.decap {
		if err := p.driver.Prepare(ctx, in.index); err != nil {
			return nil, err
		}
		if err := p.sweep(ctx, in.index); err != nil {
			return nil, err
		}
	}
	guard, needed := eswitch.GuardOf(c.Rule)
	if !needed {
		return []eswitch.Change{c}, nil
	}
	ref := c.Ref
	ref.Class, ref.Handle = eswitch.ClassOfGuard(guard), ref.Handle+1
	return []eswitch.Change{{Op: eswitch.Add, Ref: ref, Rule: guard}, c}, nil
}

func (k probeKind) line(name string, err error) Line {
	switch {
	case err == nil:
		return ok(name, "taken")
	case ctxDone(err):
		return unknown(name, err)
	}
	l := warning(name, "refused: %s", words(err))
	if k.only {
		return l.why("connections that need it stay in the slow path: the kernel cannot do it instead")
	}
	return l.why("connections that need it stay in the slow path, or in the kernel with --hardware=both")
}
