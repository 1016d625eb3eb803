package agent

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/openflow"
)

func TestDoubtOf(t *testing.T) {
	facts := bridgeFacts{name: "br0", ports: []flows.PortID{1, 2}, byPort: map[uint32]flows.PortID{7: 1}}
	tcp := flows.PacketMatch{Proto: flows.TCP}
	flow := func(change func(*openflow.Change)) openflow.Change {
		c := openflow.Change{Kind: openflow.FlowModified, Match: tcp}
		change(&c)
		return c
	}
	tests := []struct {
		name     string
		change   openflow.Change
		touching bool
		want     *flows.PacketMatch // nil: every packet
	}{
		{"flow", flow(func(*openflow.Change) {}), true, &tcp},
		{"of a port", flow(func(c *openflow.Change) { c.InPort = 7 }), true, &flows.PacketMatch{In: 1, Proto: flows.TCP}},
		{"of a port that is no device", flow(func(c *openflow.Change) { c.InPort = 8 }), true, &tcp},
		{"of ARP", flow(func(c *openflow.Change) { c.NonIP = true }), false, nil},
		{"group", openflow.Change{Kind: openflow.GroupChanged}, false, nil},
		{"port", openflow.Change{Kind: openflow.PortModified}, true, nil},
		{"something", openflow.Change{}, true, nil},
	}
	for _, test := range tests {
		ev, touching := doubtOf(facts, []openflow.Change{test.change})
		if touching != test.touching || touching && len(ev.Ports) != 2 {
			t.Errorf("%s: %t, %+v", test.name, touching, ev)
		}
		switch {
		case !touching:
		case test.want == nil && ev.Matches != nil, test.want != nil && (len(ev.Matches) != 1 || ev.Matches[0] != *test.want):
			t.Errorf("%s: %+v, want %+v", test.name, ev.Matches, test.want)
		}
	}
	all, _ := doubtOf(facts, []openflow.Change{tests[0].change, tests[6].change, tests[0].change})
	if all.Matches != nil {
		t.Errorf("something and flows: %+v", all.Matches)
	}
	if many, _ := doubtOf(facts, make([]openflow.Change, 2*maxMatches)); many.Matches != nil {
		t.Error("more matches than are bounded")
	}
}

var br0 = bridgeFacts{name: "br0", ports: []flows.PortID{1, 2}, byPort: map[uint32]flows.PortID{5: 1}}

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
				confirm: time.Hour, confirmed: time.Now(), health: newComponent("openflow", silent),
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
