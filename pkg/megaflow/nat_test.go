package megaflow

import (
	"errors"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
)

// entries of a connection from 10.0.0.1:40000 to 10.0.0.2:5201 that is translated in
// zone 1 in some way.
func translated(t *testing.T, to string) flows.ZoneState {
	return flows.ZoneState{Zone: 1, Tuple: ours, Reply: tuple(t, to).Reverse()}
}

// TestNAT: what packets have of a zone that translates, in both directions.
func TestNAT(t *testing.T) {
	snat, dnat := "tcp,192.0.2.1:1,10.0.0.2:5201", "tcp,10.0.0.1:40000,10.0.9.9:80"
	both, none := "tcp,192.0.2.1:1,10.0.9.9:80", ours.String()
	for _, test := range []struct {
		name  string
		to    string // what the original direction becomes
		reply bool
		ct    CT
		bits  uint64 // of ct_state, beside those of est and rpl
		known uint64
		moved bool
	}{
		{"source", snat, false, CT{Zone: 1, NAT: true}, csSrcNAT, csNAT, true},
		{"source, back", snat, true, CT{Zone: 1, NAT: true}, csDstNAT, csNAT, true},
		{"destination", dnat, false, CT{Zone: 1, NAT: true}, csDstNAT, csDstNAT, true},
		{"destination, back", dnat, true, CT{Zone: 1, NAT: true}, csSrcNAT, csNAT, true},
		{"both", both, false, CT{Zone: 1, NAT: true}, csNAT, csNAT, true},
		{"both, back", both, true, CT{Zone: 1, NAT: true}, csNAT, csNAT, true},
		{"committed again with another range", snat, false, CT{Zone: 1, Commit: true, NAT: true, NATDst: true}, csSrcNAT, csNAT, true},
		{"not asked for", snat, false, CT{Zone: 1}, 0, csNAT, false},
		{"nothing to do", none, false, CT{Zone: 1, NAT: true}, 0, csNAT, false},
		{"a range for others", none, false, CT{Zone: 1, Commit: true, NAT: true, NATSrc: true}, csSrcNAT, csNAT, false},
		{"a range for others, back", none, true, CT{Zone: 1, Commit: true, NAT: true, NATDst: true}, csDstNAT, csNAT, false},
	} {
		s := translated(t, test.to)
		from, to := s.Tuple, s.Reply.Reverse()
		state := uint64(0x22)
		if test.reply {
			from, to, state = s.Reply, s.Tuple.Reverse(), 0x2a
		}
		if !test.moved {
			to = from
		}
		c, p := Connection{Tuple: from, States: []flows.ZoneState{s}}, NewPacket(7, flows.Frame{}, from)
		w := walk{conn: &c, packet: &p, tuple: from}
		if _, err := w.run([]Action{test.ct}); err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if p.Key.Uint(CTState) != state|test.bits || p.Known.Uint(CTState)&csNAT != test.known || w.tuple != to || p.Addressed(from) != to {
			t.Errorf("%s: ct_state %#x, %s", test.name, p.Key.Uint(CTState), w.tuple)
		}
		if p.Key.Wide(CTIPSrc) != wide(ours.Src) || p.Key.Uint(CTTPDst) != 5201 {
			t.Errorf("%s: the original tuple is %x", test.name, p.Key)
		}
	}
}

// TestNATOnTheWay: from zone to zone, once in each.
func TestNATOnTheWay(t *testing.T) {
	one := translated(t, "tcp,192.0.2.1:1,10.0.0.2:5201")
	after := one.Reply.Reverse()
	two := flows.ZoneState{Zone: 2, Tuple: after, Reply: tuple(t, "tcp,192.0.2.1:1,10.0.9.9:80").Reverse()}
	conn := Connection{Tuple: ours, States: []flows.ZoneState{two, one}}
	nat := func(zone flows.Zone) Action { return CT{Zone: zone, NAT: true} }
	for _, test := range []struct {
		name    string
		actions []Action
		want    flows.Tuple
		reason  flows.Reason
	}{
		{"both", []Action{nat(1), nat(2), Output{3}}, two.Reply.Reverse(), ""},
		{"once in a zone", []Action{nat(1), nat(1), CT{Zone: 1, Commit: true}, Output{3}}, after, ""},
		{"later", []Action{CT{Zone: 1}, nat(1), Output{3}}, after, ""},
		{"the untranslated one is not known there", []Action{CT{Zone: 1}, nat(2), Output{3}}, ours, flows.ZoneUnknown},
		{"nor is the translated one here", []Action{nat(1), CT{Zone: 2}, nat(1), Output{3}}, ours, flows.ZoneUnknown},
		{"nor after a ct_clear", []Action{nat(1), CTClear{}, nat(1), Output{3}}, ours, flows.ZoneUnknown},
		{"set by hand", []Action{SetWide(IPSrc, wide(after.Src), [16]byte{12: 255, 255, 255, 255}), SetUint(TPSrc, 1, 0xffff), nat(2), Output{3}}, two.Reply.Reverse(), ""},
		{"behind another change", []Action{CT{Zone: 1}, SetUint(TPDst, 9, 0xffff), nat(1), Output{3}}, ours, flows.UnsupportedNAT},
	} {
		path, err := Compose(NewTable(chain(test.actions)), tcpPacket(), conn)
		var r *Refusal
		switch {
		case test.reason != "":
			if !errors.As(err, &r) || r.Reason != test.reason {
				t.Errorf("%s: %v", test.name, err)
			}
		case err != nil, path.Tuple != test.want:
			t.Errorf("%s: %+v, %v", test.name, path, err)
		}
	}
	path, err := Compose(NewTable(chain([]Action{nat(1), nat(2), Output{3}})), tcpPacket(), conn)
	if err != nil || len(path.States) != 2 || path.States[0] != 1 || path.States[1] != 0 {
		t.Errorf("the entries on the way: %+v, %v", path, err)
	}
}
