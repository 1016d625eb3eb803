package path

import (
	"fmt"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
)

func newWireLab(t *testing.T) *lab {
	l := newLab(t)
	l.port(8, func(*Port) {})
	l.port(9, func(*Port) {})
	l.wire = true
	return l
}

func TestWire(t *testing.T) {
	l := newWireLab(t)
	l.packet(9, l.orig, macA, macB)
	l.wantReason(5, flows.PathUnknown)
	l.packet(8, l.orig.Reverse(), macB, macA)
	l.wantPath(5, paths(9, 8, macA, macB))

	t.Run("OVS does something else with what enters", func(t *testing.T) {
		l.refuses[9] = flows.PathDropped
		l.wantReason(5, flows.PathDropped)
		delete(l.refuses, 9)
	})
	t.Run("attacker behind one end", func(t *testing.T) {
		l.packet(9, l.orig, macX, macB)
		l.wantPath(5, paths(9, 8, macA, macB))
	})
	t.Run("attacker elsewhere", func(t *testing.T) {
		l.packet(3, l.orig, macA, macB)
		l.packet(3, l.orig.Reverse(), macB, macA)
		l.wantPath(5, paths(9, 8, macA, macB))
	})
	t.Run("an end goes down", func(t *testing.T) {
		l.port(8, func(p *Port) { p.Up = false })
		l.wantReason(5, flows.PortDown)
	})
}

func TestWireBetweenRouters(t *testing.T) {
	l := newWireLab(t)
	l.packet(8, l.orig, macA, macB)
	l.packet(9, l.orig.Reverse(), macY, macZ)
	want := flows.Paths{{In: 8, Out: 9, Frame: flows.Frame{SrcMAC: macA, DstMAC: macB}}, {In: 9, Out: 8, Frame: flows.Frame{SrcMAC: macY, DstMAC: macZ}}}
	l.wantPath(5, want)
	l.packet(8, l.orig, macX, macB)
	l.wantReason(5, flows.PathAmbiguous)
}

func TestWireRefusals(t *testing.T) {
	t.Run("tagged packets pass", func(t *testing.T) {
		l := newWireLab(t)
		tag := flows.Tag{Type: flows.TagCustomer, ID: 7}
		l.tagged(8, l.orig, macA, macB, tag)
		l.tagged(9, l.orig.Reverse(), macB, macA, tag)
		want := paths(8, 9, macA, macB)
		want[0].Tags[0], want[1].Tags[0] = tag, tag
		l.wantPath(5, want)
	})
	t.Run("both directions at one end", func(t *testing.T) {
		l := newWireLab(t)
		l.packet(8, l.orig, macA, macB)
		l.packet(8, l.orig.Reverse(), macB, macA)
		l.wantReason(5, flows.PathUnknown)
	})
	t.Run("from the wire to another port", func(t *testing.T) {
		l := newWireLab(t)
		l.packet(8, l.orig, macA, macB)
		l.packet(2, l.orig.Reverse(), macB, macA)
		l.wantReason(5, flows.PathUnknown)
	})
	t.Run("on the wire and on a bridge", func(t *testing.T) {
		l := newWireLab(t)
		l.honest()
		l.packet(8, l.orig, macA, macB)
		l.packet(9, l.orig.Reverse(), macB, macA)
		l.wantReason(5, flows.PathAmbiguous)
	})
}

func TestParseWires(t *testing.T) {
	got, err := ParseWires(" p0:p1, p2:p3,")
	if err != nil || fmt.Sprint(got) != fmt.Sprint([]Wire{{Ends: [2]string{"p0", "p1"}}, {Ends: [2]string{"p2", "p3"}}}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"p0", "p0:", ":p1", "p0:p1:p2", "p0:p0", "p0:p1,p1:p2"} {
		if got, err := ParseWires(bad); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}
