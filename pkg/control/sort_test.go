package control

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
)

// TestPickIsSortAndCut compares the bounded heap with the plain way.
func TestPickIsSortAndCut(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		list := make([]Session, r.IntN(40))
		for i := range list {
			list[i] = randomSession(r)
			list[i].ID = flows.SessionID(i) // no ties: only one order is right
		}
		f := Filter{All: r.IntN(2) == 0, Sort: Sort(r.IntN(4))}
		limit := r.IntN(12)
		want := slices.DeleteFunc(slices.Clone(list), func(s Session) bool { return !f.Match(&s) })
		matched := len(want)
		slices.SortFunc(want, func(a, b Session) int { return f.Sort.compare(&a, &b) })
		want = want[:min(limit, len(want))]

		got, n := pick(slices.Values(list), &f, limit)
		if n != uint64(matched) {
			t.Fatalf("matched %d, want %d", n, matched)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("sort %s limit %d:\n%v\nwant\n%v", f.Sort, limit, got, want)
		}
	}
}

func TestOrders(t *testing.T) {
	a, b := filledSession(), filledSession()
	b.Rate, b.SlowBytes, b.Since = a.Rate+1, a.SlowBytes+1, a.Since.Add(-1)
	for _, order := range []Sort{SortRate, SortBytes, SortAge} {
		if order.compare(&b, &a) >= 0 || order.compare(&a, &b) <= 0 {
			t.Errorf("%s: the larger does not come first", order)
		}
	}
}

func TestFilterMatch(t *testing.T) {
	zone, other := flows.Zone(3), flows.Zone(4)
	for name, tc := range map[string]struct {
		filter Filter
		want   bool
	}{
		"zero":          {Filter{}, true},
		"in port":       {Filter{Port: "i"}, true},
		"out port":      {Filter{Port: "o"}, true},
		"other port":    {Filter{Port: "x"}, false},
		"state":         {Filter{States: []State{StateRemoving, StateOffloaded}}, true},
		"other state":   {Filter{States: []State{StateRemoving}}, false},
		"reason":        {Filter{Reason: flows.UnsupportedNAT}, true},
		"family":        {Filter{Reason: "path-unsupported"}, true},
		"half a word":   {Filter{Reason: "path-unsupp"}, false},
		"longer":        {Filter{Reason: "path-unsupported/nat/x"}, false},
		"source":        {Filter{Prefix: netip.MustParsePrefix("2001:db8::1/128")}, true},
		"destination":   {Filter{Prefix: netip.MustParsePrefix("2001:db8::2/128")}, true},
		"elsewhere":     {Filter{Prefix: netip.MustParsePrefix("2001:db8:1::/48")}, false},
		"other family":  {Filter{Prefix: netip.MustParsePrefix("0.0.0.0/0")}, false},
		"zone":          {Filter{Zone: &zone}, true},
		"other zone":    {Filter{Zone: &other}, false},
		"all narrow it": {Filter{Port: "i", Zone: &other}, false},
	} {
		s := filledSession()
		s.Reason = flows.UnsupportedNAT
		if got := tc.filter.Match(&s); got != tc.want {
			t.Errorf("%s: %t, want %t", name, got, tc.want)
		}
	}
	s := Session{State: StateFollowing}
	for want, f := range map[bool]Filter{false: {}, true: {All: true}} {
		if f.Match(&s) != want {
			t.Errorf("following with All=%t: %t", f.All, !want)
		}
	}
	if f := (Filter{States: []State{StateFollowing}}); !f.Match(&s) || !f.WantsFollowing() {
		t.Error("naming the state following does not imply All")
	}
}
