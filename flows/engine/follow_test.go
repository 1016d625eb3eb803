package engine

import (
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
)

func established(id uint32, packets uint64) flows.Entry {
	t, _ := flows.ParseTuple("tcp,10.0.0.1:40000,10.0.0.2:5201")
	return flows.Entry{
		Key: flows.EntryKey{ID: id, Zone: 10, Tuple: t}, Reply: t.Reverse(),
		Status:  flows.StatusConfirmed | flows.StatusSeenReply | flows.StatusAssured,
		Timeout: 432000, HasCount: true,
		TCP:   flows.TCPInfo{State: flows.TCPEstablished, Flags: [2]uint8{0x23, 0x23}},
		Count: [2]flows.Counters{{Packets: packets, Bytes: packets * 1400}, {Packets: packets / 2}},
	}
}

// untranslated returns how packets come in at both ports if nothing translates them.
func untranslated(r Resolve) [2]flows.Tuple {
	return [2]flows.Tuple{r.Entry.Tuple, r.Entry.Tuple.Reverse()}
}

// newEngineWithPorts returns an engine that knows two usable ports.
func newEngineWithPorts(cfg Config) *Engine {
	g := New(cfg)
	g.Step(1, []Event{PortsChanged{Ports: []PortState{{ID: 1}, {ID: 2}}}})
	return g
}

// A connection that ends and whose successor has the same kernel id, as happens
// when the entry's memory is used again, must not inherit what was known.
func TestSuccessorWithTheSameID(t *testing.T) {
	for _, tt := range []struct {
		name        string
		first, next flows.Entry
		replaced    bool
	}{
		{"counters fell", established(7, 10_000), established(7, 100), true},
		{"two reads crossed", established(7, 10_000), established(7, 9_990), false},
		{"made at another time", started(established(7, 10), 100), started(established(7, 20), 200), true},
		{"the same", started(established(7, 10), 100), started(established(7, 20), 100), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newEngineWithPorts(DefaultConfig())
			closing := tt.first
			closing.TCP.State = flows.TCPClose
			g.Step(10, []Event{EntriesRead{At: 10, Entries: []flows.Entry{closing}}})
			now := flows.Instant(time.Second)
			g.Step(now, []Event{EntriesRead{At: now, Entries: []flows.Entry{tt.next}}})
			want := flows.Closing
			if tt.replaced {
				want = flows.Mouse
			}
			if got := g.Followed()[0].Reason; got != want {
				t.Errorf("reason %q, want %q", got, want)
			}
		})
	}
}

func started(e flows.Entry, at uint64) flows.Entry {
	e.Start = at
	return e
}
