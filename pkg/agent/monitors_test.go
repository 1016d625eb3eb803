package agent

import (
	"errors"
	"testing"
	"testing/synctest"
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

// A bridge that does not tell its changes is doubted each second while OVS lives, and
// when OVS is away for longer than the grace.
func TestBlindMonitors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told, d := newTold()
		defer d.close()
		facts := func() []bridgeFacts { return []bridgeFacts{{name: "br0", ports: []flows.PortID{1}}} }
		b := &bridgeMonitor{name: "br0", bridges: facts, doubts: d, since: time.Now()}
		m := &monitors{bridges: facts, doubts: d, confirm: 10 * time.Second, grace: time.Minute,
			health: newComponent("openflow", silent), running: map[string]*bridgeMonitor{"br0": b}}
		doubted := func(span time.Duration) (n int) {
			for end := time.Now().Add(span); time.Now().Before(end); time.Sleep(monitorsEvery) {
				m.look()
				synctest.Wait()
				n += len(told.doubts())
			}
			return n
		}
		m.confirmed = time.Now()
		b.Watching(openflow.OpenFlow14)
		if n := doubted(20 * time.Second); n != 2 {
			t.Errorf("watching: %d doubts in 20 s, want that of the connection and one of the interval", n)
		}
		b.Lost(errors.New("no such file"))
		if n := doubted(50 * time.Second); n != 0 {
			t.Errorf("away: %d doubts within the grace", n)
		}
		if n := doubted(30 * time.Second); n < 15 {
			t.Errorf("away for too long: %d doubts in 20 s", n)
		}
		b.Watching(openflow.OpenFlow14)
		b.Lost(&openflow.Refusal{})
		if n := doubted(20 * time.Second); n < 15 {
			t.Errorf("refused: %d doubts in 20 s", n)
		}
	})
}
