package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/flows/engine"
	"github.com/flowshunt/flowshunt/pkg/control"
	"github.com/flowshunt/flowshunt/pkg/ofproto"
)

// learned is an FDB that answers as OVS would.
type learned struct {
	moved int
	lines string // of fdb/show
	shown int    // how often

	away, unreadable error // of every call, of fdb/show
}

func (l *learned) Call(_ context.Context, method string, _ ...string) (string, error) {
	if l.away != nil {
		return "", l.away
	}
	if method == "fdb/show" {
		l.shown++
		return " port  VLAN  MAC                Age\n" + l.lines, l.unreadable
	}
	return fmt.Sprintf(`Statistics for bridge "br0":
  Current/maximum MAC entries in the table: %d/8192
  Current static MAC entries in the table : 0
  Total number of learned MAC entries     : 2
  Total number of expired MAC entries     : 0
  Total number of evicted MAC entries     : 0
  Total number of port moved MAC entries  : %d
`, strings.Count(l.lines, "\n"), l.moved), nil
}

func TestStations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told, d := newTold()
		defer d.close()
		ovs := &learned{lines: "    1     0  02:00:00:00:00:0a    0\n    2     0  02:00:00:00:00:0b    0\n"}
		facts := []bridgeFacts{{name: "br0", ports: []flows.PortID{1, 2}, ageing: 300 * time.Second}}
		s := &stations{fdb: &ofproto.FDB{Caller: ovs}, bridges: func() []bridgeFacts { return facts }, doubts: d, seen: &forgotten{}, loop: told.loop,
			health: newComponent("fdb", silent), known: make(map[string]*bridgeStations)}
		look := func() []engine.PathsDoubted {
			s.look(t.Context())
			time.Sleep(gatherFor)
			synctest.Wait()
			return told.doubts()
		}
		if got := look(); len(got) != 1 || got[0].Matches != nil || got[0].Stations != nil {
			t.Errorf("at first: %+v, want a doubt about everything", got)
		}
		if got := look(); len(got) != 0 || ovs.shown != 1 {
			t.Errorf("nothing changed: %+v, read %d times", got, ovs.shown)
		}
		ovs.moved++
		ovs.lines = strings.Replace(ovs.lines, "2     0  02", "3     0  02", 1)
		moved := flows.MAC{2, 0, 0, 0, 0, 0xb}
		if got := look(); len(got) != 1 || len(got[0].Stations) != 1 || !got[0].Stations[moved] || len(got[0].Ports) != 2 {
			t.Errorf("one moved: %+v", got)
		}
		ovs.away = errors.New("no OVS")
		if got := look(); len(got) != 0 {
			t.Errorf("OVS away: %+v", got)
		}
		ovs.away = nil
		if got := look(); len(got) != 1 || got[0].Matches != nil || got[0].Stations != nil {
			t.Errorf("back, and as it was: %+v, want a doubt about everything", got)
		}
		ovs.lines = strings.SplitAfter(ovs.lines, "\n")[0]
		if got := look(); len(got) != 1 || len(got[0].Stations) != 1 || !got[0].Stations[moved] {
			t.Errorf("forgotten: %+v", got)
		}
		facts = nil
		if look(); len(s.known) != 0 {
			t.Error("a bridge that is gone is remembered")
		}
	})
}

// A station that sessions come from, and that OVS has not heard of for half of the
// ageing time, is told; and not again at once.
func TestAgeingStations(t *testing.T) {
	l, _ := observing(t)
	d := newDoubts(&told{loop: l}, l, time.Minute)
	defer d.close()
	ovs := &learned{lines: "    1     0  02:00:00:00:00:01  151\n    2     0  02:00:00:00:00:02  149\n    3     0  02:00:00:00:00:03  200\n" +
		"    4     7  02:00:00:00:00:fe  152\n    5     0  02:00:00:00:00:ff  149\n"}
	s := &stations{fdb: &ofproto.FDB{Caller: ovs}, doubts: d, loop: l, health: newComponent("fdb", silent)}
	known := &bridgeStations{told: make(map[flows.MAC]time.Time)}
	b := bridgeFacts{name: "br0", ageing: 300 * time.Second}
	var err error
	if known.table, err = s.fdb.Table(t.Context(), "br0"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- l.serveAsks(ctx) }()
	for range 2 {
		s.refresh(ctx, b, known)
	}
	cancel()
	<-ended
	got := l.inbox.take()
	want := []engine.Event{
		engine.MACAgeing{Port: 1, MAC: flows.MAC{2, 0, 0, 0, 0, 1}},
		engine.MACAgeing{Port: 2, MAC: flows.MAC{2, 0, 0, 0, 0, 0xfe}}, // the router's, behind it
	}
	if len(got) != 2 || got[0].event != want[0] || got[1].event != want[1] {
		t.Errorf("told %+v, want %+v alone", got, want)
	}
}

// serveAsks answers what is asked of the engine, and nothing else.
func (l *loop) serveAsks(ctx context.Context) error {
	for {
		select {
		case f := <-l.asks:
			f(l.engine)
		case <-ctx.Done():
			return nil
		}
	}
}

