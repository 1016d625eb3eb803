package path

import (
	"slices"

	"github.com/flowshunt/flowshunt/flows"
)

// pair is one explanation of a connection: one observation of each direction.
type pair struct {
	sides [2]side // by Dir
}

func (p pair) String() string { return p.sides[0].String() + " and " + p.sides[1].String() }

func (p pair) ports() (a, b *Port) { return p.sides[0].port, p.sides[1].port }

// refusal returns why it is not certain that OVS sends what enters at each port to
// the other one; nil if it is.
func (p pair) refusal() *Refusal {
	for _, s := range p.sides {
		if s.refusal != nil {
			return s.refusal
		}
	}
	return nil
}

// stands returns where the two directions are tracked, each place once.
func (p pair) stands() (stands []flows.Stand) {
	for _, s := range p.sides {
		for _, stand := range s.goes.Stands {
			if !slices.Contains(stands, stand) {
				stands = append(stands, stand)
			}
		}
	}
	return stands
}

// zones returns the zones in which the two directions are tracked, ascending.
func (p pair) zones() (zones []flows.Zone) {
	for _, stand := range p.stands() {
		zones = append(zones, stand.Zone)
	}
	slices.Sort(zones)
	return slices.Compact(zones)
}

// possible returns the pairs of observations that can be one connection: OVS sends
// the packets of each to the port of the other, as far as is known. A port that plays
// both ends explains nothing while there is another pair, since anybody can send
// both directions of any tuple; and the end of a wire reaches the other end only.
func (e *evidence) possible(wires *wires, ports *Ports) []pair {
	var found, hairpin []pair
	for _, o := range e.sides[flows.Orig] {
		for _, r := range e.sides[flows.Reply] {
			p := pair{[2]side{o, r}}
			switch {
			case !o.mayAnswer(r, ports) || !r.mayAnswer(o, ports):
			case (wires.isEnd(o.port) || wires.isEnd(r.port)) && wires.between(o.port, r.port) == nil:
			case o.port.joined(r.port):
				if refusal := p.refusal(); refusal == nil || refusal.Reason == flows.UnsupportedHairpin {
					hairpin = append(hairpin, p)
				}
			default:
				found = append(found, p)
			}
		}
	}
	if len(found) == 0 {
		return hairpin
	}
	return preferMirrored(found)
}

// preferMirrored returns, of pairs that are all between the same two ports, those in
// which each side sends to the MAC that the other sends from, if there are any: behind
// the ports may be routers and then MACs that differ, but an answer to the very sender
// is the better explanation.
func preferMirrored(pairs []pair) []pair {
	var mirrored []pair
	a, b := pairs[0].ports()
	for _, p := range pairs {
		if c, d := p.ports(); c != a || d != b {
			return pairs
		}
		if o, r := p.sides[0], p.sides[1]; o.SrcMAC == r.DstMAC && o.DstMAC == r.SrcMAC {
			mirrored = append(mirrored, p)
		}
	}
	if len(mirrored) > 0 {
		return mirrored
	}
	return pairs
}
