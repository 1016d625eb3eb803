package ovn

import (
	"github.com/flowshunt/flowshunt/ovsdb/client"
	"github.com/flowshunt/flowshunt/ovsdb/ovnsb"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// apply notes changes, in their order, and returns what is to be told of them.
func (s *southbound) apply(changes client.Batch) secgroup.News {
	counted := false
	for _, c := range changes {
		counted = s.change(c)
	}
	s.flush()
	news := secgroup.News{Update: s.ledger.take(), Label: s.labels > 0, Revision: uint64(max(s.nbCfg, 0))}
	// northd writes a state and its number at once, or the number later. ovn-controller may
	// have reported the number that was there before.
	if !counted && news.Update != nil {
		news.Revision++
	}
	return news
}

// change notes one change. Counted says that what was noted until now belongs to the present
// number of SB_Global, which is the last table of a transaction.
func (s *southbound) change(c client.Change) (counted bool) {
	switch c.Table {
	case ovnsb.ChassisTable:
		s.onChassis(c.UUID, client.Row[ovnsb.Chassis](c.Old), client.Row[ovnsb.Chassis](c.New))
	case ovnsb.DatapathBindingTable:
		s.onDatapathBinding(c.UUID, client.Row[ovnsb.DatapathBinding](c.Old), client.Row[ovnsb.DatapathBinding](c.New))
	case ovnsb.LogicalDPGroupTable:
		s.onLogicalDPGroup(c.UUID, client.Row[ovnsb.LogicalDPGroup](c.Old), client.Row[ovnsb.LogicalDPGroup](c.New))
	case ovnsb.PortBindingTable:
		s.onPortBinding(c.UUID, client.Row[ovnsb.PortBinding](c.Old), client.Row[ovnsb.PortBinding](c.New))
	case ovnsb.PortGroupTable:
		s.onPortGroup(c.UUID, client.Row[ovnsb.PortGroup](c.Old), client.Row[ovnsb.PortGroup](c.New))
	case ovnsb.AddressSetTable:
		s.onAddressSet(c.UUID, client.Row[ovnsb.AddressSet](c.Old), client.Row[ovnsb.AddressSet](c.New))
	case ovnsb.LogicalFlowTable:
		s.onLogicalFlow(c.UUID, client.Row[ovnsb.LogicalFlow](c.Old), client.Row[ovnsb.LogicalFlow](c.New))
	case ovnsb.SBGlobalTable:
		old, now := client.Row[ovnsb.SBGlobal](c.Old), client.Row[ovnsb.SBGlobal](c.New)
		s.onSBGlobal(c.UUID, old, now)
		return old != nil && now != nil && old.NbCfg != now.NbCfg
	}
	return false
}

// snapshot returns everything, as the first news of a connection.
func (s *southbound) snapshot(rows client.Batch) secgroup.News {
	news := s.apply(rows)
	news.Update = s.ledger.all()
	news.Revision = uint64(max(s.nbCfg, 0)) + 1
	return news
}
