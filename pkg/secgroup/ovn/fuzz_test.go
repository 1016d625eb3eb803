package ovn

import (
	"reflect"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// FuzzMatch looks for matches that take the parser down, or that are not the same after they
// were printed and read again.
func FuzzMatch(f *testing.F) {
	for _, match := range understoodWholly {
		f.Add(match)
	}
	f.Add(`!(inport != "a") && eth.src == 00:11:22:33:44:55/ff:ff:ff:00:00:00 && is_chassis_resident("x")`)
	f.Add(`ip6.src == ::ffff:10.0.0.1/::ffff:0:0 || reg8[30..31] == 0x2/0x3 || 0/0xff == tcp.dst`)
	f.Fuzz(func(t *testing.T, match string) {
		if len(match) > 1<<12 {
			return
		}
		u := understand(match, flows.Ingress, testWorld)
		for _, p := range u.parts {
			if len(p.matches) == 0 {
				t.Errorf("%q: a part of nothing", match)
			}
		}
		e, err := parse(match)
		if err != nil {
			return
		}
		text := printed(e)
		again, err := parse(text)
		if err != nil {
			t.Fatalf("%q is printed as %q: %v", match, text, err)
		}
		if printed(again) != text {
			t.Fatalf("%q is printed as %q, and read as %q", match, text, printed(again))
		}
		if v := understand(text, flows.Ingress, testWorld); !reflect.DeepEqual(u.parts, v.parts) {
			t.Fatalf("%q means %+v; printed as %q it means %+v", match, u.parts, text, v.parts)
		}
	})
}

// FuzzActions looks for actions that take their parser down.
func FuzzActions(f *testing.F) {
	f.Add(`log(name="a;b", severity=info); reg8[16] = 1; reg0[1] = 1; next;`)
	f.Add(`ct_commit { ct_mark.blocked = 1; }; /* drop */`)
	f.Add("reg0 = 0; reject { /* x */ outport <-> inport; next(pipeline=egress,table=9); };")
	f.Fuzz(func(t *testing.T, actions string) {
		o := outcomeOf(actions)
		if a, ok := o.action(true, true); o.strange && (!ok || a != secgroup.Unknown) {
			t.Errorf("%q: %+v is %v", actions, o, a)
		}
	})
}
