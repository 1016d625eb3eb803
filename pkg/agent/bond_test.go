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

// bonded has a machine at 7, a bond of OVS's of 8 and 9, and one of the kernel's, 20, of
// 21 and 22.
func bonded() *portTable {
	list := []portStatus{status(1, 7, ""), status(2, 8, ""), status(3, 9, ""), status(4, 20, "")}
	for i := range list {
		list[i].Bridge = "br0"
	}
	list[1].Bond, list[2].Bond = "bond0", "bond0"
	list[3].members = []int32{21, 22}
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
		{4, []int32{21, 22}, 20, false},
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

// What has not a rule at each member is none of its sessions.
func TestFoundOnBond(t *testing.T) {
	tuple := flows.Tuple{Proto: flows.UDP, SrcPort: 1}
	rules := []flows.Rule{
		{Dir: flows.Orig, In: 7, Out: 20, Tuple: tuple},
		{Dir: flows.Reply, In: 21, Out: 7, Tuple: tuple.Reverse()},
		{Dir: flows.Reply, In: 22, Out: 7, Tuple: tuple.Reverse()},
	}
	for n, want := range map[int]flows.PortID{3: 4, 2: 0} {
		found := foundSessions([]eswitch.Adopted{{Session: flows.Session{ID: 5, Rules: rules[:n]}}}, bonded())
		if got := found[0].Paths; got[flows.Orig].In != 1 || got[flows.Orig].Out != 4 || got[flows.Reply].In != want {
			t.Errorf("%d rules: %+v", n, got)
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
	if m := membersOf(20, links); !slices.Equal(m, []int32{21, 22}) {
		t.Errorf("members of a bond: %v", m)
	}
	if m := membersOf(7, links); !slices.Equal(m, []int32{7}) {
		t.Errorf("members of a device: %v", m)
	}
	if p := (path.Port{Type: got[0].Type}); !p.IsTunnel() {
		t.Error("a tunnel's device is none")
	}
}
