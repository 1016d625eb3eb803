package agent

import (
	"fmt"
	"strings"

	"github.com/flowshunt/flowshunt/ovsdb"
)

// ownerOf returns who removes flows from a bridge that he did not make, empty for
// nobody. Measured: ovn-controller 23.03 leaves such flows until it connects to the
// bridge again, as when it is restarted, and then removes all; Neutron's agent removes
// all whose cookie it does not know when it starts. What other controllers do is not
// known, which is no better.
func ownerOf(s *ovsdb.Snapshot, bridge string) string {
	for i := range s.Bridges {
		b := &s.Bridges[i]
		if b.Name != bridge {
			continue
		}
		switch {
		case isOVN(s, b):
			return "ovn-controller removes flows that it did not make from " + bridge
		case b.Controllers > 0:
			return fmt.Sprintf("%s has an OpenFlow controller, which may remove flows that it did not make", bridge)
		case isNeutron(s, bridge):
			return "Neutron's agent removes flows that it did not make from " + bridge
		}
	}
	return ""
}

func isOVN(s *ovsdb.Snapshot, b *ovsdb.Bridge) bool {
	_, started := b.ExternalIDs["ovn-startup-ts"]
	return started || len(b.Zones) > 0 || s.Switch.OVNRemote != "" && b.Name == s.Switch.OVNBridge
}

// isNeutron recognizes the bridges of Neutron's agent by its ports: those of instances,
// and the patch ports between its bridges.
func isNeutron(s *ovsdb.Snapshot, bridge string) bool {
	for i := range s.Ports {
		p := &s.Ports[i]
		if p.Bridge != bridge {
			continue
		}
		if p.IfaceID != "" {
			return true
		}
		if p.Type == "patch" && (p.Name == "patch-int" || p.Name == "patch-tun" || strings.HasPrefix(p.Name, "phy-br") || strings.HasPrefix(p.Name, "int-br")) {
			return true
		}
	}
	return false
}
