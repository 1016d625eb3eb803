package ovn

import (
	"testing"

	"github.com/flowshunt/flowshunt/flows"
)

func TestSnapshot(t *testing.T) {
	_, rows := load(t, "southbound.jsonl")
	news := newSouthbound(Config{Chassis: "compute-1"}).snapshot(rows)
	if !news.Update.Reset || news.Revision != 38 || news.Label {
		t.Errorf("reset %v, revision %d, label %v", news.Update.Reset, news.Revision, news.Label)
	}
	for name, want := range map[flows.LogicalPort]flows.Reason{
		"4f0a7d3e-11f3-4a5b-8d5f-6a7a1e0b9c01": "",
		"4f0a7d3e-11f3-4a5b-8d5f-6a7a1e0b9c04": flows.PortUnbound,
	} {
		if p := news.Update.Ports[name]; p == nil || p.Reason != want {
			t.Errorf("port %s: %+v, want reason %q", name, p, want)
		}
	}
}
