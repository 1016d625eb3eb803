package agent

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/ovsdb"
	"github.com/flowshunt/flowshunt/pkg/path"
)

func TestRowDoubts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told, d := newTold()
		defer d.close()
		r := rowDoubts{doubts: d}
		bridges := []bridgeFacts{{name: "br0", ports: []flows.PortID{1, 2}}, {name: "br1", ports: []flows.PortID{3}}}
		snapshot := func(applied int, change func(*ovsdb.Snapshot)) {
			s := &ovsdb.Snapshot{Connected: true, Switch: ovsdb.Switch{Applied: applied},
				Bridges: []ovsdb.Bridge{{Name: "br0"}, {Name: "br1"}},
				Ports:   []ovsdb.Port{{ID: 1, Name: "p1", Bridge: "br0"}, {ID: 3, Name: "p3", Bridge: "br1"}}}
			if change != nil {
				change(s)
			}
			r.compare(s, bridges)
		}
		want := func(when string, after time.Duration, ports ...flows.PortID) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			var got []flows.PortID
			for _, ev := range told.doubts() {
				got = mergePorts(got, ev.Ports)
			}
			if slices.Sort(got); !slices.Equal(got, ports) {
				t.Errorf("%s: doubts about %v, want %v", when, got, ports)
			}
		}
		snapshot(1, nil)
		want("at first", 0)
		snapshot(2, nil)
		want("something was applied", gatherFor)
		tag := func(s *ovsdb.Snapshot) { s.Ports[0].VLAN.Tag = 7 }
		snapshot(2, tag)
		want("a port's tag", gatherFor, 1, 2)
		snapshot(3, tag)
		want("it is applied", gatherFor, 1, 2)
		want("a moment later", 4*time.Second, 1, 2)
		want("long after", time.Minute)
		secure := func(s *ovsdb.Snapshot) { tag(s); s.Bridges[1].FailMode = "secure" }
		snapshot(3, secure)
		want("a bridge", gatherFor, 3)
		want("and again", 4*time.Second, 3)
		snapshot(3, func(s *ovsdb.Snapshot) { secure(s); s.Bridges[0].DatapathID = "00005a0c00c8ac4e" })
		snapshot(3, secure)
		want("what a restarted database has forgotten", time.Second)
		snapshot(3, func(s *ovsdb.Snapshot) { secure(s); s.Connected = false })
		want("the database is away", time.Second)
	})
}

func TestBridgesOf(t *testing.T) {
	port := func(id flows.PortID, bridge, kind string, number uint32) portStatus {
		return portStatus{Port: path.Port{ID: id, Bridge: bridge, Type: kind, Ofport: number}}
	}
	s := &ovsdb.Snapshot{Bridges: []ovsdb.Bridge{
		{Name: "br-ex", DatapathType: "system"}, {Name: "br-int", DatapathType: "system", MACAging: time.Minute},
		{Name: "br-lone", DatapathType: "system"}, {Name: "br-user", DatapathType: "netdev"}, {Name: "br-other", DatapathType: "other"}}}
	list := []portStatus{port(1, "br-int", "system", 5), port(2, "br-int", "patch", 6), port(3, "br-ex", "patch", 5),
		port(4, "br-ex", "", 7), port(5, "br-lone", "system", 5), port(6, "br-user", "dpdk", 5), port(7, "br-lone", "system", 0)}
	want := map[string][]flows.PortID{"br-ex": {1, 2, 3, 4}, "br-int": {1, 2, 3, 4}, "br-lone": {5, 7}, "br-user": {6}}
	got := bridgesOf(s, list)
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for _, b := range got {
		if !slices.Equal(b.ports, want[b.name]) {
			t.Errorf("%s: ports %v, want %v", b.name, b.ports, want[b.name])
		}
	}
	if b := got[1]; b.ageing != time.Minute || len(b.byPort) != 1 || b.byPort[5] != 1 {
		t.Errorf("%+v", b)
	}
}

// What a restarted database has forgotten is no doubt; what a bridge does is.
func TestForgottenIsNoDoubt(t *testing.T) {
	l := newLoop(newClock(), engine.New(engine.DefaultConfig()), nil)
	d := newDoubts(&patch{}, l, time.Minute)
	defer d.close()
	r := rowDoubts{doubts: d}
	bridges := []bridgeFacts{{name: "br0", ports: []flows.PortID{1}}}
	was := ovsdb.Bridge{Name: "br0", DatapathID: "00005a0c00c8ac4e"}
	forgot := was
	forgot.DatapathID = ""
	opened := forgot
	opened.FailMode = "standalone"
	for i, b := range []ovsdb.Bridge{was, forgot, was, forgot, opened} {
		r.compare(&ovsdb.Snapshot{Connected: true, Bridges: []ovsdb.Bridge{b}}, bridges)
		want := uint64(0)
		if i == 4 {
			want = 1
		}
		if n := d.counts()["ovsdb"]; n != want {
			t.Errorf("snapshot %d: %d doubts, want %d", i, n, want)
		}
	}
}

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
