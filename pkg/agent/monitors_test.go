package agent

import (
	"testing"

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
