package megaflow

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
)

// match builds a Match of exact fields of at most 64 bits.
func match(fields map[Field]uint64) (m Match) {
	for f, v := range fields {
		m.SetUint(f, v, ^uint64(0))
	}
	return m
}

// chain is a Source of one flow for each recirculation id, by index.
func chain(actions ...[]Action) []Flow {
	var all []Flow
	for id, a := range actions {
		all = append(all, Flow{Match: match(map[Field]uint64{RecircID: uint64(id)}), Actions: a})
	}
	return all
}

// ours is the tuple of the packets below.
var ours = flows.Tuple{
	Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2"), SrcPort: 40000, DstPort: 5201, Proto: flows.TCP,
}

// zone is the state of a zone that does not translate, in which packets with a tuple
// travel in one direction.
func zone(number flows.Zone, t flows.Tuple, dir flows.Dir) flows.ZoneState {
	if dir == flows.Reply {
		t = t.Reverse()
	}
	return flows.ZoneState{Zone: number, Tuple: t, Reply: t.Reverse()}
}

// as is a connection in zones 1 and 2, of which the second has it the other way round.
func as(dir flows.Dir) Connection {
	one, two := zone(1, ours, dir), zone(2, ours, dir.Opposite())
	one.Mark, one.Labels = 0x12, Labels([16]byte{15: 0x81})
	return Connection{Tuple: ours, States: []flows.ZoneState{one, two}}
}

var conn = as(flows.Orig)

func tcpPacket() Packet {
	return NewPacket(7, flows.Frame{SrcMAC: flows.MAC{2, 1}, DstMAC: flows.MAC{2, 2}}, ours)
}

func TestCompose(t *testing.T) {
	for _, test := range []struct {
		name  string
		flows []Flow
		conn  Connection
		want  Path
	}{
		{"output", chain([]Action{Output{3}}), conn, Path{Out: 3}},
		{"recirculation", chain([]Action{Recirc{1}}, []Action{Output{3}}), conn, Path{Out: 3}},
		{"two zones, one twice", chain([]Action{CT{Zone: 1}, CT{Zone: 2}, Recirc{1}}, []Action{CT{Zone: 1, Commit: true}, Output{4}}), conn,
			Path{Out: 4, Zones: []flows.Zone{1, 2, 1}}},
		{"bare nat", chain([]Action{CT{Zone: 1, NAT: true}, Output{3}}), conn, Path{Out: 3, Zones: []flows.Zone{1}}},
		{"commit of the same mark and label", chain([]Action{CT{Zone: 1, Commit: true, Mark: 0x2, MarkMask: 0xf, Labels: [16]byte{15: 1}, LabelsMask: [16]byte{15: 1}}, Output{3}}), conn,
			Path{Out: 3, Zones: []flows.Zone{1}}},
		{"force in the original direction", chain([]Action{CT{Zone: 1, Commit: true, Force: true}, Output{3}}), conn, Path{Out: 3, Zones: []flows.Zone{1}}},
		{"force where the entry is reversed", chain([]Action{CT{Zone: 2, Commit: true, Force: true}, Output{3}}), as(flows.Reply), Path{Out: 3, Zones: []flows.Zone{2}}},
		{"cleared", append(chain([]Action{CT{Zone: 1}, CTClear{}, Recirc{1}}), Flow{Match: match(map[Field]uint64{RecircID: 1, CTState: 0, CTZone: 0}), Actions: []Action{Output{3}}}), conn,
			Path{Out: 3, Zones: []flows.Zone{1}}},
		{"a long way", chain(slices.Repeat([][]Action{{Recirc{1}}, {Recirc{2}}, {Recirc{3}}, {Output{9}}}, 1)...), conn, Path{Out: 9}},
	} {
		got, err := Compose(NewTable(test.flows), tcpPacket(), test.conn)
		if err != nil || got.Out != test.want.Out || !slices.Equal(got.Zones, test.want.Zones) {
			t.Errorf("%s: %v, %v, want %v", test.name, got, err, test.want)
		}
	}
}

