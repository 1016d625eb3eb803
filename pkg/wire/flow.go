package wire

import (
	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/openflow"
)

// Priority is that of the flows of wires, and two above it: above what pipelines use by habit,
// below the rules that are flows (pkg/eswitch/openflow).
const Priority = 61000

const (
	others = Priority // what has no connections
	probes = Priority + 1
	// tracked stands above probes, which are never IP: so that OVS does not look at the source of
	// what has connections, and whoever sends from many has it make no flow of the datapath for each.
	tracked = Priority + 2
)

// table is where packets come in.
const table = 0

// receiver is the id by which probes are handed over (openflow.Receiver).
const receiver = 0xf105

// plan is a wire as it shall be in a bridge. It is comparable.
type plan struct {
	name       string
	state      State
	zones      [2]flows.Zone
	ports      [2]uint32 // OpenFlow ports; 0: it is missing
	inspectors [2]uint32 // likewise, or there is none
	probed     bool      // probes pass the inspector
	// foreign says that the bridge has an owner: what it has of the wire stays as it is.
	foreign bool
}

// flows returns all flows of the wire.
func (p *plan) flows() []openflow.FlowMod {
	list := p.probeFlows(nil)
	for e := range 2 {
		near, far, inspector := p.ports[e], p.ports[1-e], p.inspectors[e]
		switch p.state {
		case Inspected:
			list = p.join(list, near, inspector, p.zones[e])
			list = p.join(list, inspector, near, p.zones[e])
		case Through, Open:
			list = p.join(list, near, far, p.zones[0])
			list = p.drop(list, inspector)
		default:
			list = p.drop(p.drop(list, near), inspector)
		}
	}
	return list
}

// join takes what comes in at one port to another, and has connections tracked on the way.
func (p *plan) join(list []openflow.FlowMod, in, out uint32, zone flows.Zone) []openflow.FlowMod {
	to := openflow.Action{Kind: openflow.Output, Port: out}
	track := openflow.Action{Kind: openflow.Track, Zone: uint16(zone), Commit: true}
	for _, family := range []uint16{openflow.IPv4, openflow.IPv6} {
		list = append(list, p.flow(tracked, openflow.Match{InPort: in, EthType: family}, track, to))
	}
	return append(list, p.flow(others, openflow.Match{InPort: in}, to))
}

func (p *plan) drop(list []openflow.FlowMod, in uint32) []openflow.FlowMod {
	if in == 0 {
		return list
	}
	return append(list, p.flow(others, openflow.Match{InPort: in}))
}

// probeFlows hands over what comes out of the inspector and has the source of a probe: also
// those that came back by the port where they left, and those of other nodes, which are not
// counted. At the ends what somebody else sends from such an address goes nowhere.
func (p *plan) probeFlows(list []openflow.FlowMod) []openflow.FlowMod {
	if !p.probed {
		return list
	}
	for e := range 2 {
		match := openflow.Match{SrcMAC: probeSource, SrcMask: probeMask}
		if match.InPort = p.inspectors[e]; match.InPort != 0 {
			list = append(list, p.flow(probes, match, openflow.Action{Kind: openflow.Punt, Receiver: receiver}))
		}
		if match.InPort = p.ports[e]; match.InPort != 0 {
			list = append(list, p.flow(probes, match))
		}
	}
	return list
}

// flow returns one flow. What it says of the wire stands before what it does.
func (p *plan) flow(priority uint16, match openflow.Match, actions ...openflow.Action) openflow.FlowMod {
	note := openflow.Action{Kind: openflow.Note, Note: p.note()}
	return openflow.FlowMod{
		Command: openflow.AddFlow, Table: table, Priority: priority, Cookie: cookieOf(p.zones[0]),
		Match: match, Actions: append([]openflow.Action{note}, actions...),
	}
}
