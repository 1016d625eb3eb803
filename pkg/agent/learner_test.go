package agent

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/ofproto"
)

// learner is a switch that answers about its FDB.
type learner struct {
	moved int
	port  int
	err   error // of fdb/show
}

func (l *learner) Call(_ context.Context, method string, _ ...string) (string, error) {
	if method == "fdb/show" {
		return fmt.Sprintf(" port  VLAN  MAC                Age\n    %d     0  02:00:00:00:00:0a    0\n", l.port), l.err
	}
	return fmt.Sprintf("Statistics for bridge \"br0\":\n"+
		"  Current/maximum MAC entries in the table: 1/8192\n  Current static MAC entries in the table : 0\n"+
		"  Total number of learned MAC entries     : 1\n  Total number of expired MAC entries     : 0\n"+
		"  Total number of evicted MAC entries     : 0\n  Total number of port moved MAC entries  : %d\n", l.moved), nil
}

func TestStationMoves(t *testing.T) {
	d, told := newTestDoubts(t)
	l := &learner{port: 1}
	s := &stations{fdb: &ofproto.FDB{Caller: l}, doubts: d}
	facts := br0
	facts.ageing = time.Hour
	known := &bridgeStations{told: make(map[flows.MAC]time.Time), aged: time.Now()}
	look := func(what string, doubts, matches int) {
		t.Helper()
		err := s.lookAt(t.Context(), facts, known)
		if (err != nil) != (l.err != nil) {
			t.Errorf("%s: %v", what, err)
		}
		d.gathered() // does not wait for more
		got := told()
		if len(got) != doubts || doubts > 0 && len(got[0].Matches) != matches {
			t.Errorf("%s: told %+v, want %d with %d matches", what, got, doubts, matches)
		}
	}
	look("first", 1, 0)
	look("nothing", 0, 0)
	l.moved, l.port = 1, 2
	look("moved", 1, 1)
	l.moved, l.port, l.err = 2, 3, errors.New("too long")
	look("moved, unreadable", 1, 0)
	look("still unreadable", 0, 0)
	l.moved = 3
	look("moved again, unreadable", 1, 0)
	l.moved, l.err = 4, nil
	look("moved and back, readable", 1, 1)
}