// TestTracked: what a packet has of each zone, in both directions.
func TestTracked(t *testing.T) {
	for _, test := range []struct {
		dir   flows.Dir
		zone  flows.Zone
		state uint64
		reply bool
	}{
		{flows.Orig, 1, 0x22, false}, {flows.Reply, 1, 0x2a, true},
		{flows.Orig, 2, 0x2a, true}, {flows.Reply, 2, 0x22, false},
	} {
		c, p := as(test.dir), tcpPacket()
		w := walk{conn: &c, packet: &p, tuple: ours}
		if _, err := w.run([]Action{CT{Zone: test.zone}}); err != nil {
			t.Fatal(err)
		}
		k := &w.packet.Key
		src, dst, from, to := k.Wide(IPSrc), k.Wide(IPDst), k.Uint(TPSrc), k.Uint(TPDst)
		if test.reply {
			src, dst, from, to = dst, src, to, from
		}
		if k.Uint(CTState) != test.state || k.Uint(CTZone) != uint64(test.zone) || k.Uint(CTIPProto) != 6 ||
			k.Wide(CTIPSrc) != src || k.Wide(CTIPDst) != dst || k.Uint(CTTPSrc) != from || k.Uint(CTTPDst) != to {
			t.Errorf("%s in zone %d: ct_state %#x, %+v", test.dir, test.zone, k.Uint(CTState), *k)
		}
		if test.zone == 1 && (k.Uint(CTMark) != 0x12 || k.Wide(CTLabel) != [16]byte{15: 0x81}) {
			t.Errorf("ct_mark %#x, ct_label %x", k.Uint(CTMark), k.Wide(CTLabel))
		}
		w.packet.untracked()
		if *w.packet != tcpPacket() {
			t.Errorf("something is left of conntrack: %+v", w.packet)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		name    string
		actions []Action
		dir     flows.Dir
		want    Refusal // Detail: a part of it
	}{
		{"dropped", nil, flows.Orig, Refusal{flows.PathDropped, "no output"}},
		{"tracked and dropped", []Action{CT{Zone: 1}}, flows.Orig, Refusal{flows.PathDropped, "no output"}},
		{"two outputs", []Action{Output{3}, Output{4}}, flows.Orig, Refusal{flows.UnsupportedOutputs, "more than one way"}},
		{"output and recirculation", []Action{Output{3}, Recirc{1}}, flows.Orig, Refusal{flows.UnsupportedOutputs, "more than one way"}},
		{"recirculation and output", []Action{Recirc{1}, Output{3}}, flows.Orig, Refusal{flows.UnsupportedOutputs, "more than one way"}},
		{"two recirculations", []Action{Recirc{1}, Recirc{2}}, flows.Orig, Refusal{flows.UnsupportedOutputs, "more than one way"}},
		{"behind an output", []Action{Output{3}, CT{Zone: 1}}, flows.Orig, Refusal{flows.UnsupportedAction, "ct(zone=1) behind an output"}},
		{"cleared behind an output", []Action{Output{3}, CTClear{}}, flows.Orig, Refusal{flows.UnsupportedAction, "ct_clear behind"}},
		{"unsupported behind an output", []Action{Output{3}, Unsupported{flows.UnsupportedUpcall, "userspace(pid=1)"}}, flows.Orig, Refusal{flows.UnsupportedUpcall, "userspace(pid=1)"}},
		{"unsupported", []Action{Unsupported{flows.UnsupportedVLAN, "pop_vlan"}, Output{3}}, flows.Orig, Refusal{flows.UnsupportedVLAN, "pop_vlan"}},
		{"no action", []Action{nil, Output{3}}, flows.Orig, Refusal{flows.UnsupportedAction, "nil"}},
		{"back", []Action{Output{7}}, flows.Orig, Refusal{flows.UnsupportedHairpin, "port 7"}},
		{"other zone", []Action{CT{Zone: 3}, Output{3}}, flows.Orig, Refusal{flows.ZoneUnknown, "not established in zone 3"}},
		{"helper", []Action{CT{Zone: 1, Helper: "ftp"}, Output{3}}, flows.Orig, Refusal{flows.UnsupportedAction, "helper=ftp"}},
		{"force, reply", []Action{CT{Zone: 1, Commit: true, Force: true}, Output{3}}, flows.Reply, Refusal{flows.UnsupportedAction, "force_commit"}},
		{"force, reversed", []Action{CT{Zone: 2, Commit: true, Force: true}, Output{3}}, flows.Orig, Refusal{flows.UnsupportedAction, "force_commit"}},
		{"other mark", []Action{CT{Zone: 1, Commit: true, Mark: 0x1, MarkMask: 0x1}, Output{3}}, flows.Orig, Refusal{flows.UnsupportedAction, "changes mark"}},
		{"other label", []Action{CT{Zone: 1, Commit: true, LabelsMask: [16]byte{15: 1}}, Output{3}}, flows.Orig, Refusal{flows.UnsupportedAction, "changes the label"}},
		{"label without room", []Action{CT{Zone: 2, Commit: true, LabelsMask: [16]byte{15: 1}}, Output{3}}, flows.Orig, Refusal{flows.UnsupportedAction, "without labels"}},
	} {
		_, err := Compose(NewTable(chain(test.actions)), tcpPacket(), as(test.dir))
		var r *Refusal
		if !errors.As(err, &r) || r.Reason != test.want.Reason || !strings.Contains(r.Detail, test.want.Detail) {
			t.Errorf("%s: %v, want %v", test.name, err, &test.want)
		}
	}
}

func TestUnknown(t *testing.T) {
	ttl := Flow{Match: match(map[Field]uint64{RecircID: 0, IPTTL: 64}), Actions: []Action{Output{3}}}
	flags := Flow{Actions: []Action{Output{3}}}
	flags.Match.SetUint(RecircID, 0, ^uint64(0))
	flags.Match.SetUint(TCPFlags, 0x10, 0x10)
	odd := chain([]Action{Output{3}})[0]
	odd.Unknown = "key attribute 40"
	other := Flow{Match: match(map[Field]uint64{RecircID: 0, InPort: 7}), Actions: []Action{Output{4}}}
	circle := chain([]Action{Recirc{1}}, []Action{Recirc{2}}, []Action{Recirc{1}})
	for _, test := range []struct {
		name  string
		flows []Flow
		want  string
	}{
		{"empty", nil, "no flow with recirc_id(0x0),in_port(7) matches"},
		{"no next", chain([]Action{Recirc{0x1f}}), "recirc_id(0x1f)"},
		{"other packet", []Flow{{Match: match(map[Field]uint64{RecircID: 0, InPort: 8})}}, "no flow"},
		{"TTL", []Flow{ttl}, "depends on nw_ttl"},
		{"flags", []Flow{flags}, "depends on tcp_flags"},
		{"not understood", []Flow{odd}, "depends on key attribute 40"},
		{"overlap", append(chain([]Action{Output{3}}), other), "two match that differ"},
		{"overlap in doubt", append(chain([]Action{Output{5}}), ttl), "depends on nw_ttl"},
		{"circle", circle, "circle through recirc_id"},
		{"endless", endless(), "no end after 64 flows"},
	} {
		_, err := Compose(NewTable(test.flows), tcpPacket(), conn)
		if !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
	// whatever its TTL, the next packet meets an action that no rule has, or no flow
	ttl.Actions = []Action{SetUint(IPTTL, 63, 255), Output{3}}
	var r *Refusal
	if _, err := Compose(NewTable([]Flow{ttl}), tcpPacket(), conn); !errors.As(err, &r) || r.Reason != flows.UnsupportedRouted {
		t.Errorf("dec_ttl: %v", err)
	}
	ttl.Actions = []Action{Output{3}}
	// overlaps that do the same are no matter, nor is what no packet of ours has
	ttl.Match.SetUint(TCPFlags, 2, 2)
	same := Flow{Match: match(map[Field]uint64{RecircID: 0, IPTOS: 4}), Actions: []Action{Output{3}}}
	if got, err := Compose(NewTable(append(chain([]Action{Output{3}}), ttl, same)), tcpPacket(), conn); err != nil || got.Out != 3 {
		t.Errorf("%v, %v", got, err)
	}
}

// TestUnknownIndexed: flows are found too by what is usually known and here is not.
func TestUnknownIndexed(t *testing.T) {
	icmp := NewPacket(7, flows.Frame{}, tuple(t, "icmp,10.0.0.1,10.0.0.2"))
	any := Flow{Match: match(map[Field]uint64{RecircID: 0, InPort: 7}), Actions: []Action{Output{3}}}
	echo := Flow{Match: match(map[Field]uint64{RecircID: 0, InPort: 7, IPProto: 1, TPSrc: 8}), Actions: []Action{Output{4}}}
	table := NewTable([]Flow{any, echo})
	if _, err := table.Lookup(&icmp); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "depends on tp_src") {
		t.Error(err)
	}
	if _, err := table.Lookup(&Packet{}); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
}

// endless is a chain without a circle that is too long.
func endless() []Flow {
	var all [][]Action
	for id := range uint32(maxFlows + 10) {
		all = append(all, []Action{Recirc{id + 1}})
	}
	return chain(all...)
}

func TestLookupDoesNotAllocate(t *testing.T) {
	d := newNode(1000)
	table := NewTable(d.flows)
	n := testing.AllocsPerRun(100, func() {
		for i := range d.packets {
			if _, err := table.Lookup(&d.packets[i]); err != nil {
				t.Fatal(err)
			}
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
