package agent

import (
	"maps"
	"slices"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb"
	"github.com/flowshunt/flowshunt/pkg/control"
	"github.com/flowshunt/flowshunt/pkg/eswitch/flower"
	"github.com/flowshunt/flowshunt/pkg/link"
	"github.com/flowshunt/flowshunt/pkg/path"
	"github.com/flowshunt/flowshunt/pkg/representor"
)

// hardware is what is known of the place of a port in a NIC.
type hardware struct {
	representor representor.Representor // zero: it is none
	tc          link.Offload            // hw-tc-offload
	eswitch     flows.EswitchID         // that executes rules for what comes in; empty: none does
}

// hardwareOf returns the place of a network device. Where the kernel does not tell
// whether the driver offloads tc, it is tried.
func hardwareOf(reps *representor.Set, index int32, dev link.State, mode flower.Mode) hardware {
	h := hardware{tc: dev.TC}
	h.representor, _ = reps.Get(index)
	if mode != flower.SkipHW && (dev.TC.IsOn() || dev.TC == link.Unknown) {
		h.eswitch = h.representor.Eswitch
	}
	return h
}

// hardwareOf returns the place of a port: of a tunnel's device that of the underlay, or
// where that is no port of an eswitch itself, of the only eswitch that there is; of a bond
// that of its members, if it is the same.
func (p *ports) hardwareOf(reps *representor.Set, row *ovsdb.Port, port *path.Port, links map[int32]link.State) hardware {
	members := []int32{port.Ifindex}
	switch {
	case port.IsTunnel():
		members = underlays(row, links)
	case links[port.Ifindex].Kind == "bond":
		members = masteredBy(port.Ifindex, links)
	}
	var h hardware
	for i, index := range members {
		one := hardwareOf(reps, index, links[index], p.cfg.Hardware)
		switch {
		case i == 0:
			h = one
		case one.eswitch != h.eswitch:
			h.eswitch = ""
		}
	}
	if port.IsTunnel() && h.eswitch == "" && p.cfg.Hardware != flower.SkipHW {
		h.eswitch = onlyEswitch(reps)
	}
	return h
}

// onlyEswitch returns the one eswitch of the host, empty where there are more or none.
func onlyEswitch(reps *representor.Set) (only flows.EswitchID) {
	for _, r := range reps.All() {
		if only != "" && r.Eswitch != only {
			return ""
		}
		only = r.Eswitch
	}
	return only
}

// show tells an operator.
func (h *hardware) show(p *control.Port) {
	p.Eswitch, p.Function, p.Device = h.eswitch, h.representor.String(), h.representor.Device
	p.VFDevice = representor.Sysfs("").VFNetdev(h.representor)
	if p.Ifindex != 0 {
		p.HWTCOffload = h.tc.String()
	}
}

// eswitches returns the eswitches that have ports of ours.
func (t *portTable) eswitches() map[flows.EswitchID]bool {
	ids := make(map[flows.EswitchID]bool)
	for i := range t.list {
		if id := t.list[i].hardware.eswitch; id != "" {
			ids[id] = true
		}
	}
	return ids
}

// refused returns the devices of the ports that have a reason.
func (t *portTable) refused(reason flows.Reason) (links []int32) {
	for i := range t.list {
		if t.list[i].reason == reason {
			links = append(links, t.list[i].Ifindex)
		}
	}
	slices.Sort(links)
	return links
}

// masteredBy returns the devices that make up another one.
func masteredBy(index int32, links map[int32]link.State) (members []int32) {
	for _, i := range slices.Sorted(maps.Keys(links)) {
		if links[i].Master == index {
			members = append(members, i)
		}
	}
	return members
}
