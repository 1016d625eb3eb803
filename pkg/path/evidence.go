package path

import (
	"fmt"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/tap"
)

// side is a believable observation at a port that still exists, and what OVS does
// with such packets.
type side struct {
	port *Port
	Observation

	goes    Forwarding
	refusal *Refusal // instead of goes
}

func (s side) String() string {
	return fmt.Sprintf("%s (%s to %s)", s.port.Name, s.SrcMAC, s.DstMAC)
}

// mayReach reports whether packets of s can leave by a port, as far as is known.
func (s side) mayReach(p *Port) bool {
	if s.refusal != nil {
		return s.refusal.Reason != flows.PathDropped
	}
	return s.goes.Out == p.ID
}

// vlanOf returns the VLAN that a packet with this tag is in at a port.
func vlanOf(p *Port, tag tap.VLAN) uint16 {
	if tag.Tagged() && tag.ID() != 0 {
		return tag.ID()
	}
	return p.Tag
}

// believe returns the observations that may be true, and why the last of the
// others is not. What a port sends with a MAC that OVS's database attaches to
// another port, or not to this one, is forged or none of our business. A wire
// carries the packets of stations that are attached elsewhere.
func believe(ports *Ports, wires []Wire, seen []Observation) (sides []side, disbelief string) {
	for _, o := range seen {
		p := ports.byID[o.Port]
		if p == nil {
			continue
		}
		owner := ports.owner(p, vlanOf(p, o.VLAN), o.SrcMAC)
		switch {
		case !o.SrcMAC.IsUnicast() || !o.DstMAC.IsUnicast():
			disbelief = fmt.Sprintf("; not believed: %s sent from %s to %s", p.Name, o.SrcMAC, o.DstMAC)
		case !p.AttachedMAC.IsZero() && p.AttachedMAC != o.SrcMAC:
			disbelief = fmt.Sprintf("; not believed: %s sent from %s, its attached-mac is %s", p.Name, o.SrcMAC, p.AttachedMAC)
		case p.AttachedMAC.IsZero() && owner != nil && !anyWire(wires, p, p):
			disbelief = fmt.Sprintf("; not believed: %s sent from %s, the attached-mac of %s", p.Name, o.SrcMAC, owner.Name)
		default:
			sides = append(sides, side{port: p, Observation: o})
		}
	}
	return sides, disbelief
}

// maxSides is how many observations of one direction are weighed at most; in an
// honest network there are one or two.
const maxSides = 8

// evidence is what is known about one connection.
type evidence struct {
	sides     [2][]side // by Dir
	disbelief string
}

func (e *evidence) complete() bool { return e.seen() == [2]bool{true, true} }

// seen returns, by Dir, whether there is any.
func (e *evidence) seen() [2]bool { return [2]bool{len(e.sides[0]) > 0, len(e.sides[1]) > 0} }

// bridge returns the bridge that all observations are at, "" if there are none
// or several.
func (e *evidence) bridge() string {
	bridge := ""
	for _, sides := range e.sides {
		for _, s := range sides {
			if bridge != "" && bridge != s.port.Bridge {
				return ""
			}
			bridge = s.port.Bridge
		}
	}
	return bridge
}
