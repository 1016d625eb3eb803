package ovsdb

import (
	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/ovsdb/vswitchd"
)

// replica holds the monitored columns of the monitored tables, of each the rows by uuid. It
// is filled anew for every connection.
type replica struct {
	switches   table[vswitchd.OpenvSwitch]
	bridges    table[vswitchd.Bridge]
	ports      table[vswitchd.Port]
	interfaces table[vswitchd.Interface]
	mirrors    table[vswitchd.Mirror]
	qos        table[vswitchd.QoS]
	samplers   table[vswitchd.FlowSampleCollectorSet]
	ssl        table[vswitchd.SSL]
}

func newReplica() *replica {
	return &replica{
		table[vswitchd.OpenvSwitch]{}, table[vswitchd.Bridge]{}, table[vswitchd.Port]{}, table[vswitchd.Interface]{},
		table[vswitchd.Mirror]{}, table[vswitchd.QoS]{}, table[vswitchd.FlowSampleCollectorSet]{}, table[vswitchd.SSL]{},
	}
}

// table returns the rows of any table.
func (r *replica) table(name string) interface{ apply(client.Change) } {
	switch name {
	case vswitchd.OpenvSwitchTable:
		return r.switches
	case vswitchd.BridgeTable:
		return r.bridges
	case vswitchd.PortTable:
		return r.ports
	case vswitchd.InterfaceTable:
		return r.interfaces
	case vswitchd.MirrorTable:
		return r.mirrors
	case vswitchd.QoSTable:
		return r.qos
	case vswitchd.FlowSampleCollectorSetTable:
		return r.samplers
	case vswitchd.SSLTable:
		return r.ssl
	}
	return nil
}

func (r *replica) apply(changes client.Batch) {
	for _, c := range changes {
		r.table(c.Table).apply(c)
	}
}

// table holds the rows of one type.
type table[T any] map[string]*T

func (t table[T]) apply(c client.Change) {
	if row := client.Row[T](c.New); row != nil {
		t[c.UUID] = row
	} else {
		delete(t, c.UUID)
	}
}
