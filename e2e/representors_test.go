package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// placed is what flowshuntctl show tells of a port's place in a NIC.
type placed struct {
	Name     string `json:"name"`
	Ifindex  int32  `json:"ifindex"`
	Usable   bool   `json:"usable"`
	Reason   string `json:"reason"`
	Detail   string `json:"detail"`
	Eswitch  string `json:"eswitch"`
	Function string `json:"function"`
	Device   string `json:"device"`
	HWTC     string `json:"hw_tc_offload"`
}

// placeOf waits until a port is as wanted.
func placeOf(w *harness.World, port, what string, good func(p placed) bool) placed {
	w.T.Helper()
	var found placed
	harness.Within(w.T, patience, fmt.Sprintf("%s is %s", port, what), func() error {
		var doc struct{ Ports []placed }
		out := ctl(w, "show", "--format=json")
		if err := json.Unmarshal([]byte(out), &doc); err != nil {
			return fmt.Errorf("%w in %s", err, out)
		}
		found = placed{Name: "no such port"}
		for _, p := range doc.Ports {
			if p.Name == port {
				found = p
			}
		}
		if found.Name != port || !good(found) {
			return fmt.Errorf("%+v", found)
		}
		return nil
	})
	return found
}

// represents waits until a port stands for a function.
func represents(w *harness.World, port, function string, nic *harness.Eswsim) placed {
	w.T.Helper()
	p := placeOf(w, port, function, func(p placed) bool { return p.Function == function && p.Eswitch != "" })
	if p.HWTC != "on" || p.Device != "eswsim/"+nic.Name {
		w.T.Errorf("%+v", p)
	}
	return p
}

// notInHW waits until a port is refused, with advice.
func notInHW(w *harness.World, port, advice string) {
	w.T.Helper()
	p := placeOf(w, port, "refused", func(p placed) bool { return p.Reason == "port-not-in-hw" })
	if p.Eswitch != "" || p.Usable || !strings.Contains(p.Detail, advice) {
		w.T.Errorf("%+v, want the advice %q", p, advice)
	}
}

// The agent knows which port stands for which function of which NIC, whatever happens
// to it, and uses those only that hardware executes rules for.
func TestRepresentorsEswsim(t *testing.T) {
	harness.OnEswsim(t)
	w := harness.SwitchedPair(t)
	// Each port that is added puts all paths in doubt; what OVS is slow to confirm is no
	// part of this.
	r, _ := startRunning(w, 48400, "--validate-within=20s")
	first := represents(w.World, w.A.Rep, "pf0vf0", w.NIC)
	if b := represents(w.World, w.B.Rep, "pf0vf1", w.NIC); b.Eswitch != first.Eswitch {
		t.Errorf("%+v and %+v are in one eswitch", first, b)
	}
	other := twoPFs(w, first.Eswitch)
	hwTCSwitched(w, other)
	renamed(w, other)
	c := offloaded(w.World, r.tuple)
	resetReported(t, w, r, c)
	c, _ = r.back(c)
	removedAndReused(t, w, r, c)
}

// twoPFs adds ports of a NIC with two PFs, which have VFs of the same numbers, and a VF
// in place of its representor.
func twoPFs(w *harness.Pair, eswitch string) *harness.Eswsim {
	n := w.NewEswsim("vfs=4 uplinks=2 pfs=2")
	for i, function := range []string{"pf0vf0", "pf1vf0", "pf0vf1", "pf1vf1"} {
		port := fmt.Sprintf("%sr%d", n.Name, i)
		w.Vsctl("add-port", "br0", port)
		if p := represents(w.World, port, function, n); p.Eswitch == eswitch {
			w.T.Errorf("%s is in the eswitch of another NIC", port)
		}
	}
	for i := range 2 {
		port := fmt.Sprintf("%sp%d", n.Name, i)
		w.Vsctl("add-port", "br0", port)
		represents(w.World, port, fmt.Sprintf("uplink p%d", i), n)
	}
	vf := n.Name + "v3"
	w.Vsctl("add-port", "br0", vf)
	notInHW(w.World, vf, vf+" is no representor")
	return n
}

