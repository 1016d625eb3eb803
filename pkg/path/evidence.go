package path

import (
	"fmt"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/tap"
)

// side is a believable observation at a port that still exists.
type side struct {
	port *Port
	Observation
}

func (s side) String() string {
	return fmt.Sprintf("%s (%s to %s)", s.port.Name, s.SrcMAC, s.DstMAC)
}

// pair is one explanation of a connection: one observation of each direction.
type pair struct {
	sides [2]side // by Dir
	wire  bool
}

func (p pair) String() string { return p.sides[0].String() + " and " + p.sides[1].String() }

func (p pair) ports() (a, b *Port) { return p.sides[0].port, p.sides[1].port }

// mirrored reports whether each side sends to the MAC that the other sends from.
func (p pair) mirrored() bool {
	o, r := p.sides[0], p.sides[1]
	return o.SrcMAC == r.DstMAC && o.DstMAC == r.SrcMAC
}

// touching reports whether one side sends to the MAC that the other sends from.
func (p pair) touching() bool {
	o, r := p.sides[0], p.sides[1]
	return o.SrcMAC == r.DstMAC || o.DstMAC == r.SrcMAC
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
			sides = append(sides, side{p, o})
		}
	}
	return sides, disbelief
}

// maxSides is how many observations of one direction are weighed at most; in an
// honest network there are one or two.
const maxSides = 32

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

// explanations returns the pairs of observations that can be one connection,
// and, when there are none, why.
//
// A port that plays both ends explains nothing while there is another pair:
// anybody can send both directions of any tuple. Two observations whose MACs
// have nothing in common may be the two ends of a routed connection, unless each
// of them already belongs to another pair; then they are two connections.
func (e *evidence) explanations(wires []Wire) ([]pair, *Refusal) {
	var onWire, direct, routed, hairpin []pair
	explained := [2][]bool{make([]bool, len(e.sides[0])), make([]bool, len(e.sides[1]))}
	touching := false
	e.pairs(func(i, j int, p pair) {
		a, b := p.ports()
		switch {
		case onWires(wires, a, b):
			p.wire = true
			onWire = append(onWire, p)
			explained[0][i], explained[1][j] = true, true
		case anyWire(wires, a, b):
		case p.mirrored() && a == b:
			hairpin = append(hairpin, p)
		case p.mirrored():
			direct = append(direct, p)
			explained[0][i], explained[1][j] = true, true
		case p.touching():
			touching = true
		}
	})
	e.pairs(func(i, j int, p pair) {
		a, b := p.ports()
		if a != b && !p.touching() && !explained[0][i] && !explained[1][j] && !anyWire(wires, a, b) {
			routed = append(routed, p)
		}
	})
	found := append(append(preferMirrored(onWire), direct...), routed...)
	switch {
	case len(found) > 0:
		return found, nil
	case len(hairpin) > 0:
		return hairpin, nil
	case touching:
		return nil, missing(flows.PathUnknown, "the packets seen so far do not answer each other%s", e.disbelief)
	default:
		return nil, missing(flows.PathUnknown, "the packets seen so far do not belong together%s", e.disbelief)
	}
}

func (e *evidence) pairs(yield func(i, j int, p pair)) {
	for i, o := range e.sides[flows.Orig] {
		for j, r := range e.sides[flows.Reply] {
			yield(i, j, pair{sides: [2]side{o, r}})
		}
	}
}

// preferMirrored returns the mirrored pairs, if there are any: a wire may have
// routers at its ends and then MACs that differ, but an answer to the very
// sender is the better explanation.
func preferMirrored(pairs []pair) []pair {
	var mirrored []pair
	for _, p := range pairs {
		if p.mirrored() {
			mirrored = append(mirrored, p)
		}
	}
	if len(mirrored) > 0 {
		return mirrored
	}
	return pairs
}
