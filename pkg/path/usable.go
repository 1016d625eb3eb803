package path

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
)

// Selection is the set of ports that may be offloaded, by name or glob
// (path.Match), beside those with Port.Chosen. The zero value selects none.
type Selection struct{ globs []string }

// ParseSelection reads a comma-separated list of names and globs; "all" is "*", and
// "none" is none.
func ParseSelection(s string) (Selection, error) {
	var sel Selection
	for glob := range strings.SplitSeq(s, ",") {
		glob = strings.TrimSpace(glob)
		if glob == "" || glob == "none" {
			continue
		}
		if _, err := path.Match(glob, ""); err != nil {
			return Selection{}, fmt.Errorf("port selection %q: %w", glob, err)
		}
		if glob == "all" {
			glob = "*"
		}
		sel.globs = append(sel.globs, glob)
	}
	return sel, nil
}

// Has reports whether a port of this name is selected.
func (s Selection) Has(name string) bool {
	return slices.ContainsFunc(s.globs, func(glob string) bool {
		ok, err := path.Match(glob, name)
		return ok && err == nil
	})
}

// tunnelTypes are those of tunnels that no rule enters or leaves.
var tunnelTypes = []string{
	"bareudp", "erspan", "gre", "gtpu", "ip6erspan", "ip6gre", "lisp", "srv6", "stt",
}

// Usable returns why packets may not be taken past OVS at p, "" if they may. It
// is asked before a session is made and whenever p or its device changes.
func Usable(p Port, selected Selection) flows.Reason {
	switch {
	case p.Type == "internal":
		return flows.UnsupportedInternal
	case p.Type == "patch":
		return flows.UnsupportedPatch
	case slices.Contains(tunnelTypes, p.Type):
		return flows.UnsupportedTunnel
	case p.Type != "" && p.Type != "system" && !p.IsTunnel():
		return flows.UnsupportedPortType
	case p.Datapath != "" && p.Datapath != "system" && p.Datapath != "netdev":
		return flows.UnsupportedDatapath
	case p.Bond != "" && p.BondMode != "active-backup": // the others move connections without a word
		return flows.UnsupportedBond
	case p.Optout:
		return flows.PortOff
	case !p.Chosen && !selected.Has(p.Name):
		return flows.PortUnchosen
	case p.ID == 0 || p.Ifindex <= 0 || p.Ofport == 0:
		return flows.PortGone
	case p.NotInHW:
		return flows.PortNotInHW
	case p.Owner != "":
		return flows.BridgeOwned
	case !p.Up:
		return flows.PortDown
	case p.Closed:
		return flows.InspectorDown
	case p.QoS:
		return flows.PortQoS
	case p.Mirrored:
		return flows.PortMirrored
	default:
		return ""
	}
}