// observing returns a loop whose engine has one session between ports 1 and 2, over a
// router, and its id.
func observing(t *testing.T) (*loop, flows.SessionID) {
	t.Helper()
	cfg := engine.DefaultConfig()
	cfg.Mark.Offload = engine.MaskedMark{Value: 4, Mask: 4}
	var session engine.Resolve
	l := newLoop(newClock(), engine.New(cfg), func(effects []engine.Effect) {
		for _, e := range effects {
			session = e.(engine.Resolve)
		}
	})
	e := entry("10.0.0.1")
	e.Mark = 4
	l.post(engine.PortsChanged{Ports: []engine.PortState{{ID: 1}, {ID: 2}}}, engine.EntriesRead{At: 1, Entries: []flows.Entry{e}})
	l.step()
	a, b := flows.MAC{2, 0, 0, 0, 0, 1}, flows.MAC{2, 0, 0, 0, 0, 2}
	paths := flows.Paths{{In: 1, Out: 2, Frame: flows.Frame{SrcMAC: a, DstMAC: b}}, {In: 2, Out: 1, Frame: flows.Frame{SrcMAC: b, DstMAC: a}}}
	for d, router := range [2]flows.MAC{{2, 0, 0, 0, 0, 0xfe}, {2, 0, 0, 0, 0, 0xff}} {
		paths[d].Change = flows.ChangeTo(paths[d].Frame, flows.Frame{SrcMAC: router, DstMAC: paths[d].DstMAC}, 1, flows.Tuple{})
	}
	l.post(engine.PathResolved{Session: session.Session, Op: session.Op, Tuples: [2]flows.Tuple{e.Key.Tuple, e.Reply}, Stands: []flows.Stand{{Zone: 10, Tuple: e.Key.Tuple, Reply: e.Reply}}, Paths: paths})
	l.step()
	return l, session.Session
}

// station is a at a port, in the words of fdb/show.
func station(port int) string { return fmt.Sprintf("    %d     0  02:00:00:00:00:0a    0\n", port) }

func TestStationMoves(t *testing.T) {
	d, told := newTestDoubts(t)
	l := &learned{lines: station(1)}
	var left forgotten
	s := &stations{fdb: &ofproto.FDB{Caller: l}, doubts: d, seen: &left}
	facts := br0
	facts.ageing = time.Hour
	known := &bridgeStations{told: make(map[flows.MAC]time.Time), aged: time.Now()}
	look := func(what string, doubts, matches int, forgets ...flows.MAC) {
		t.Helper()
		left = nil
		err := s.lookAt(t.Context(), facts, known)
		if (err != nil) != (l.unreadable != nil) {
			t.Errorf("%s: %v", what, err)
		}
		d.gathered() // does not wait for more
		got := told()
		if len(got) != doubts || doubts > 0 && len(got[0].Stations) != matches {
			t.Errorf("%s: told %+v, want %d with %d stations", what, got, doubts, matches)
		}
		if !slices.Equal(left, forgets) {
			t.Errorf("%s: forgets what was seen of %v, want %v", what, left, forgets)
		}
	}
	a, b := flows.MAC{2, 0, 0, 0, 0, 0xa}, flows.MAC{2, 0, 0, 0, 0, 0xb}
	look("first", 1, 0)
	look("nothing", 0, 0)
	l.moved, l.lines = 1, station(2)
	look("moved", 1, 1, a)
	l.lines += "    1     0  02:00:00:00:00:0b    0\n"
	look("another one is learned", 1, 1)
	l.lines = station(2)
	look("and forgotten", 1, 1, b)
	l.moved, l.lines, l.unreadable = 2, station(3), errors.New("too long")
	look("moved, unreadable", 1, 0)
	look("still unreadable", 0, 0)
	l.moved = 3
	look("moved again, unreadable", 1, 0)
	l.moved, l.unreadable = 4, nil
	look("moved and back, readable", 1, 1, a)
}

// forgotten are the stations of which nothing that was seen counts any more.
type forgotten []flows.MAC

func (f *forgotten) Left(_ []flows.PortID, stations map[ofproto.StationKey]bool) {
	for station := range stations {
		*f = append(*f, station.MAC)
	}
}

// One bridge that cannot be asked is a failure, whichever others can.
func TestStationsFail(t *testing.T) {
	d, _ := newTestDoubts(t)
	broken := &learned{lines: station(1), unreadable: errors.New("too long")}
	s := &stations{fdb: &ofproto.FDB{Caller: byBridge{"br0": broken, "br1": {lines: station(1)}}}, doubts: d,
		bridges: func() []bridgeFacts { return []bridgeFacts{{name: "br0"}, {name: "br1"}} },
		health:  newComponent("fdb", silent)}
	s.look(t.Context())
	if got := s.health.get(); got.Health != control.HealthFailed {
		t.Errorf("%+v", got)
	}
	broken.unreadable = nil
	s.look(t.Context())
	if got := s.health.get(); got.Health != control.HealthOK {
		t.Errorf("%+v", got)
	}
}

// byBridge has a switch for each bridge.
type byBridge map[string]*learned

func (b byBridge) Call(ctx context.Context, method string, args ...string) (string, error) {
	return b[args[0]].Call(ctx, method, args...)
}
