package agent

import (
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/ovsdb"
)

// What a restarted database has forgotten is no doubt; what a bridge does is.
func TestRowDoubts(t *testing.T) {
	l := newLoop(newClock(), engine.New(engine.DefaultConfig()), nil)
	d := newDoubts(&patch{}, l)
	defer d.close()
	r := rowDoubts{doubts: d}
	bridges := []bridgeFacts{{name: "br0", ports: []flows.PortID{1}}}
	was := ovsdb.Bridge{Name: "br0", DatapathID: "00005a0c00c8ac4e"}
	forgot := was
	forgot.DatapathID = ""
	opened := forgot
	opened.FailMode = "standalone"
	for i, b := range []ovsdb.Bridge{was, forgot, was, forgot, opened} {
		r.compare(&ovsdb.Snapshot{Connected: true, Bridges: []ovsdb.Bridge{b}}, bridges)
		want := uint64(0)
		if i == 4 {
			want = 1
		}
		if n := d.counts()["ovsdb"]; n != want {
			t.Errorf("snapshot %d: %d doubts, want %d", i, n, want)
		}
	}
}
