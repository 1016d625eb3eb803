package control

import (
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"

	"github.com/flowshunt/flowshunt/flows"
	pb "github.com/flowshunt/flowshunt/pkg/control/controlpb"
)

// The filled values have no field that is zero, so that a field that a conversion
// forgets is seen. TestFilled checks it.
func filledTuple() flows.Tuple {
	return flows.Tuple{Proto: flows.TCP, Src: netip.MustParseAddr("2001:db8::1"), SrcPort: 1,
		Dst: netip.MustParseAddr("2001:db8::2"), DstPort: 65535}
}

func filledStatus() Status {
	at := time.Unix(1, 2).UTC()
	return Status{
		Version: "1", Mode: ModeEnforce, ObserveReason: flows.OVSHWOffload, ObserveDetail: "d", Now: at, Uptime: 3, Ready: true,
		Components: []Component{{Name: "n", Health: HealthFailed, Since: at, LastError: "e", LastErrorAt: at.Add(1)}},
		Ports: []Port{{Name: "p", Bridge: "b", Ifindex: 4, Usable: true, Reason: flows.PortOff, Detail: "d", Sessions: 5, Candidates: 6,
			Eswitch: "e", Function: "f", Device: "v", VFDevice: "w", HWTCOffload: "on"}},
		Budgets: []Budget{{Name: "n", Unit: "u", Used: 7, Limit: 8}},
		Tables: []Table{{Eswitch: "e", Rules: 11, Believed: 12, LearnedAt: at, Window: 13, Installing: 14, PerSecond: 1.5,
			Waiting: 15, Refused: 16, Shut: []string{"17"}}},
		LastDump: Dump{At: at, Took: 9, Entries: 10},
		Wires: []Wire{{Name: "w", Ports: [2]string{"p", "q"}, Inspectors: [2]string{"f", "g"}, FailOpen: true, State: "open", Since: at,
			Bridge: "b", Zones: [2]uint16{65535, 65534}, Detail: "d", Problem: "p"}},
	}
}

func filledSession() Session {
	return Session{
		ID: 1 << 63, Generation: 2, Tuple: filledTuple(), Zones: []flows.Zone{3, 65535}, State: StateOffloaded,
		Verdict: flows.Drop, Reason: flows.Elephant, Detail: "d", Rate: 4, SlowBytes: 5,
		Offloaded: [2]flows.Counters{{Packets: 6, Bytes: 7}, {Packets: 8, Bytes: 1<<64 - 1}},
		Since:     time.Unix(9, 0).UTC(), In: "i", Out: "o", InHW: true,
	}
}

func filledExplanation() Explanation {
	checks := []Check{{Name: "c", Result: ResultUnknown, Detail: "d"}}
	return Explanation{
		Checks: checks, Reason: flows.Gone, Detail: "d",
		Entries: []Entry{{Key: flows.EntryKey{ID: 1, Zone: 2, Tuple: filledTuple()}, Dir: flows.Reply, Followed: true, Session: 3,
			State: StateRemoving, Checks: checks, Verdict: flows.Offload, Reason: flows.Mouse, Detail: "d"}},
	}
}

func filledOrder() Order {
	zone := flows.Zone(3)
	return Order{Kind: OrderRevoke, Tuples: []flows.Tuple{filledTuple()}, Zone: &zone, DryRun: true,
		Filter: &Filter{All: true, Port: "p", Reason: flows.Mouse, Zone: &zone, Sort: SortRate, Limit: 4,
			States: []State{StateOffloaded}, Prefix: netip.MustParsePrefix("10.0.0.0/8")}}
}

func filledOrdered() Ordered {
	return Ordered{Key: flows.EntryKey{ID: 1, Zone: 2, Tuple: filledTuple()}, Session: 3, Outcome: OutcomeWaits,
		Reason: flows.TableFull, Detail: "d", Remembered: true}
}

