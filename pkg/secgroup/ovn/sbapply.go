package ovn

import (
	"github.com/flowshunt/flowshunt/ovsdb/ovnsb"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// change is one row of a table that was added, changed or removed.
type change struct {
	table, uuid string
	old, now    any // nil, or a pointer of the table's row type
}

func row[T any](r any) *T {
	t, _ := r.(*T)
	return t
}

// apply notes changes, in their order, and returns what is to be told of them.
func (s *southbound) apply(changes []change) secgroup.News {
	label := s.labels > 0
	counted := false
	for _, c := range changes {
		counted = s.change(c)
	}
	s.flush()
	news := secgroup.News{Update: s.ledger.take(), Label: s.labels > 0}
	if news.Update == nil && news.Label == label {
		return news
	}
	// northd writes a state and its number at once, or the number later. ovn-controller may
	// have reported the number that was there before.
	news.Revision = uint64(max(s.nbCfg, 0))
	if !counted {
		news.Revision++
	}
	return news
}

// change notes one change. Counted says that what was noted until now belongs to the present
// number of SB_Global, which is the last table of a transaction.
func (s *southbound) change(c change) (counted bool) {
	switch c.table {
	case ovnsb.ChassisTable:
		s.onChassis(c.uuid, row[ovnsb.Chassis](c.old), row[ovnsb.Chassis](c.now))
	case ovnsb.DatapathBindingTable:
		s.onDatapathBinding(c.uuid, row[ovnsb.DatapathBinding](c.old), row[ovnsb.DatapathBinding](c.now))
	case ovnsb.LogicalDPGroupTable:
		s.onLogicalDPGroup(c.uuid, row[ovnsb.LogicalDPGroup](c.old), row[ovnsb.LogicalDPGroup](c.now))
	case ovnsb.PortBindingTable:
		s.onPortBinding(c.uuid, row[ovnsb.PortBinding](c.old), row[ovnsb.PortBinding](c.now))
	case ovnsb.PortGroupTable:
		s.onPortGroup(c.uuid, row[ovnsb.PortGroup](c.old), row[ovnsb.PortGroup](c.now))
	case ovnsb.AddressSetTable:
		s.onAddressSet(c.uuid, row[ovnsb.AddressSet](c.old), row[ovnsb.AddressSet](c.now))
	case ovnsb.LogicalFlowTable:
		s.onLogicalFlow(c.uuid, row[ovnsb.LogicalFlow](c.old), row[ovnsb.LogicalFlow](c.now))
	case ovnsb.SBGlobalTable:
		old, now := row[ovnsb.SBGlobal](c.old), row[ovnsb.SBGlobal](c.now)
		s.onSBGlobal(c.uuid, old, now)
		return old != nil && now != nil && old.NbCfg != now.NbCfg
	}
	return false
}

// snapshot returns everything, as the first news of a connection.
func (s *southbound) snapshot(rows []change) secgroup.News {
	news := s.apply(rows)
	news.Update = s.ledger.all()
	news.Revision = uint64(max(s.nbCfg, 0)) + 1
	return news
}
