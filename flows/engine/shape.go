package engine

import "github.com/flowshunt/flowshunt/flows"

// shape is what packets of a path have around them, or get changed, other than being
// forwarded. The zero value is nothing.
type shape uint8

const (
	hasTags  shape = 1 << iota // come in, or go out, with a VLAN tag
	inTunnel                   // or in a tunnel
	isRouted                   // go out with other MACs, or fewer hops left
	hasNAT                     // are addressed otherwise then
)

var shapeNames = [...]string{"tagged", "tunnelled", "routed", "translated"}

// String returns ", routed, translated", say; empty for nothing.
func (s shape) String() (list string) {
	for i, name := range shapeNames {
		if s&(1<<i) != 0 {
			list += ", " + name
		}
	}
	return list
}

// shapeOf returns that of both directions together.
func shapeOf(paths flows.Paths) (s shape) {
	for _, p := range paths {
		out := p.Leaves()
		for _, f := range [...]flows.Frame{p.Frame, out} {
			if f.Tags.Len() > 0 {
				s |= hasTags
			}
			if !f.Tunnel.IsZero() {
				s |= inTunnel
			}
		}
		change := p.Change.Value()
		if change.Hops > 0 || out.SrcMAC != p.SrcMAC || out.DstMAC != p.DstMAC {
			s |= isRouted
		}
		if change.Tuple != (flows.Tuple{}) {
			s |= hasNAT
		}
	}
	return s
}
