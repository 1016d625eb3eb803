package agent

import (
	"slices"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/control"
	"github.com/flowshunt/flowshunt/pkg/eswitch/flower"
	"github.com/flowshunt/flowshunt/pkg/link"
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
