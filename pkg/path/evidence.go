package path

import (
	"fmt"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// side is a believable observation at a port that still exists, and what OVS does
// with such packets.
type side struct {
	port *Port
	Observation
	tuple flows.Tuple // by which the packets are addressed there

	goes    Forwarding
	refusal *Refusal // instead of goes
}

func (s side) String() string {
	if s.Tags.Len() == 0 && s.Tunnel.IsZero() {
		return fmt.Sprintf("%s (%s to %s)", s.port.Name, s.SrcMAC, s.DstMAC)
	}
	return fmt.Sprintf("%s (%s)", s.port.Name, s.Frame)
}

// mayAnswer reports whether what comes in at the other side can be the answer to
// packets of s, as far as is known: those leave where it comes in, and addressed so that
// it is their reverse.
func (s side) mayAnswer(other side, ports *Ports) bool {
	if s.refusal != nil {
		return s.refusal.Reason != flows.PathDropped
	}
	out := ports.byID[s.goes.Out]
	return out != nil && out.joined(other.port) && s.goes.Tuple == other.tuple.Reverse()
}

// question asks what OVS does with such packets.
func (s side) question(dir flows.Dir, states []flows.ZoneState) Question {
	return Question{In: s.port, Frame: s.Frame, Tuple: s.tuple, Dir: dir, States: states}
}

// path returns the path of such packets.
func (s side) path() flows.Path {
	var tuple flows.Tuple
	if s.goes.Tuple != s.tuple {
		tuple = s.goes.Tuple
	}
	return flows.Path{In: s.port.ID, Out: s.goes.Out, Frame: s.Frame, Change: flows.ChangeTo(s.Frame, s.goes.Leaves, s.goes.Hops, tuple)}
}

// oneEach leaves one of those that are the same but for the member of a bond at which
// they were seen: the last, for a bond may have changed over since.
func oneEach(sides []side) (all []side) {
	for _, s := range sides {
		i := slices.IndexFunc(all, func(o side) bool { return o.port.joined(s.port) && o.Frame == s.Frame && o.tuple == s.tuple })
		switch {
		case i < 0:
			all = append(all, s)
		case all[i].Last < s.Last:
			all[i] = s
		}
	}
	return all
}

// vlanOf returns the VLAN that a packet with these tags is in at a port.
func vlanOf(p *Port, tags flows.Tags) uint16 {
	if tags[0].ID != 0 {
		return tags[0].ID
	}
	return p.Tag
}

// believe returns the observations that may be true, and why the last of the
// others is not. What a port sends with a MAC that OVS's database attaches to
// another port, or not to this one, is forged or none of our business. A wire
// carries the packets of stations that are attached elsewhere.
func believe(ports *Ports, wires *wires, tuple flows.Tuple, seen []Observation) (sides []side, disbelief string) {
	for _, o := range seen {
		p := ports.byID[o.Port]
		if p == nil || wires.isInspector(p) { // its packets have come in elsewhere
			continue
		}
		owner := ports.owner(p, vlanOf(p, o.Tags), o.SrcMAC)
		switch {
		case !o.SrcMAC.IsUnicast() || !o.DstMAC.IsUnicast():
			disbelief = fmt.Sprintf("; not believed: %s sent from %s to %s", p.Name, o.SrcMAC, o.DstMAC)
		case !p.AttachedMAC.IsZero() && p.AttachedMAC != o.SrcMAC:
			disbelief = fmt.Sprintf("; not believed: %s sent from %s, its attached-mac is %s", p.Name, o.SrcMAC, p.AttachedMAC)
		case p.AttachedMAC.IsZero() && owner != nil && !wires.isEnd(p):
			disbelief = fmt.Sprintf("; not believed: %s sent from %s, the attached-mac of %s", p.Name, o.SrcMAC, owner.Name)
		default:
			sides = append(sides, side{port: p, Observation: o, tuple: tuple})
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
