package ovsdb

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/flowshunt/flowshunt/ovsdb/vswitchd"
)

// maxRows bounds each table of the replica.
const maxRows = 1 << 18

// replica holds the monitored columns of the monitored tables. It is filled
// anew for every connection.
type replica struct {
	switches   table[vswitchd.OpenvSwitch]
	bridges    table[vswitchd.Bridge]
	ports      table[vswitchd.Port]
	interfaces table[vswitchd.Interface]
	mirrors    table[vswitchd.Mirror]
	qos        table[vswitchd.QoS]
	samplers   table[vswitchd.FlowSampleCollectorSet]
}

func newReplica() *replica {
	return &replica{
		switches:   newTable[vswitchd.OpenvSwitch](),
		bridges:    newTable[vswitchd.Bridge](),
		ports:      newTable[vswitchd.Port](),
		interfaces: newTable[vswitchd.Interface](),
		mirrors:    newTable[vswitchd.Mirror](),
		qos:        newTable[vswitchd.QoS](),
		samplers:   newTable[vswitchd.FlowSampleCollectorSet](),
	}
}

// rowSet is a table of any row type.
type rowSet interface {
	put(uuid string, row map[string]json.RawMessage) error
	remove(uuid string)
}

func (r *replica) table(name string) rowSet {
	switch name {
	case vswitchd.OpenvSwitchTable:
		return &r.switches
	case vswitchd.BridgeTable:
		return &r.bridges
	case vswitchd.PortTable:
		return &r.ports
	case vswitchd.InterfaceTable:
		return &r.interfaces
	case vswitchd.MirrorTable:
		return &r.mirrors
	case vswitchd.QoSTable:
		return &r.qos
	case vswitchd.FlowSampleCollectorSetTable:
		return &r.samplers
	}
	return nil
}

// tableUpdates is the table-updates of RFC 7047, section 4.1.6: by table and
// row uuid. A row without "new" was deleted; else "new" is the whole row.
type tableUpdates map[string]map[string]struct {
	New map[string]json.RawMessage `json:"new"`
}

// apply carries out one transaction. After an error the replica is of no use.
func (r *replica) apply(updates tableUpdates) error {
	for name, rows := range updates {
		t := r.table(name)
		if t == nil {
			return fmt.Errorf("%w: table %.64q was not asked for", ErrProtocol, name)
		}
		for uuid, row := range rows {
			if row.New == nil {
				t.remove(uuid)
			} else if err := t.put(uuid, row.New); err != nil {
				return fmt.Errorf("table %s, row %.64s: %w", name, uuid, err)
			}
		}
	}
	return nil
}

// table holds the rows of one type by uuid. A row that was stored is never
// changed, so what a snapshot takes from it stays as it is.
type table[T any] struct {
	rows   map[string]*T
	fields map[string]int
}

func newTable[T any]() table[T] {
	return table[T]{rows: map[string]*T{}, fields: columns[T]()}
}

func (t *table[T]) put(uuid string, row map[string]json.RawMessage) error {
	if len(t.rows) >= maxRows {
		return fmt.Errorf("%w: more than %d rows", ErrProtocol, maxRows)
	}
	into := new(T)
	if err := decodeRow(row, t.fields, reflect.ValueOf(into).Elem()); err != nil {
		return err
	}
	t.rows[uuid] = into
	return nil
}

func (t *table[T]) remove(uuid string) { delete(t.rows, uuid) }
