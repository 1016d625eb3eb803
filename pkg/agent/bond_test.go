package agent

import (
	"slices"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/link"
	"github.com/flowshunt/flowshunt/pkg/path"
)

// bonded has a machine at 7, and a bond of 8 and 9.
func bonded() *portTable {
	list := []portStatus{status(1, 7, ""), status(2, 8, ""), status(3, 9, "")}
	for i := range list {
		list[i].Bridge = "br0"
	}
	list[1].Bond, list[2].Bond = "bond0", "bond0"
	t := &portTable{list: list, byID: make(map[flows.PortID]portStatus)}
	for _, s := range list {
		t.byID[s.ID] = s
	}
	return t
}

func TestPlaces(t *testing.T) {
	table := bonded()
	down := table.byID[3]
	for _, test := range []struct {
		id   flows.PortID
		in   []int32
		out  int32
		down bool
	}{
		{1, []int32{7}, 7, false},
		{2, []int32{8, 9}, 8, false},
		{3, []int32{9, 8}, 9, false},
		{2, []int32{8}, 8, true},
	} {
		table.byID[3] = down
		if test.down {
			s := down
			s.reason = flows.PortDown
			table.byID[3] = s
		}
		in, out, ok := table.places(test.id)
		if !ok || !slices.Equal(in, test.in) || out != test.out {
			t.Errorf("port %d: %v, %d, %t, want %v, %d", test.id, in, out, ok, test.in, test.out)
		}
	}
	if _, _, ok := table.places(9); ok {
		t.Error("a port that is not there has places")
	}
}

// What has not a rule at each member is none of its sessions; where packets leave, there
// they come in, whichever rule is found first.
func TestFoundOnBond(t *testing.T) {
	tuple := flows.Tuple{Proto: flows.UDP, SrcPort: 1}
	for _, test := range []struct {
		name string
		ins  []int32
		want flows.PortID
	}{
		{"both members", []int32{8, 9}, 3}, {"in another order", []int32{9, 8}, 3},
		{"one", []int32{9}, 0}, {"another device", []int32{9, 10}, 0},
	} {
		rules := []flows.Rule{{Dir: flows.Orig, In: 7, Out: 9, Tuple: tuple}}
		for _, in := range test.ins {
			rules = append(rules, flows.Rule{Dir: flows.Reply, In: in, Out: 7, Tuple: tuple.Reverse()})
		}
		found := foundSessions([]eswitch.Adopted{{Session: flows.Session{ID: 5, Rules: rules}}}, bonded())
		if got := found[0].Paths; got[flows.Orig].In != 1 || got[flows.Orig].Out != 3 || got[flows.Reply].In != test.want {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}

func TestDevices(t *testing.T) {
	links := map[int32]link.State{5: {Name: "genev_sys_6081"}, 6: {Name: "eth0", MTU: 1500}, 7: {Name: "p0", MTU: 1450}}
	tunnel := func(name, egress string) ovsdb.Port {
		return ovsdb.Port{ID: 1, Name: name, Type: "geneve", DatapathType: "system", Bridge: "br-int", Ifindex: 5, Tunnel: ovsdb.Tunnel{Egress: egress}}
	}
	s := &ovsdb.Snapshot{Ports: []ovsdb.Port{tunnel("ovn-a", "eth0"), {ID: 2, Name: "p0", DatapathType: "system", Ifindex: 7}, tunnel("ovn-b", "eth1")}}
	s.Ports[2].Wish = ovsdb.WishOff
	got := devices(s, links)
	if len(got) != 2 || got[0].Name != "genev_sys_6081" || got[0].Wish != ovsdb.WishOff || got[1].Name != "p0" {
		t.Fatalf("%+v", got)
	}
	if under := underlays(&got[0], links); !slices.Equal(under, []int32{6, 0}) {
		t.Errorf("underlays %v, want that of eth0 and an unknown one", under)
	}
	if id := got[0].ID; id == devices(s, map[int32]link.State{5: {Name: ""}})[0].ID {
		t.Errorf("a device that is gone has the id %d", id)
	}
	if mtuOf("geneve", links[5]) != 0 || mtuOf("", links[7]) != 1450 {
		t.Error("MTU")
	}
	links[20], links[21], links[22] = link.State{Kind: "bond"}, link.State{Master: 20}, link.State{Master: 20}
	if m := masteredBy(20, links); !slices.Equal(m, []int32{21, 22}) {
		t.Errorf("members of a bond: %v", m)
	}
	rows := []ovsdb.Port{
		{Bridge: "br0", PortName: "bond0", Ifindex: 9, Bond: ovsdb.Bond{Members: 2}},
		{Bridge: "br0", PortName: "bond0", Ifindex: 8, Bond: ovsdb.Bond{Members: 2}}, {Bridge: "br0", PortName: "p", Ifindex: 7},
	}
	if bonds := bondsOf(rows); len(bonds) != 1 || !slices.Equal(bonds[bondKey{"br0", "bond0"}], []int32{8, 9}) {
		t.Errorf("bonds of OVS: %v", bonds)
	}
	if p := (path.Port{Type: got[0].Type}); !p.IsTunnel() {
		t.Error("a tunnel's device is none")
	}
}
