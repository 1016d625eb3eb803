package agent

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/devlink"
	"github.com/flowshunt/flowshunt/pkg/link"
	"github.com/flowshunt/flowshunt/pkg/representor"
)

// testResets is a node with a NIC of two PFs that are an eswitch each, and one whose
// device is not known.
func testResets() *resets {
	table := &portTable{}
	for _, id := range []flows.EswitchID{"a1", "b1", "c1", ""} {
		table.list = append(table.list, portStatus{hardware: hardware{eswitch: id}})
	}
	r := &resets{loop: newLoop(newClock(), nil, nil), now: func() *portTable { return table },
		health: newComponent("devlink", silent), log: silent}
	at := func(name string) link.Parent { return link.Parent{Bus: "pci", Name: name} }
	r.learn(representor.Find(map[int32]link.State{
		1: {SwitchID: "a1", PortName: "pf0vf0", Parent: at("0000:03:00.0")}, 2: {SwitchID: "a1", PortName: "p0", Parent: at("0000:03:00.0")},
		3: {SwitchID: "b1", PortName: "pf1vf0", Parent: at("0000:03:00.1")}, 4: {SwitchID: "c1"},
	}, devlink.Snapshot{}, "/nonexistent"))
	return r
}

// told returns the eswitches that the engine was told of since it was asked last.
func (r *resets) told() (ids []flows.EswitchID) {
	for _, m := range r.loop.inbox.take() {
		ids = append(ids, m.event.(engine.EswitchReset).Eswitch)
	}
	return ids
}

// toldWithin returns what the engine is told of when a while has passed.
func (r *resets) toldWithin(d time.Duration) []flows.EswitchID {
	time.Sleep(d)
	synctest.Wait()
	ids := r.told()
	slices.Sort(ids)
	return ids
}

func (r *resets) want(t *testing.T, when string, within time.Duration, ids ...flows.EswitchID) {
	t.Helper()
	if got := r.toldWithin(within); !slices.Equal(got, ids) {
		t.Errorf("%s: told %v, want %v", when, got, ids)
	}
}

func TestResetOfDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := testResets()
		defer r.close()
		r.heard(devlink.Reset{Device: "pci/0000:03:00.1", Cause: "fw"})
		r.want(t, "one PF", gatherResets, "b1")
		r.learn(representor.Find(nil, devlink.Snapshot{}, ""))
		r.heard(devlink.Reset{Device: "pci/0000:03:00.0", Reload: true, Cause: "reload"})
		r.want(t, "reload, and its ports are gone", gatherResets, "a1")
		if r.health.get().LastError != "reload" {
			t.Error("nobody is told why")
		}
	})
}

func TestResetOfUnknownDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := testResets()
		defer r.close()
		r.heard(devlink.Reset{Device: "pci/0000:03:00.5", Reload: true, Cause: "a VF went to its guest"})
		r.want(t, "a VF comes and goes", time.Minute)
		r.heard(devlink.Reset{Cause: "notifications were lost"})
		r.want(t, "any", gatherResets, "a1", "b1", "c1")
		r.now = func() *portTable { return nil }
		r.heard(devlink.Reset{Cause: "notifications were lost"})
		r.want(t, "before anything is known", time.Minute)
	})
}

// Trouble that does not end is told ever less often, and not forgotten.
func TestResetsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := testResets()
		defer r.close()
		fw := devlink.Reset{Device: "pci/0000:03:00.0", Cause: "fw"}
		r.heard(fw)
		r.heard(fw)
		r.want(t, "error and recovery at once", gatherResets, "a1")
		r.want(t, "after that", minResetPause)
		r.heard(fw)
		r.want(t, "again", minResetPause, "a1")
		n := 0
		for range 600 {
			r.heard(fw)
			n += len(r.toldWithin(100 * time.Millisecond))
		}
		if n < 6 || n > 20 {
			t.Errorf("%d resets in a minute of trouble", n)
		}
		r.want(t, "the last one", maxResetPause, "a1")
		time.Sleep(20 * maxResetPause)
		r.heard(fw)
		r.want(t, "after a quiet time", gatherResets, "a1")
		r.heard(fw)
		r.want(t, "which makes the pause short again", minResetPause, "a1")
		r.heard(fw)
		r.close()
		r.want(t, "when closed", maxResetPause)
	})
}
