package agent

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb"
	"github.com/flowshunt/flowshunt/pkg/path"
)

// threeBridges are br1 with port 1, br2 with port 2, and one in the middle that patch
// ports join to both.
func threeBridges() (*ovsdb.Snapshot, []portStatus) {
	s := &ovsdb.Snapshot{Connected: true}
	for _, name := range []string{"br1", "br2", "middle"} {
		s.Bridges = append(s.Bridges, ovsdb.Bridge{Name: name, DatapathType: "system"})
	}
	var list []portStatus
	for i, p := range []path.Port{
		{Bridge: "br1", Name: "p1"}, {Bridge: "br2", Name: "p2"},
		{Bridge: "br1", Name: "to-middle", Type: "patch"}, {Bridge: "br2", Name: "to-middle2", Type: "patch"},
		{Bridge: "middle", Name: "to1", Type: "patch"}, {Bridge: "middle", Name: "to2", Type: "patch"},
	} {
		p.ID = flows.PortID(i + 1)
		list = append(list, portStatus{Port: p})
		s.Ports = append(s.Ports, ovsdb.Port{ID: p.ID, Name: p.Name, Bridge: p.Bridge, Type: p.Type})
	}
	return s, list
}

func TestRowDoubtsOfABridgeInTheMiddle(t *testing.T) {
	tests := []struct {
		name   string
		change func(*ovsdb.Snapshot)
	}{
		{"removed", func(s *ovsdb.Snapshot) { s.Bridges, s.Ports = s.Bridges[:2], s.Ports[:4] }},
		{"not joined any more", func(s *ovsdb.Snapshot) { s.Ports = s.Ports[:4] }},
		{"changed", func(s *ovsdb.Snapshot) { s.Bridges[2].FailMode = "secure" }},
	}
	for _, test := range tests {
		synctest.Test(t, func(t *testing.T) {
			d, told := newTestDoubts(t)
			rows := rowDoubts{doubts: d}
			before, list := threeBridges()
			rows.compare(before, bridgesOf(before, list))
			after, list := threeBridges()
			test.change(after)
			rows.compare(after, bridgesOf(after, list[:len(after.Ports)]))
			got := told()
			if len(got) == 0 || !slices.Contains(got[0].Ports, 1) || !slices.Contains(got[0].Ports, 2) {
				t.Errorf("middle %s: told %+v", test.name, got)
			}
		})
	}
}
