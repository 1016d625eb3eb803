package flower

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/eswitchtest"
	"github.com/flowshunt/flowshunt/pkg/tc"
)

// words says a list of actions shortly.
func words(actions []tc.Action) string {
	var s []string
	for _, a := range actions {
		switch a.Kind {
		case tc.KindVLAN:
			s = append(s, [...]string{"", "pop", "push", "modify"}[a.VLAN.Op]+fmt.Sprintf("(%d)", a.VLAN.TCI.Value&0xfff))
		case tc.KindTunnelKey:
			s = append(s, [...]string{"", "set", "unset"}[a.Tunnel.Op])
		case tc.KindCsum:
			s = append(s, fmt.Sprintf("csum(%#x)", uint32(a.Checksums)))
		default:
			s = append(s, a.Kind)
		}
	}
	return strings.Join(s, " ")
}

// TestActionLists pins the lists of both directions of each shape, in the words for
// hardware and, where these differ, for the kernel.
func TestActionLists(t *testing.T) {
	r := &eswitchtest.Rig{A: 1, B: 2}
	want := map[string][2]string{
		"tagged":                   {"mirred", "mirred"},
		"tagged by a provider":     {"mirred", "mirred"},
		"tagged twice":             {"mirred", "mirred"},
		"from access to trunk":     {"push(9) mirred", "pop(0) mirred"},
		"other tag":                {"modify(9) mirred", "modify(7) mirred"},
		"other type of tag":        {"modify(8) mirred", "modify(7) mirred"},
		"tags put on":              {"push(7) push(8) mirred", "pop(0) pop(0) mirred"},
		"tag put on":               {"push(8) mirred", "pop(0) mirred"},
		"inner tag":                {"pop(0) modify(9) push(8) mirred", "pop(0) modify(7) push(8) mirred"},
		"routed":                   {"pedit csum(0x1) mirred", "pedit csum(0x1) mirred"},
		"routed thrice":            {"pedit mirred", "pedit mirred"},
		"routed between tags":      {"pedit csum(0x1) modify(9) mirred", "pedit csum(0x1) modify(7) mirred"},
		"routed with two tags":     {"pop(0) pedit push(8) mirred", "pop(0) pedit push(8) mirred"},
		"floating IP":              {"pedit csum(0x9) mirred", "pedit csum(0x9) mirred"},
		"ports":                    {"pedit csum(0x11) mirred", "pedit csum(0x11) mirred"},
		"NAT over IPv6":            {"pedit csum(0x8) mirred", "pedit csum(0x8) mirred"},
		"NAT of UDP over IPv6":     {"pedit csum(0x10) mirred", "pedit csum(0x10) mirred"},
		"NAT without ports":        {"pedit csum(0x1) mirred", "pedit csum(0x1) mirred"},
		"NAT of SCTP":              {"pedit csum(0x1) mirred", "pedit csum(0x1) mirred"},
		"SNAT":                     {"pedit csum(0x11) mirred", "pedit csum(0x11) mirred"},
		"Geneve":                   {"set mirred", "unset mirred"},
		"Geneve, routed":           {"pedit set mirred", "unset pedit mirred"},
		"Geneve from a tag":        {"pop(0) set mirred", "unset push(7) mirred"},
		"Geneve with a tag inside": {"pedit csum(0x1) set mirred", "unset pedit csum(0x1) mirred"},
		"VXLAN over IPv6":          {"pedit csum(0x9) set mirred", "unset pedit csum(0x9) mirred"},
	}
	software := map[string][2]string{
		"floating IP":     {"nat nat pedit csum(0x1) mirred", "nat nat pedit csum(0x1) mirred"},
		"SNAT":            {"nat mirred", "nat mirred"},
		"VXLAN over IPv6": {"nat nat pedit csum(0x9) set mirred", "unset nat nat pedit csum(0x9) mirred"},
	}
	for _, s := range eswitchtest.Shapes {
		for _, rule := range r.Shaped(1, s).Rules {
			actions, err := appendActions(nil, &rule, false)
			if got := words(actions); got != want[s.Name][rule.Dir] || err != nil {
				t.Errorf("%s, %s: %q, %v, want %q", s.Name, rule.Dir, got, err, want[s.Name][rule.Dir])
			}
			actions, err = appendActions(nil, &rule, true)
			kernel, other := software[s.Name]
			switch {
			case s.V6 && s.NAT != nil, s.Name == "ports":
				if !errors.Is(err, eswitch.ErrRefused) {
					t.Errorf("%s in software: %v, want ErrRefused", s.Name, err)
				}
			case other && words(actions) != kernel[rule.Dir], !other && words(actions) != want[s.Name][rule.Dir], err != nil:
				t.Errorf("%s, %s in software: %q, %v", s.Name, rule.Dir, words(actions), err)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	r := &eswitchtest.Rig{A: 1, B: 2}
	for name, s := range map[string]eswitchtest.Shape{
		"ports of SCTP":        {Proto: flows.SCTP, NAT: func(t flows.Tuple) flows.Tuple { t.SrcPort = 5; return t }},
		"tunnel without a TTL": {Proto: flows.TCP, Tunnel: flows.Tunnel{Dst: flows.Tuple{}.Dst, ID: 1}},
	} {
		rule := r.Shaped(1, s).Rules[flows.Orig]
		if _, err := appendActions(nil, &rule, false); !errors.Is(err, eswitch.ErrRefused) {
			t.Errorf("%s: %v, want ErrRefused", name, err)
		}
	}
}

// TestHardwareAlone: what the kernel cannot do is given to hardware alone where both
// may have it.
func TestHardwareAlone(t *testing.T) {
	r := &eswitchtest.Rig{A: 1, B: 2}
	ports := func(t flows.Tuple) flows.Tuple { t.SrcPort = 5; return t }
	for name, tt := range map[string]struct {
		shape eswitchtest.Shape
		alone bool
	}{
		"addresses":          {eswitchtest.Shape{Proto: flows.TCP, NAT: func(t flows.Tuple) flows.Tuple { t.Src = t.Src.Next(); return t }}, true},
		"ports of UDP":       {eswitchtest.Shape{Proto: flows.UDP, NAT: ports}, true},
		"ports of UDP, IPv6": {eswitchtest.Shape{Proto: flows.UDP, V6: true, NAT: ports}, true},
		"ports of TCP":       {eswitchtest.Shape{Proto: flows.TCP, NAT: ports}, false},
		"routed":             {eswitchtest.Shape{Proto: flows.UDP, Hops: 1}, false},
	} {
		rule := r.Shaped(1, tt.shape).Rules[flows.Orig]
		d := Driver{cfg: Config{Mode: Both}}
		if got := d.hardwareOnly(&eswitch.Change{Rule: rule}); got != tt.alone {
			t.Errorf("%s: given to hardware alone %t", name, got)
		}
		_, err := appendActions(nil, &rule, true)
		if refused := rule.Tuple.Proto == flows.UDP && tt.alone; errors.Is(err, eswitch.ErrRefused) != refused {
			t.Errorf("%s in software: %v", name, err)
		}
	}
}

// TestRetag carries random changes of tags out and compares with what they shall be;
// no list is longer than taking all off and putting all on.
func TestRetag(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	tags := func() (tags flows.Tags) {
		for i := range rng.IntN(3) {
			tags[i] = flows.Tag{Type: []uint16{flows.TagCustomer, flows.TagProvider}[rng.IntN(2)], ID: uint16(rng.IntN(2)), Priority: uint8(rng.IntN(2))}
		}
		return tags
	}
	for range 20000 {
		from, to, bare := tags(), tags(), rng.IntN(2) == 0
		c := retag(from, to, bare)
		l := leaving{frame: flows.Frame{Tags: from}}
		off := c.appendPops(nil)
		for i := range off {
			l.take(&off[i])
		}
		if bare && l.frame.Tags.Len() > 1 {
			t.Fatalf("%v to %v: %v are in front of what is rewritten", from, to, l.frame.Tags)
		}
		on := c.appendRest(nil)
		for i := range on {
			l.take(&on[i])
		}
		longest := from.Len() + to.Len()
		if from.Len() > 0 && to.Len() > 0 && !bare {
			longest-- // one is changed instead
		}
		if l.frame.Tags != to || len(off)+len(on) > longest || from == to && !bare && len(off)+len(on) > 0 {
			t.Fatalf("%v to %v, bare %v: %s, %s gives %v", from, to, bare, words(off), words(on), l.frame.Tags)
		}
	}
}

// TestNoAllocation: a plain rule costs none.
func TestNoAllocation(t *testing.T) {
	r := &eswitchtest.Rig{A: 1, B: 2}
	rule := r.Session(1, flows.TCP, false).Rules[0]
	class, _ := eswitch.ClassOf(rule)
	c := eswitch.Change{Session: 1, Ref: eswitch.Ref{Link: 1, Class: class, Handle: 2}, Rule: rule}
	d := Driver{cfg: Config{Preference: DefaultPreference}}
	w := worker{filter: tc.Filter{Actions: make([]tc.Action, 0, 8)}}
	n := testing.AllocsPerRun(100, func() {
		w.batch.Reset()
		if err := d.request(&w, &c, sent{flags: d.flagsOf(&c)}); err != nil {
			t.Fatal(err)
		}
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkEncode(b *testing.B) {
	r := &eswitchtest.Rig{A: 1, B: 2}
	d := Driver{cfg: Config{Preference: DefaultPreference}}
	w := worker{filter: tc.Filter{Actions: make([]tc.Action, 0, 8)}}
	shapes := append([]eswitchtest.Shape{{Name: "plain", Proto: flows.TCP}}, eswitchtest.Shapes...)
	for _, s := range shapes {
		switch s.Name {
		case "plain", "tagged", "routed", "floating IP", "Geneve":
		default:
			continue
		}
		b.Run(s.Name, func(b *testing.B) {
			rule := r.Shaped(1, s).Rules[0]
			class, _ := eswitch.ClassOf(rule)
			c := eswitch.Change{Session: 1, Ref: eswitch.Ref{Link: 1, Class: class, Handle: 2}, Rule: rule}
			b.ReportAllocs()
			for b.Loop() {
				w.batch.Reset()
				if err := d.request(&w, &c, sent{flags: d.flagsOf(&c)}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Behind a curtain rules have the words for hardware although they have no flag, and
// nowhere else.
func TestWordsBehindCurtain(t *testing.T) {
	r := &eswitchtest.Rig{A: 1, B: 2}
	i := slices.IndexFunc(eswitchtest.Shapes, func(s eswitchtest.Shape) bool { return s.Name == "floating IP" })
	rule := r.Shaped(1, eswitchtest.Shapes[i]).Rules[0]
	class, _ := eswitch.ClassOf(rule)
	c := eswitch.Change{Session: 1, Ref: eswitch.Ref{Link: 1, Class: class, Handle: 2}, Rule: rule}
	for _, tt := range []struct {
		mode    Mode
		curtain bool
		flags   tc.FilterFlags
		words   string
	}{
		{SkipSW, false, tc.SkipSW | tc.Verbose, "pedit csum(0x9) mirred"},
		{SkipSW, true, tc.Verbose, "pedit csum(0x9) mirred"},
		{Both, true, tc.SkipSW | tc.Verbose, "pedit csum(0x9) mirred"},
		{SkipHW, true, tc.SkipHW, "nat nat pedit csum(0x1) mirred"},
	} {
		d, err := Open(Config{Mode: tt.mode})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		d.curtains.put(1, tt.curtain)
		var f tc.Filter
		flags := d.flagsOf(&c)
		if err := d.encode(&f, &c, flags); err != nil {
			t.Fatal(err)
		}
		if got := words(f.Actions); flags != tt.flags || got != tt.words {
			t.Errorf("mode %d, curtain %t: %s with %s, want %s with %s", tt.mode, tt.curtain, flags, got, tt.flags, tt.words)
		}
		var found eswitch.Found
		if f.Link = 1; !d.decode(&f, true, &found) || !found.Intact {
			t.Errorf("mode %d, curtain %t: not intact: %+v", tt.mode, tt.curtain, found)
		}
	}
}
