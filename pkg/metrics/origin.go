package metrics

import (
	"strings"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
)

// origin is where a removal began.
type origin uint8

const (
	fromInside origin = iota // the agent's own decision: nothing outside has changed
	fromPath                 // what OVS would do with the packets
	fromPorts                // a port, or its device
	fromConntrack
	fromEswitch // somebody else has deleted rules
	fromMode    // OVS or an operator has taken the table
	fromGroups  // what security groups permit, or where a port is bound
)

var originNames = [...]string{"inside", "path", "ports", "conntrack", "eswitch", "mode", "security-groups"}

// originOf tells it by the cause of a removal.
func originOf(cause flows.Reason) origin {
	switch cause {
	case flows.OVSHWOffload, flows.OVSDBLost, flows.ModeSwitched:
		return fromMode
	case flows.RulesGone, flows.NotInHW, flows.EswitchReset:
		return fromEswitch
	case flows.NotEstablished, flows.OneWay, flows.NotAssured, flows.Closing, flows.Related, flows.Helper,
		flows.SeqAdjusted, flows.Invalid, flows.Midstream, flows.Blocked, flows.KernelOffload, flows.NoCounters,
		flows.Gone, flows.MarkNever, flows.InspectorHolds:
		return fromConntrack
	case flows.SGUnknown, flows.SGDenied, flows.SGStateless, flows.PortUnbound, flows.PortMigrating:
		return fromGroups
	case flows.InspectorDown:
		return fromPorts
	case flows.ZoneUnknown, flows.InspectorUnseen:
		return fromPath
	}
	switch {
	case strings.HasPrefix(string(cause), "port-"):
		return fromPorts
	case strings.HasPrefix(string(cause), "path-"):
		return fromPath
	}
	return fromInside
}

// origins says when the earliest news of each kind came that one step was told: not
// later than what made it remove a session. 0: there were none.
type origins [len(originNames)]flows.Instant

func (o *origins) earliest(from origin, at flows.Instant) {
	if o[from] == 0 || at < o[from] {
		o[from] = at
	}
}

// note keeps when the outside was as an event says: for what was read, when the read
// began.
func (o *origins) note(at flows.Instant, ev engine.Event) {
	switch ev := ev.(type) {
	case engine.PathsDoubted:
		o.earliest(fromPath, at)
	case engine.PermissionsChanged:
		if ev.At != 0 {
			o.earliest(fromGroups, ev.At)
		}
	case engine.PortsChanged:
		o.earliest(fromPorts, at)
		o.earliest(fromGroups, at) // a port can be another logical one now, or not ready
	case engine.ModeChanged:
		o.earliest(fromMode, at)
	case engine.RulesVanished:
		o.earliest(fromEswitch, at)
	case engine.EntriesGone:
		o.earliest(fromConntrack, at)
	case engine.EntriesRead:
		o.earliest(fromConntrack, ev.At)
	case engine.SessionRead:
		o.earliest(fromConntrack, ev.At)
	}
}
