package agent

import (
	"cmp"
	"slices"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb"
	"github.com/flowshunt/flowshunt/pkg/link"
	"github.com/flowshunt/flowshunt/pkg/path"
)

// tunnelDevice marks the row ids of tunnels' devices, which no row of the database has.
const tunnelDevice flows.PortID = 1 << 31

// devices returns the ports of the database, with one in place of all tunnels that share
// a device: packets come in there from each of them.
func devices(s *ovsdb.Snapshot, links map[int32]link.State) []ovsdb.Port {
	var list []ovsdb.Port
	shared := make(map[int32]int) // place in list by ifindex
	for _, p := range s.Ports {
		if !path.IsTunnel(p.Type) || p.DatapathType != "system" || links[p.Ifindex].Name == "" {
			list = append(list, p)
			continue
		}
		i, known := shared[p.Ifindex]
		if !known {
			shared[p.Ifindex] = len(list)
			p.ID, p.Name, p.PortName = tunnelDevice|flows.PortID(p.Ifindex), links[p.Ifindex].Name, links[p.Ifindex].Name
			list = append(list, p)
			continue
		}
		list[i] = merged(list[i], p)
	}
	return list
}

// merged returns what is true of a device when it is true of one of its tunnels.
func merged(all, p ovsdb.Port) ovsdb.Port {
	all.Wish = max(all.Wish, p.Wish)
	all.Problems = slices.Concat(all.Problems, p.Problems)
	all.QoS = cmp.Or(all.QoS, p.QoS)
	if p.Policing.Active() {
		all.Policing = p.Policing
	}
	if p.Mirror.Watched() {
		all.Mirror = p.Mirror
	}
	all.OFPort = cmp.Or(all.OFPort, p.OFPort)
	if p.Sampling.Active() {
		all.Sampling = p.Sampling
	}
	if !slices.Contains(strings.Split(all.Tunnel.Egress, ","), p.Tunnel.Egress) {
		all.Tunnel.Egress += "," + p.Tunnel.Egress
	}
	return all
}

// underlays returns the devices by which packets of a tunnel's device leave the host; an
// index of 0 is one that is not known.
func underlays(p *ovsdb.Port, links map[int32]link.State) (list []int32) {
	for name := range strings.SplitSeq(p.Tunnel.Egress, ",") {
		var index int32
		for i, l := range links {
			if name != "" && l.Name == name {
				index = i
			}
		}
		list = append(list, index)
	}
	return list
}

// mtuOf returns how long packets can be at a port. The devices of tunnels claim a length
// that no underlay has.
func mtuOf(typ string, dev link.State) int {
	if path.IsTunnel(typ) {
		return 0
	}
	return dev.MTU
}

// bondKey names a bond of OVS's.
type bondKey struct{ bridge, port string }

// bondsOf returns the devices of each bond of OVS's, in order. (A bond of the kernel is one
// device for tc too: packets come in there once more, ahead of OVS, while its members have
// a block of filters of OVS's own, which no qdisc of ours can stand beside.)
func bondsOf(rows []ovsdb.Port) map[bondKey][]int32 {
	bonds := make(map[bondKey][]int32)
	for i := range rows {
		if p := &rows[i]; p.Bond.Members > 1 {
			key := bondKey{p.Bridge, p.PortName}
			bonds[key] = append(bonds[key], p.Ifindex)
		}
	}
	for _, members := range bonds {
		slices.Sort(members)
	}
	return bonds
}