// Orders survive the way over the wire, and those that make no sense are refused.
func TestOrderConversion(t *testing.T) {
	o := filledOrder()
	if got, err := toOrder(fromOrder(&o)); err != nil || !reflect.DeepEqual(got, o) {
		t.Errorf("%+v, %v", got, err)
	}
	r := filledOrdered()
	if got, err := toOrdered(fromOrdered(&r)); err != nil || got != r {
		t.Errorf("%+v, %v", got, err)
	}
	tuples := []flows.Tuple{filledTuple()}
	for _, o := range []Order{
		{Tuples: tuples}, {Kind: 4, Tuples: tuples}, {Kind: OrderInspect}, {Kind: OrderInspect, For: -1, Tuples: tuples},
		{Kind: OrderRevoke, For: 1, Tuples: tuples}, {Kind: OrderInspect, Unmark: true, Tuples: tuples},
	} {
		if _, err := toOrder(fromOrder(&o)); err == nil {
			t.Errorf("taken: %+v", o)
		}
	}
	for _, o := range []Order{
		{Kind: OrderInspect, For: 1, Tuples: tuples}, {Kind: OrderOffload, Unmark: true, Filter: &Filter{}},
	} {
		if got, err := toOrder(fromOrder(&o)); err != nil || !reflect.DeepEqual(got, o) {
			if got.Tuples = nil; err != nil || o.Tuples != nil {
				t.Errorf("%+v, %v", got, err)
			}
		}
	}
}

func TestFilled(t *testing.T) {
	var look func(path string, v reflect.Value)
	look = func(path string, v reflect.Value) {
		if v.IsZero() {
			t.Errorf("%s is zero", path)
		}
		switch {
		case v.Type().PkgPath() == "time" || v.Type().PkgPath() == "net/netip":
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				look(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case v.Kind() == reflect.Slice || v.Kind() == reflect.Array:
			for i := range v.Len() {
				look(path, v.Index(i))
			}
		}
	}
	for _, v := range []any{filledStatus(), filledSession(), filledExplanation(), filledOrdered()} {
		look(reflect.TypeOf(v).Name(), reflect.ValueOf(v))
	}
}

// wire sends a message through its encoding.
func wire[M proto.Message](t *testing.T, m M) M {
	t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	out := m.ProtoReflect().New().Interface()
	if err := proto.Unmarshal(data, out); err != nil {
		t.Fatal(err)
	}
	return out.(M)
}

func TestRoundTrips(t *testing.T) {
	st := filledStatus()
	same(t, st, toStatus(wire(t, fromStatus(&st))), nil)
	same(t, Status{}, toStatus(wire(t, fromStatus(&Status{}))), nil)

	s := filledSession()
	got, err := toSession(wire(t, fromSession(&s)))
	same(t, s, got, err)

	e := filledExplanation()
	gotE, err := toExplanation(wire(t, fromExplanation(&e)))
	same(t, e, gotE, err)

	zone := flows.Zone(0)
	q := Question{Tuple: filledTuple(), Zone: &zone}
	gotQ, err := toQuestion(wire(t, fromQuestion(&q)))
	same(t, q, gotQ, err)

	f := Filter{All: true, Port: "p", States: []State{StateCandidate, StateOffloaded}, Reason: flows.Mouse,
		Prefix: netip.MustParsePrefix("10.0.0.0/8"), Zone: &zone, Sort: SortAge, Limit: 1}
	gotF, err := toFilter(wire(t, fromFilter(&f)))
	same(t, f, gotF, err)
	gotF, err = toFilter(wire(t, fromFilter(&Filter{})))
	same(t, Filter{}, gotF, err)

	stat := Stat{Name: "n", Labels: map[string]string{"a": "b"}, Value: 1}
	m := wire(t, fromStat(&stat))
	same(t, stat, toStat(&m), nil)
}

func same[T any](t *testing.T, want, got T, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%T: %v", want, err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
		t.Errorf("%T (-want +got):\n%s", want, diff)
	}
}

