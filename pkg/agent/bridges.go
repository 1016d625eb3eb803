package agent

import (
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb"
)

// bridgeFacts is what must be known of a bridge to watch it.
type bridgeFacts struct {
	name   string
	ageing time.Duration           // mac-aging-time
	ports  []flows.PortID          // whose packets may come through it
	byPort map[uint32]flows.PortID // of network devices, by OpenFlow port number
}

// bridgesOf returns the bridges on the kernel's datapath. Packets come to a bridge
// from its own ports, and from those of other bridges where patch ports join them.
func bridgesOf(s *ovsdb.Snapshot, list []portStatus) []bridgeFacts {
	patched := make(map[string]bool)
	for _, p := range list {
		if p.Type == "patch" {
			patched[p.Bridge] = true
		}
	}
	var facts []bridgeFacts
	for i := range s.Bridges {
		b := &s.Bridges[i]
		if b.DatapathType != "system" {
			continue
		}
		f := bridgeFacts{name: b.Name, ageing: b.MACAging, byPort: make(map[uint32]flows.PortID)}
		for _, p := range list {
			if p.Bridge == b.Name || patched[p.Bridge] && patched[b.Name] {
				f.ports = append(f.ports, p.ID)
			}
			if p.Bridge == b.Name && p.Type != "patch" && p.Ofport != 0 {
				f.byPort[p.Ofport] = p.ID
			}
		}
		facts = append(facts, f)
	}
	return facts
}
