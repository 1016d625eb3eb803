package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/openflow"
)

var br0 = bridgeFacts{name: "br0", ports: []flows.PortID{1, 2}, byPort: map[uint32]flows.PortID{5: 1}}

// silentJudge implements doubter.
type silentJudge struct{}

func (silentJudge) Doubt(flows.Instant) {}

// newTestDoubts returns doubts, and what takes those that the engine was told.
func newTestDoubts(t *testing.T) (d *doubts, told func() []engine.PathsDoubted) {
	t.Helper()
	l := newLoop(newClock(), nil, nil)
	d = newDoubts(silentJudge{}, l, time.Minute)
	t.Cleanup(d.close)
	return d, func() (list []engine.PathsDoubted) {
		for _, m := range l.inbox.tryTake() {
			list = append(list, m.event.(engine.PathsDoubted))
		}
		return list
	}
}

// A change is about the ports that the bridge has when it is told, under the ids that
// they have then.
func TestChangeOfAPortThatIsNew(t *testing.T) {
	d, told := newTestDoubts(t)
	known := []bridgeFacts{br0}
	m := &monitors{rundir: t.TempDir(), bridges: func() []bridgeFacts { return known }, doubts: d,
		running: make(map[string]*bridgeMonitor)}
	m.follow(t.Context(), known)
	defer m.follow(t.Context(), nil)
	known = []bridgeFacts{{name: "br0", ports: []flows.PortID{2, 3}, byPort: map[uint32]flows.PortID{5: 3}}}
	m.running["br0"].Changed([]openflow.Change{{Kind: openflow.FlowAdded, InPort: 5}})
	got := told()
	if len(got) != 1 || !slices.Equal(got[0].Ports, []flows.PortID{2, 3}) || got[0].Matches[0].In != 3 {
		t.Errorf("told %+v", got)
	}
}

// A bridge that lives and does not tell its changes is in doubt all the time, one that
// is away only after a while.
func TestBlindness(t *testing.T) {
	tests := []struct {
		err  error
		want bool // in doubt at once
	}{
		{nil, false}, // not connected yet
		{fmt.Errorf("%w: no socket", openflow.ErrNotRunning), false},
		{openflow.ErrSilent, false},
		{fmt.Errorf("%w: reset", openflow.ErrClosed), false},
		{openflow.ErrPaused, true},
		{fmt.Errorf("%w: socket", openflow.ErrPermission), true},
		{fmt.Errorf("%w: 1.9", openflow.ErrVersion), true},
		{fmt.Errorf("%w: match", openflow.ErrProtocol), true},
		{&openflow.Refusal{Version: openflow.OpenFlow13}, true},
		{errors.New("too many open files"), true},
	}
	for _, grace := range []time.Duration{time.Hour, -1} {
		for _, test := range tests {
			d, told := newTestDoubts(t)
			b := &bridgeMonitor{name: "br0", doubts: d, since: time.Now()}
			m := &monitors{bridges: func() []bridgeFacts { return []bridgeFacts{br0} }, doubts: d, grace: grace,
				confirm: time.Hour, confirmed: time.Now(), health: newComponent("openflow", slog.New(slog.DiscardHandler)),
				running: map[string]*bridgeMonitor{"br0": b}}
			if test.err != nil {
				b.Lost(test.err)
			}
			m.look()
			if got := len(told()) > 0; got != (test.want || grace < 0) {
				t.Errorf("%v, grace %v: in doubt: %v", test.err, grace, got)
			}
		}
	}
}
