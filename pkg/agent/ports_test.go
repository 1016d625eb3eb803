package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/path"
)

func TestPortOf(t *testing.T) {
	plain := ovsdb.Port{Name: "p0", Bridge: "br0", DatapathType: "system", Type: "system", OFPort: 3, Ifindex: 7,
		VLAN: ovsdb.VLAN{Mode: "access"}}
	want := path.Port{Name: "p0", Bridge: "br0", Datapath: "system", Type: "system", Ofport: 3, Ifindex: 7, Up: true}
	for _, tt := range []struct {
		name string
		row  func(*ovsdb.Port)
		want func(*path.Port)
	}{
		{"plain", func(*ovsdb.Port) {}, func(*path.Port) {}},
		{"tag", func(r *ovsdb.Port) { r.VLAN.Tag, r.VLAN.HasTag = 10, true }, func(p *path.Port) { p.Tag = 10 }},
		{"trunk of all", func(r *ovsdb.Port) { r.VLAN.Mode = "trunk" }, func(*path.Port) {}},
		{"bond", func(r *ovsdb.Port) { r.Bond.Members, r.PortName = 2, "bond0" }, func(p *path.Port) { p.Bond, p.BondMode = "bond0", "active-backup" }},
		{"one member", func(r *ovsdb.Port) { r.Bond.Members = 1 }, func(*path.Port) {}},
		{"opt-out", func(r *ovsdb.Port) { r.Wish = ovsdb.WishOff }, func(p *path.Port) { p.Optout = true }},
		{"opt-in", func(r *ovsdb.Port) { r.Wish = ovsdb.WishOn }, func(p *path.Port) { p.Chosen = true }},
		{"policing", func(r *ovsdb.Port) { r.Policing.RateKbps = 1000 }, func(p *path.Port) { p.QoS = true }},
		{"QoS", func(r *ovsdb.Port) { r.QoS = "linux-htb" }, func(p *path.Port) { p.QoS = true }},
		{"mirror", func(r *ovsdb.Port) { r.Mirror.In = true }, func(p *path.Port) { p.Mirrored = true }},
		{"sFlow", func(r *ovsdb.Port) { r.Sampling.SFlow = true }, func(p *path.Port) { p.Mirrored = true }},
		{"attached MAC", func(r *ovsdb.Port) { r.AttachedMAC = flows.MAC{2} }, func(p *path.Port) { p.AttachedMAC = flows.MAC{2} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			row, want := plain, want
			tt.row(&row)
			tt.want(&want)
			if got := portOf(&row, true); got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
	if portOf(&plain, false).Up {
		t.Error("a device that is down is up")
	}
}

// fakePorts is an eswitch that prepares and releases ports.
type fakePorts struct {
	calls []string
	fails map[string]error // by call
}

func (f *fakePorts) do(what string, link int32) error {
	call := fmt.Sprint(what, " ", link)
	f.calls = append(f.calls, call)
	return f.fails[call]
}

func (f *fakePorts) PreparePort(_ context.Context, link int32) error { return f.do("prepare", link) }
func (f *fakePorts) ReleasePort(_ context.Context, link int32) error { return f.do("release", link) }

// did returns what was done since it was asked last.
func (f *fakePorts) did() []string {
	slices.Sort(f.calls)
	calls := f.calls
	f.calls = nil
	return calls
}

func status(id flows.PortID, ifindex int32, reason flows.Reason) portStatus {
	return portStatus{Port: path.Port{ID: id, Ifindex: ifindex}, reason: reason}
}

// turn does what an update does with the eswitch.
func (p *ports) turn(t *testing.T, forced flows.Reason, list ...portStatus) *portTable {
	t.Helper()
	table := &portTable{list: list, byID: make(map[flows.PortID]portStatus), forced: forced}
	p.release(t.Context(), p.prepare(t.Context(), table))
	return table
}

func testPorts(enforce bool) (*ports, *fakePorts) {
	f := &fakePorts{fails: make(map[string]error)}
	cfg := DefaultConfig()
	cfg.Engine.Enforce = enforce
	return &ports{cfg: &cfg, eswitch: f, health: newComponent("ovsdb", silent)}, f
}

func (f *fakePorts) want(t *testing.T, when string, calls ...string) {
	t.Helper()
	if got := f.did(); !slices.Equal(got, calls) {
		t.Errorf("%s: did %q, want %q", when, got, calls)
	}
}

func TestObserveTouchesNoPort(t *testing.T) {
	p, f := testPorts(false)
	p.turn(t, "", status(1, 7, ""))
	p.turn(t, "", status(1, 7, flows.PortQoS))
	p.turn(t, "")
	f.want(t, "observe")
}

func TestPortLife(t *testing.T) {
	p, f := testPorts(true)
	p.turn(t, "", status(1, 7, ""), status(2, 8, flows.PortUnchosen))
	f.want(t, "usable", "prepare 7")
	p.turn(t, "", status(1, 7, flows.PortDown))
	f.want(t, "down for a while")
	p.turn(t, "", status(1, 7, ""))
	f.want(t, "up again", "prepare 7")
	p.turn(t, "", status(1, 7, flows.InspectorDown))
	f.want(t, "inspector away for a while")
	p.turn(t, "", status(1, 7, flows.PortQoS))
	f.want(t, "policing", "release 7")
	p.turn(t, "", status(1, 7, flows.PortQoS))
	f.want(t, "an installation may have been under way", "release 7")
	p.turn(t, "", status(1, 7, flows.PortQoS))
	f.want(t, "done")
	p.turn(t, "", status(1, 7, ""))
	f.want(t, "no policing any more", "prepare 7")
	// The row was exchanged, the device, or its index, is the same: what is below the
	// new port must not be taken away.
	p.turn(t, "", status(3, 7, ""))
	f.want(t, "another port with the ifindex", "prepare 7")
	p.turn(t, "")
	f.want(t, "gone", "release 7")
	p.turn(t, "", status(4, 7, ""))
	f.want(t, "back", "prepare 7")
	p.turn(t, "", status(4, 7, ""))
	f.want(t, "stays", "prepare 7")
}

// OVS cannot take the ports over while our qdisc is there.
func TestForcedObserveReleasesPorts(t *testing.T) {
	p, f := testPorts(true)
	p.turn(t, "", status(1, 7, ""))
	f.did()
	p.turn(t, flows.OVSHWOffload, status(1, 7, ""))
	f.want(t, "hw-offload=true", "release 7")
}

func TestReleaseIsRepeated(t *testing.T) {
	p, f := testPorts(true)
	p.turn(t, "", status(1, 7, ""))
	f.did()
	f.fails["release 7"] = errors.New("device busy")
	for range 3 {
		p.turn(t, "")
		f.want(t, "fails", "release 7")
	}
	delete(f.fails, "release 7")
	p.turn(t, "")
	p.turn(t, "")
	f.want(t, "works", "release 7", "release 7")
	p.turn(t, "")
	f.want(t, "done")
	if p.health.get().LastError == "" {
		t.Error("nobody is told")
	}
}

// What an earlier agent left goes from ports that are not kept, for whichever reason.
func TestInherited(t *testing.T) {
	for _, enforce := range []bool{false, true} {
		p, f := testPorts(enforce)
		f.fails["prepare 8"] = fmt.Errorf("port 8: %w", eswitch.ErrForeign)
		turn := func() { p.turn(t, "", status(1, 7, ""), status(2, 8, ""), status(3, 9, flows.PortUnchosen)) }
		p.inherit([]int32{7, 8, 9, 10})
		want := []string{"prepare 7", "prepare 8", "release 10", "release 8", "release 9"}
		if !enforce {
			want = []string{"release 10", "release 7", "release 8", "release 9"}
		}
		turn()
		f.want(t, fmt.Sprintf("enforce %t", enforce), want...)
	}
}

func TestPrepareFails(t *testing.T) {
	p, f := testPorts(true)
	f.fails["prepare 7"] = fmt.Errorf("port 7: %w", eswitch.ErrIngress)
	f.fails["prepare 8"] = fmt.Errorf("port 8: %w", eswitch.ErrPortGone)
	table := p.turn(t, "", status(1, 7, ""), status(2, 8, ""), status(3, 9, ""))
	for id, want := range map[flows.PortID]flows.Reason{1: flows.PortUnready, 2: flows.PortGone, 3: ""} {
		if got := table.byID[id]; got.reason != want || (want != "") != (got.detail != "") {
			t.Errorf("port %d: %q (%s), want %q", id, got.reason, got.detail, want)
		}
	}
	p.now.Store(table)
	if _, _, ok := p.places(1); ok {
		t.Error("rules are sent to a port that is not ready")
	}
	if _, i, ok := p.places(3); !ok || i != 9 {
		t.Error("a port that is ready is not used")
	}
}
