package flower

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/tc"
)

func ruleFilter(t *testing.T, first uint16, proto flows.Proto, v6 bool) tc.Filter {
	t.Helper()
	tuple := flows.Tuple{Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2"), Proto: proto}
	if v6 {
		tuple.Src, tuple.Dst = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	}
	rule := flows.Rule{In: 3, Out: 4, Frame: flows.Frame{SrcMAC: flows.MAC{2}, DstMAC: flows.MAC{4}}, Tuple: tuple}
	class, ok := eswitch.ClassOf(rule)
	if !ok {
		t.Fatalf("%s has no class", tuple)
	}
	f := tc.Filter{Actions: make([]tc.Action, 1)}
	d := Driver{cfg: Config{Preference: first}}
	if err := d.encode(&f, &eswitch.Change{Session: 5, Ref: eswitch.Ref{Link: 3, Class: class, Handle: 2}, Rule: rule}, tc.SkipHW); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFirstPreference(t *testing.T) {
	for _, proto := range []flows.Proto{flows.TCP, flows.UDP, flows.SCTP, flows.ESP, flows.GRE} {
		for _, v6 := range []bool{false, true} {
			for _, want := range []uint16{1, 5, 100, DefaultPreference, 1<<16 - eswitch.Classes, 1<<16 - 8} {
				f := ruleFilter(t, want, proto, v6)
				if got, ours := firstPreference(&f); !ours || got != want {
					t.Errorf("%s, IPv6 %v at %d: found %d, %v", proto, v6, want, got, ours)
				}
			}
		}
	}
}

func TestFirstPreferenceOfOthers(t *testing.T) {
	for name, change := range map[string]func(*tc.Filter){
		"kind":      func(f *tc.Filter) { f.Kind = "u32" },
		"no handle": func(f *tc.Filter) { f.Handle = 0 },
		"no action": func(f *tc.Filter) { f.Actions = nil },
		"no cookie": func(f *tc.Filter) { f.Actions[0].Cookie = tc.Cookie{} },
		"OVS's":     func(f *tc.Filter) { f.Actions[0].Cookie = tc.NewCookie(make([]byte, 16)) },
		"one alien": func(f *tc.Filter) { f.Actions = append(f.Actions, tc.Action{Kind: tc.KindMirred}) },
		"ICMP":      func(f *tc.Filter) { f.Match.IPProto = 1 },
		"too low":   func(f *tc.Filter) { f.Pref = 0 },
		"of many":   func(f *tc.Filter) { f.Match.Dst = tc.AddrMatch{} },
	} {
		f := ruleFilter(t, 100, flows.UDP, false)
		change(&f)
		if first, ours := firstPreference(&f); ours {
			t.Errorf("%s: taken for ours at %d", name, first)
		}
	}
}

// TestCheckPreference: what may be found is more than what may be configured.
func TestCheckPreference(t *testing.T) {
	for first, possible := range map[uint16]bool{
		0: false, 1: false, 5: false, 6: true, DefaultPreference: true, 1<<16 - 24: true, 1<<16 - 23: false, 1<<16 - 8: false,
	} {
		if err := CheckPreference(first); (err == nil) != possible {
			t.Errorf("%d: %v, want %t", first, err, possible)
		}
	}
	d, err := Open(Config{Preference: 1<<16 - 8})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Prepare(t.Context(), 1); err == nil {
		t.Error("a port was prepared for preferences that are not there")
	}
	c := []eswitch.Change{{Op: eswitch.Delete, Ref: eswitch.Ref{Link: 1, Class: eswitch.Classes, Handle: 2}}}
	if d.Apply(t.Context(), c); !errors.Is(c[0].Err, eswitch.ErrRefused) {
		t.Errorf("a class beyond the last preference: %v", c[0].Err)
	}
}
