package megaflow

import (
	"testing"

	"github.com/flowshunt/flowshunt/flows"
)

func TestRelax(t *testing.T) {
	tunnel := Encap{flows.RefTo(flows.Tunnel{ID: 7})}
	check := func(longer, fits []Action) Action {
		return CheckLength{1400, &Branches{longer, fits}}
	}
	for _, test := range []struct {
		name    string
		field   Field
		value   uint64
		mask    uint64
		actions []Action
		want    []Action // nil: it stays as it is
		none    bool     // with no action changed, but without the condition
	}{
		{"a router", IPTTL, 64, 255, []Action{SetUint(IPTTL, 63, 255), Output{1}}, []Action{DecTTL{1}, Output{1}}, false},
		{"three routers", IPTTL, 64, 255, []Action{SetUint(IPTTL, 61, 255), Output{1}}, []Action{DecTTL{3}, Output{1}}, false},
		{"one by one", IPTTL, 64, 255, []Action{SetUint(IPTTL, 63, 255), SetUint(IPTTL, 62, 255), Output{1}}, []Action{DecTTL{1}, DecTTL{1}, Output{1}}, false},
		{"if it fits", IPTTL, 64, 255, []Action{SetUint(IPTTL, 63, 255), check(nil, []Action{SetUint(IPTTL, 62, 255), Output{1}})},
			[]Action{DecTTL{1}, check(nil, []Action{DecTTL{1}, Output{1}})}, false},
		{"set elsewhere if it does not fit", IPTTL, 64, 255, []Action{check([]Action{SetUint(IPTTL, 10, 255)}, []Action{Output{1}})}, nil, false},
		{"four routers", IPTTL, 64, 255, []Action{SetUint(IPTTL, 60, 255), Output{1}}, nil, false},
		{"raised", IPTTL, 64, 255, []Action{SetUint(IPTTL, 255, 255), Output{1}}, nil, false},
		{"the same", IPTTL, 64, 255, []Action{SetUint(IPTTL, 64, 255), Output{1}}, nil, false},
		{"a part of it", IPTTL, 64, 255, []Action{SetUint(IPTTL, 63, 127), Output{1}}, nil, false},
		{"asked for in part", IPTTL, 64, 127, []Action{SetUint(IPTTL, 63, 255), Output{1}}, nil, false},
		{"not asked for", IPTOS, 0, 0xfc, []Action{SetUint(IPTTL, 63, 255), Output{1}}, nil, false},
		{"looked at", IPTTL, 64, 255, []Action{Output{1}}, nil, true},
		{"used up", IPTTL, 1, 255, []Action{Unsupported{flows.UnsupportedUpcall, "userspace"}}, nil, false},
		{"into a tunnel", IPTOS, 1, 3, []Action{tunnel, Output{1}}, nil, true},
		{"into a tunnel of OVS's own", IPTOS, 1, 3, []Action{TunnelOutput{Port: 1}}, nil, true},
		{"into a tunnel if it fits", IPTOS, 1, 3, []Action{check(nil, []Action{tunnel, Output{1}})}, nil, true},
		{"inherits its TOS", IPTOS, 1, 255, []Action{tunnel, Output{1}}, nil, false},
		{"ECN without a tunnel", IPTOS, 1, 3, []Action{Output{1}}, nil, false},
	} {
		f := Flow{Match: match(map[Field]uint64{RecircID: 7}), Actions: test.actions}
		f.Match.SetUint(test.field, test.value, test.mask)
		relaxed := f.Relax()
		want := test.want
		if want == nil {
			want = test.actions
		}
		if is := f.Match.Mask.Uint(test.field) == 0; relaxed != is || is != (test.none || test.want != nil) || !equal(f.Actions, want) || f.Match.Key.Uint(RecircID) != 7 {
			t.Errorf("%s: %v, %+v", test.name, relaxed, f)
		}
	}
	both := Flow{Actions: []Action{tunnel, SetUint(IPTTL, 63, 255), Output{1}}}
	both.Match.SetUint(IPTTL, 64, 255)
	both.Match.SetUint(IPTOS, 0, 3)
	if both.Relax(); both.Match != (Match{}) {
		t.Errorf("a router before a tunnel: %+v", both)
	}
}
