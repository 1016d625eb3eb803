package metrics

import (
	"context"
	"fmt"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
)

// fake is a source with a word for everything.
type fake struct{ silent bool }

func (f fake) Snapshot(context.Context) Snapshot {
	s := Snapshot{
		Started: time.Unix(1_700_000_000, 500_000_000),
		Mode:    Mode{Configured: "enforce", Effective: "observe", Reason: flows.OVSHWOffload},
		Ready:   true,
		Components: []Component{
			{Name: "ovsdb", Up: true}, {Name: "taps"},
		},
		Ports:   map[flows.Reason]int{"": 2, flows.PortDown: 1},
		Budgets: []Budget{{Name: "sessions", Used: 3, Limit: 100}},
		Changes: map[string]uint64{"openflow": 12},
		Wires:   []Wire{{Name: "w0", State: "open", For: 27 * time.Second, Sent: 28, Missed: 29, Turns: 30}},
		Groups:  []Groups{{Source: "ovn-sb", Ports: 21, Rules: 22, Members: 23, Changes: 24, Compiling: 25 * time.Second, Stale: 26 * time.Second}},
		Busy:    1500 * time.Millisecond, DumpEntries: 7, Overruns: 8, TapMissed: 9,
	}
	if !f.silent {
		s.Engine = &Engine{
			Sessions: map[engine.State]int{engine.Offloaded: 3},
			Tables:   []engine.Table{{Rules: 4}, {Eswitch: "0a0b", Rules: 6, Believed: 8, Window: 9, Installing: 1, Installs: 14, Waiting: 20, Refused: 2}},
			Counts: engine.Counts{
				Followed: map[flows.Reason]int{flows.Elephant: 3, flows.Mouse: 40},
				Removals: map[flows.Reason]uint64{flows.Idle: 5, flows.PathChanged: 6},
				Installs: 14, InstallsFailed: 1, KeepAlives: 2, Doubts: 11, Adopted: 10, Hints: 3, Unfollowed: 4,
				Offloaded: flows.Counters{Packets: 100, Bytes: 150_000},
			},
		}
	}
	return s
}

// names are the ports of the tests: 1 is p1 and so on; from 100 on there is none.
func names(id flows.PortID) string {
	if id == 0 || id >= 100 {
		return ""
	}
	return fmt.Sprintf("p%d", id)
}

func newRecorder() *Recorder {
	return NewRecorder(RecorderConfig{Traffic: NewTraffic(), PortName: names, ValidateWithin: time.Second})
}

// ms is an instant so many milliseconds after the start.
func ms(n int) flows.Instant { return flows.Instant(time.Duration(n) * time.Millisecond) }

// wire is the path between ports 1 and 2.
var wire = flows.Paths{{In: 1, Out: 2}, {In: 2, Out: 1}}

func count(id flows.SessionID, orig, reply flows.Counters) flows.SessionCounters {
	return flows.SessionCounters{ID: id, Count: [2]flows.Counters{orig, reply}}
}
