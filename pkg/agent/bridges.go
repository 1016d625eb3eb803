package agent

import (
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb"
)

// bridgeFacts is what must be known of a bridge to watch it.
type bridgeFacts struct {
	name     string
	datapath string                  // "system" or "netdev"
	ageing   time.Duration           // mac-aging-time
	ports    []flows.PortID          // whose packets may come through it; shared, not to be changed
	byPort   map[uint32]flows.PortID // of network devices, by OpenFlow port number
}

// bridgesOf returns the bridges on the datapaths of the kernel and of ovs-vswitchd. Packets come to a bridge
// from its own ports, and from those of other bridges where patch ports join them.
func bridgesOf(s *ovsdb.Snapshot, list []portStatus) []bridgeFacts {
	patched := make(map[string]bool)
	for _, p := range list {
		if p.Type == "patch" {
			patched[p.Bridge] = true
		}
	}
	var joined []flows.PortID // of all bridges with patch ports
	own := make(map[string][]flows.PortID)
	byPort := make(map[string]map[uint32]flows.PortID)
	for _, p := range list {
		own[p.Bridge] = append(own[p.Bridge], p.ID)
		if patched[p.Bridge] {
			joined = append(joined, p.ID)
		}
		if byPort[p.Bridge] == nil {
			byPort[p.Bridge] = make(map[uint32]flows.PortID)
		}
		if p.Type != "patch" && p.Ofport != 0 {
			byPort[p.Bridge][p.Ofport] = p.ID
		}
	}
	var facts []bridgeFacts
	for i := range s.Bridges {
		b := &s.Bridges[i]
		if b.DatapathType != "system" && b.DatapathType != userspace {
			continue
		}
		f := bridgeFacts{name: b.Name, datapath: b.DatapathType, ageing: b.MACAging, ports: own[b.Name], byPort: byPort[b.Name]}
		if patched[b.Name] {
			f.ports = joined
		}
		facts = append(facts, f)
	}
	return facts
}