// hwTCSwitched switches hw-tc-offload off and on again. With rules in, the driver
// refuses that.
func hwTCSwitched(w *harness.Pair, n *harness.Eswsim) {
	port := n.Name + "r0"
	for range 2 {
		w.Run(w.T, "ethtool", "-K", port, "hw-tc-offload", "off")
		notInHW(w.World, port, "ethtool -K "+port+" hw-tc-offload on")
		mustMatch(w.T, ctl(w.World, "show", "--ports"), port+` .*pf0vf0, hw-tc-offload off`)
		w.Run(w.T, "ethtool", "-K", port, "hw-tc-offload", "on")
		represents(w.World, port, "pf0vf0", n)
	}
	rulesWithin(w.T, w.World, patience, 2)
	if out, err := w.Try("ethtool", "-K", w.A.Rep, "hw-tc-offload", "off"); err == nil {
		w.T.Errorf("hw-tc-offload was switched off under rules: %s", out)
	}
	represents(w.World, w.A.Rep, "pf0vf0", w.NIC)
	rulesWithin(w.T, w.World, 0, 2)
}

// renamed gives a representor another name, under which it is added again.
func renamed(w *harness.Pair, n *harness.Eswsim) {
	old, now := n.Name+"r1", "renamed"
	w.Vsctl("del-port", old)
	w.Run(w.T, "ip", "link", "set", old, "name", now)
	w.Vsctl("add-port", "br0", now)
	represents(w.World, now, "pf1vf0", n)
}

// resetReported has the NIC report that it was reset.
func resetReported(t *testing.T, w *harness.Pair, r *running, c connection) {
	t.Helper()
	at := time.Now()
	w.NIC.Reset(t, "report")
	out := left(t, r.agent, c, "eswitch-reset")
	t.Logf("a reset: the first session left %v after it", out.Sub(at).Round(time.Millisecond))
	harness.Within(t, patience, "the agent says what it has heard", func() error {
		if !slices.ContainsFunc(r.agent.Log(), func(l harness.LogLine) bool {
			return strings.Contains(l.Attrs["cause"], "health reporter fw of eswsim/"+w.NIC.Name)
		}) {
			return errors.New("nothing of the reporter")
		}
		return nil
	})
	mustMatch(t, ctl(w.World, "show"), `devlink +ok .*health reporter fw of eswsim/`+w.NIC.Name)
}

// removedAndReused removes the devices of the NIC under a session. They come again with
// other ifindexes, and another device gets the one of a representor.
func removedAndReused(t *testing.T, w *harness.Pair, r *running, c connection) {
	t.Helper()
	before := placeOf(w.World, w.A.Rep, "there", func(p placed) bool { return p.Usable })
	at := time.Now()
	w.NIC.Reset(t, "devices")
	c.leaves(t, r.agent)
	t.Logf("devices removed: out after %v", time.Since(at).Round(time.Millisecond))
	rulesWithin(t, w.World, patience, 0)
	w.Run(t, "ip", "link", "set", w.A.Rep, "up")
	after := placeOf(w.World, w.A.Rep, "another device", func(p placed) bool {
		return p.Ifindex != 0 && p.Ifindex != before.Ifindex && p.Function == "pf0vf0"
	})
	if after.Eswitch != before.Eswitch {
		t.Errorf("was %+v, is %+v", before, after)
	}
	w.Run(t, "ip", "link", "add", "reused", "index", fmt.Sprint(before.Ifindex), "type", "veth", "peer", "name", "reused-far")
	t.Cleanup(func() {
		w.Vsctl("--if-exists", "del-port", "reused")
		w.Run(t, "ip", "link", "del", "reused")
	})
	w.Vsctl("add-port", "br0", "reused")
	notInHW(w.World, "reused", "reused is no representor but a veth")
	if p := placeOf(w.World, "reused", "at the ifindex", func(p placed) bool { return p.Ifindex == before.Ifindex }); p.Function != "" {
		t.Errorf("%+v was taken for %+v", p, before)
	}
}
