package agent

import (
	"errors"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb"
)

// openflowEswitch begins the names of bridges that are eswitches.
const openflowEswitch = "openflow/"

// Places of the drivers in the eswitch.
const (
	inTC = iota
	inOpenFlow
)

// errFlowerless says that everything has to be looked at again.
var errFlowerless = errors.New("the kernel has no cls_flower")

// chooseExecutor says what executes the rules of a port: the bridge on the userspace
// datapath, and where the kernel has no cls_flower; else tc.
func (p *ports) chooseExecutor(s *ovsdb.Snapshot, status *portStatus) {
	if p.assign == nil || status.Datapath != userspace && !p.flowerless {
		return
	}
	status.AsFlows, status.Owner = true, ownerOf(s, status.Bridge)
	status.hardware.eswitch = flows.EswitchID(openflowEswitch + status.Bridge)
}

// hasUserspace reports whether there is a bridge on the userspace datapath, to which
// other_config:hw-offload means that OVS offloads our flows.
func hasUserspace(s *ovsdb.Snapshot) bool {
	for i := range s.Bridges {
		if s.Bridges[i].DatapathType == userspace {
			return true
		}
	}
	return false
}
