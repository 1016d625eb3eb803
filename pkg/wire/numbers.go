package wire

import (
	"fmt"
	"maps"

	"github.com/flowshunt/flowshunt/pkg/openflow"
)

// numbers are the OpenFlow ports of a bridge, by name as far as the bridge tells it.
type numbers map[string]openflow.Port

// nameLen is how much of a name OpenFlow has room for.
const nameLen = 15

func numbersOf(list []openflow.Port) numbers {
	ports := make(numbers, len(list))
	for _, p := range list {
		if _, twice := ports[p.Name]; twice {
			p.Number = 0 // two long names that begin alike: it could be either
		}
		ports[p.Name] = p
	}
	return ports
}

func (n numbers) of(name string) openflow.Port { return n[name[:min(len(name), nameLen)]] }

// without returns the ports without some, whose names begin like those of others.
func (n numbers) without(names []string) numbers {
	if len(names) == 0 {
		return n
	}
	n = maps.Clone(n)
	for _, name := range names {
		delete(n, name[:nameLen])
	}
	return n
}

// missing says which of some ports are not there; empty: all are.
func (n numbers) missing(bridge string, names [2]string) string {
	for _, name := range names {
		if n.of(name).Number == 0 {
			return fmt.Sprintf("%s has no port %s", bridge, name)
		}
	}
	return ""
}

// unlinked says which of some ports has no link; empty: all have.
func (n numbers) unlinked(bridge string, names [2]string) string {
	if text := n.missing(bridge, names); text != "" {
		return text
	}
	for _, name := range names {
		switch p := n.of(name); {
		case p.Config&openflow.PortDown != 0:
			return name + " is down"
		case p.State&openflow.PortLinkDown != 0:
			return name + " has no link"
		}
	}
	return ""
}
