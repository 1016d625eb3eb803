package agent

import (
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/path"
)

type changed bool

func (c changed) Changed() bool { return bool(c) }

type forgetter struct{ n int }

func (f *forgetter) Doubt(flows.Instant) { f.n++ }

// Routes that are others are a doubt where there is a tunnel.
func TestUnderlayDoubts(t *testing.T) {
	tunnel := status(4, 9, "")
	tunnel.Type = "geneve"
	for _, test := range []struct {
		name    string
		routes  changed
		ports   []portStatus
		doubted int
	}{
		{"a route is another", true, []portStatus{status(1, 7, ""), tunnel}, 1},
		{"none is", false, []portStatus{status(1, 7, ""), tunnel}, 0},
		{"nothing goes through tunnels", true, []portStatus{status(1, 7, "")}, 0},
	} {
		judge := &forgetter{}
		ports := &ports{}
		ports.now.Store(&portTable{list: test.ports, byID: map[flows.PortID]portStatus{}})
		u := &underlayDoubts{routes: test.routes, ports: ports, doubts: newDoubts(judge, testLoop(), time.Second)}
		u.look()
		u.doubts.close()
		if judge.n != test.doubted {
			t.Errorf("%s: %d doubts, want %d", test.name, judge.n, test.doubted)
		}
	}
	if p := (path.Port{Type: "gre"}); p.IsTunnel() {
		t.Error("GRE is a tunnel that rules can enter")
	}
}
