package e2e

import (
	"testing"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// An elephant whose packets cross two bridges is offloaded between their ports, and a
// change on the bridge that it does not enter pulls it.
func TestPatchPorts(t *testing.T) {
	betterOnEswsim(t)
	w := harness.New(t)
	w.Bridge("br-int")
	w.Bridge("br-ex")
	for port, at := range map[string][2]string{"patch-int": {"br-int", "patch-ex"}, "patch-ex": {"br-ex", "patch-int"}} {
		w.Vsctl("add-port", at[0], port, "--", "set", "interface", port, "type=patch", "options:peer="+at[1])
	}
	p := &harness.Pair{World: w, Zone: harness.PairZone, A: w.AddVM("br-int", "vm1", harness.VMConfig{}), B: w.AddVM("br-ex", "vm2", harness.VMConfig{})}
	w.Switch("br-int", harness.Pipeline{Zone: p.Zone})
	w.Flows("br-ex", "table=0,priority=0,actions=NORMAL")
	p.A.Ping(t, p.B.IP4)
	r, c := startRunning(p, 47000)
	d := &drift{r, t, 47000, c}
	d.carried(p.A, p.B)
	there := way{p.B.Capture(t, "eth0"), "to the receiver", 47000, 9000}
	d.arriveBy(there)
	causes := map[string]int{}
	d.leaves("dropped on the other bridge", there, "path-dropped", causes, func() {
		addFlow(w, "br-ex", "table=0,priority=300,tcp,tp_src=47000,actions=drop")
	})
	delFlows(w, "br-ex")
	d.returns(p.B)
	r.arrives()
}
