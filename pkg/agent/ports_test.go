package agent

import (
	"context"
	"log/slog"
	"slices"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/path"
)

// fakePorts remembers which devices are prepared.
type fakePorts struct{ prepared []int32 }

func (f *fakePorts) PreparePort(_ context.Context, link int32) error {
	if !slices.Contains(f.prepared, link) {
		f.prepared = append(f.prepared, link)
	}
	return nil
}

func (f *fakePorts) ReleasePort(_ context.Context, link int32) error {
	f.prepared = slices.DeleteFunc(f.prepared, func(l int32) bool { return l == link })
	return nil
}

// A port is ours as long as it can be used, or is but down, and anything may be
// installed.
func TestPortsPrepared(t *testing.T) {
	const dev = 7
	for _, tt := range []struct {
		name           string
		reason, forced flows.Reason
		want           bool
	}{
		{"usable", "", "", true},
		{"down", flows.PortDown, "", true},
		{"switched off", flows.PortOff, "", false},
		{"mirrored", flows.PortMirrored, "", false},
		{"the database is lost", "", flows.OVSDBLost, false},
		{"OVS offloads", "", flows.OVSHWOffload, false},
		{"OVS offloads, down", flows.PortDown, flows.OVSHWOffload, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := DefaultConfig()
			cfg.Engine.Enforce = true
			eswitch := &fakePorts{}
			p := &ports{cfg: &cfg, eswitch: eswitch, health: newComponent("ports", slog.New(slog.DiscardHandler))}
			table := func(reason, forced flows.Reason) *portTable {
				return &portTable{
					byID: map[flows.PortID]portStatus{}, forced: forced,
					list: []portStatus{{Port: path.Port{ID: 1, Ifindex: dev}, reason: reason}},
				}
			}
			update := func(t *testing.T, table *portTable) { p.release(t.Context(), p.prepare(t.Context(), table)) }
			update(t, table("", ""))
			if !slices.Contains(eswitch.prepared, dev) {
				t.Fatal("a usable port was not prepared")
			}
			update(t, table(tt.reason, tt.forced))
			if got := slices.Contains(eswitch.prepared, dev); got != tt.want {
				t.Errorf("prepared is %v, want %v", got, tt.want)
			}
		})
	}
}