func TestRefusedOnTheWire(t *testing.T) {
	good := fromTuple(filledTuple())
	for name, change := range map[string]func(*pb.Tuple){
		"no address":   func(m *pb.Tuple) { m.Src = "" },
		"name":         func(m *pb.Tuple) { m.Dst = "localhost" },
		"port":         func(m *pb.Tuple) { m.SrcPort = 1 << 16 },
		"protocol":     func(m *pb.Tuple) { m.Proto = 256 },
		"two families": func(m *pb.Tuple) { m.Src = "10.0.0.1" },
	} {
		bad := proto.Clone(good).(*pb.Tuple)
		change(bad)
		if got, err := toTuple(bad); err == nil {
			t.Errorf("%s: accepted as %v", name, got)
		}
	}
	if _, err := toTuple(nil); err == nil {
		t.Error("no tuple: accepted")
	}
	if _, err := toFilter(&pb.SessionsRequest{Prefix: "10.0.0.0/33"}); err == nil {
		t.Error("bad prefix: accepted")
	}
	if _, err := toFilter(&pb.SessionsRequest{Sort: 4}); err == nil {
		t.Error("unknown order: accepted")
	}
	if _, err := toFilter(&pb.SessionsRequest{Zone: proto.Uint32(1 << 16)}); err == nil {
		t.Error("bad zone: accepted")
	}
	if _, err := toSession(&pb.Session{Tuple: good, Zones: []uint32{1 << 16}}); err == nil {
		t.Error("bad zone of a session: accepted")
	}
}

func TestTextFitsTheWire(t *testing.T) {
	for _, in := range []string{"", "short", "bad\xffbyte", strings.Repeat("ü", 5000), "x" + strings.Repeat("ü", 5000)} {
		out := text(in)
		if !utf8.ValidString(out) || len(out) > maxText+3 {
			t.Errorf("text(%.10q...): %d bytes, valid %t", in, len(out), utf8.ValidString(out))
		}
		if utf8.ValidString(in) && len(in) <= maxText && out != in {
			t.Errorf("text(%q) = %q", in, out)
		}
	}
}

func TestUnknownEnums(t *testing.T) {
	for in, want := range map[pb.State]string{0: "unknown-0", 7: "adopting", 8: "unknown-8", 256: "unknown-255", -1: "unknown-255"} {
		if got := enum[State](in).String(); got != want {
			t.Errorf("state %d: %s, want %s", in, got, want)
		}
	}
	for in, want := range map[pb.Verdict]flows.Verdict{0: 255, 1: flows.Inspect, 3: flows.Drop, 4: 3, 300: 255} {
		if got := toVerdict(in); got != want {
			t.Errorf("verdict %d: %d, want %d", in, got, want)
		}
	}
}

// FuzzRequests feeds whatever a client may send into the conversions.
func FuzzRequests(f *testing.F) {
	zone := flows.Zone(1)
	for _, m := range []proto.Message{
		fromQuestion(&Question{Tuple: filledTuple(), Zone: &zone}),
		fromFilter(&Filter{Prefix: netip.MustParsePrefix("::/0"), Sort: SortRate, States: []State{1}}),
	} {
		data, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var why pb.WhyRequest
		if proto.Unmarshal(data, &why) == nil {
			if q, err := toQuestion(&why); err == nil {
				again, err := toQuestion(fromQuestion(&q))
				same(t, q, again, err)
			}
		}
		var list pb.SessionsRequest
		if proto.Unmarshal(data, &list) == nil {
			if filter, err := toFilter(&list); err == nil {
				s := filledSession()
				filter.Match(&s)
			}
		}
	})
}

func randomSession(r *rand.Rand) Session {
	s := filledSession()
	s.State = State(1 + r.IntN(6))
	s.Rate = r.Uint64N(4)
	s.SlowBytes = r.Uint64N(4)
	s.Offloaded = [2]flows.Counters{}
	s.Since = time.Unix(r.Int64N(4), 0).UTC()
	s.Tuple.SrcPort = uint16(r.UintN(4))
	s.Zones = []flows.Zone{flows.Zone(r.UintN(3))}
	return s
}
