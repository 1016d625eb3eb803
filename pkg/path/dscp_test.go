package path

import (
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/tap"
)

// An answer says the code point of the last packet of the original direction that came in
// where the path begins. It makes no second answer of one.
func TestDSCP(t *testing.T) {
	l := newLab(t)
	l.honest()
	see := func(port flows.PortID, tuple flows.Tuple, d flows.DSCP, after time.Duration) {
		src, dst := macA, macB
		if port == 2 {
			src, dst = macB, macA
		}
		l.r.Sighted(tap.Sighting{Port: port, Tuple: tuple, Frame: flows.Frame{SrcMAC: src, DstMAC: dst}, DSCP: d, At: now.Add(after)})
	}
	for i, tt := range []struct {
		see  func()
		want flows.DSCP
	}{
		{func() {}, 0},
		{func() { see(1, l.orig, 47, time.Second) }, 47},
		{func() { see(2, l.orig.Reverse(), 11, 2*time.Second) }, 47}, // of replies
		{func() { see(1, l.orig, 1, 3*time.Second) }, 1},             // it has changed
		{func() { see(1, l.orig, 47, 2*time.Second) }, 1},            // late
	} {
		tt.see()
		a, err := l.r.Resolve(t.Context(), Request{Key: flows.EntryKey{Zone: 5, Tuple: l.orig}, Reply: l.orig.Reverse()}, now.Add(4*time.Second))
		if err != nil || a.DSCP != tt.want {
			t.Errorf("%d: DSCP %d, want %d; %v", i, a.DSCP, tt.want, err)
		}
	}
	if n := len(l.r.seen.Seen(l.orig, now)); n != 1 {
		t.Errorf("%d sightings of one frame", n)
	}
}

// What two ports have seen of one packet counts once, with the later code point.
func TestDSCPOfTwo(t *testing.T) {
	s := newStore[int, int](8, 4)
	s.addCoded(1, origin{1, 1}, 7, 5, 200)
	s.addCoded(1, origin{1, 2}, 7, 6, 100)
	s.addCoded(2, origin{1, 2}, 7, 6, 100)
	s.addCoded(2, origin{1, 1}, 7, 5, 200)
	for key := range 2 {
		if got := s.lookup(nil, key+1, 0); len(got) != 1 || got[0].code != 5 || got[0].last != 200 {
			t.Errorf("%+v", got)
		}
	}
}
