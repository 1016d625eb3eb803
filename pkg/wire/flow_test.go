package wire

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/openflow"
)

// text is a flow as a person reads it.
func text(m *openflow.FlowMod) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d in=%d", m.Priority, m.Match.InPort)
	if m.Match.EthType != 0 {
		fmt.Fprintf(&b, " type=%04x", m.Match.EthType)
	}
	if !m.Match.SrcMAC.IsZero() {
		fmt.Fprintf(&b, " from=%v/%v", m.Match.SrcMAC, m.Match.SrcMask)
	}
	b.WriteString(" ->")
	if len(m.Actions) == 1 {
		b.WriteString(" drop")
	}
	for _, a := range m.Actions[1:] {
		switch a.Kind {
		case openflow.Track:
			fmt.Fprintf(&b, " ct(zone=%d,commit=%v)", a.Zone, a.Commit)
		case openflow.Output:
			fmt.Fprintf(&b, " out=%d", a.Port)
		case openflow.Punt:
			fmt.Fprintf(&b, " punt")
		default:
			fmt.Fprintf(&b, " %+v", a)
		}
	}
	return b.String()
}

// TestFlows compares what each state does with testdata/flows.txt. Ports are 1 and 2, those of
// the inspector 3 and 4.
func TestFlows(t *testing.T) {
	whole := plan{name: "w0", zones: [2]flows.Zone{100, 200}, ports: [2]uint32{1, 2}, inspectors: [2]uint32{3, 4}, probed: true}
	var b strings.Builder
	for _, tt := range []struct {
		what   string
		change func(*plan)
	}{
		{"inspected", func(p *plan) { p.state = Inspected }},
		{"open", func(p *plan) { p.state = Open }},
		{"closed", func(p *plan) { p.state = Closed }},
		{"through", func(p *plan) { p.state, p.inspectors, p.probed = Through, [2]uint32{}, false }},
		{"unready without port 2", func(p *plan) { p.ports[1] = 0 }},
		{"open without inspector port 3", func(p *plan) { p.state, p.inspectors[0] = Open, 0 }},
	} {
		p := whole
		tt.change(&p)
		fmt.Fprintf(&b, "# %s\n", tt.what)
		list := p.flows()
		slices.SortFunc(list, func(a, b openflow.FlowMod) int { return strings.Compare(text(&a), text(&b)) })
		for i := range list {
			fmt.Fprintln(&b, text(&list[i]))
			f := openflow.Flow{Cookie: list[i].Cookie, Actions: list[i].Actions}
			if m, ok := markOf(&f); !ok || m != (mark{"w0", p.state, p.zones}) {
				t.Errorf("a flow says %+v", m)
			}
			if list[i].Priority >= 61701-1 {
				t.Error("rules that are flows would not be above it")
			}
		}
	}
	want, err := os.ReadFile("testdata/flows.txt")
	if os.Getenv("REWRITE") != "" {
		err = os.WriteFile("testdata/flows.txt", []byte(b.String()), 0o644)
		want = []byte(b.String())
	}
	if err != nil || string(want) != b.String() {
		t.Errorf("%v: got\n%s", err, b.String())
	}
}

// TestMark reads what no keeper wrote.
func TestMark(t *testing.T) {
	p := plan{name: "w0", zones: [2]flows.Zone{100, 200}}
	good := p.note()
	for name, f := range map[string]openflow.Flow{
		"cookie of others": {Cookie: 100},
		"no note":          {Cookie: cookieOf(100)},
		"short note":       {Cookie: cookieOf(100), Actions: []openflow.Action{{Kind: openflow.Note, Note: good[:6]}}},
		"other version":    {Cookie: cookieOf(100), Actions: []openflow.Action{{Kind: openflow.Note, Note: append([]byte{9}, good[1:]...)}}},
		"no such state":    {Cookie: cookieOf(100), Actions: []openflow.Action{{Kind: openflow.Note, Note: append([]byte{1, 99}, good[2:]...)}}},
		"other zone":       {Cookie: cookieOf(101), Actions: []openflow.Action{{Kind: openflow.Note, Note: good}}},
		"no name":          {Cookie: cookieOf(100), Actions: []openflow.Action{{Kind: openflow.Note, Note: append(good[:6:6], make([]byte, 8)...)}}},
	} {
		if m, ok := markOf(&f); ok {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

func TestZones(t *testing.T) {
	var z zones
	get := func(wire string) [2]flows.Zone {
		t.Helper()
		pair, ok := z.of(wire, func(zone flows.Zone) bool { return zone == 65534 })
		if !ok {
			t.Fatal("no zone is left")
		}
		return pair
	}
	z.learn("b", [2]flows.Zone{65535, 65530})
	z.learn("c", [2]flows.Zone{65530, 7}) // whoever comes first
	z.learn("d", [2]flows.Zone{0, 7})
	z.learn("b", [2]flows.Zone{1, 2})
	if got := get("b"); got != [2]flows.Zone{65535, 65530} {
		t.Errorf("b: %v", got)
	}
	if got := get("a"); got != [2]flows.Zone{65533, 65532} {
		t.Errorf("a: %v", got)
	}
	if got := get("c"); got != [2]flows.Zone{65531, 65529} {
		t.Errorf("c: %v", got)
	}
	z.keep([]string{"b", "c"})
	if got := get("e"); got != [2]flows.Zone{65528, 65527} { // not those of a, which are not empty
		t.Errorf("e: %v", got)
	}
	z.keep([]string{"b", "c"})
	few := func(zone flows.Zone) bool { return zone < 65532 || zone > 65533 }
	if pair, ok := z.of("g", few); !ok || pair != [2]flows.Zone{65533, 65532} {
		t.Errorf("g: %v, where no others are left", pair)
	}
	if pair, ok := z.of("f", func(flows.Zone) bool { return true }); ok {
		t.Errorf("f: %v", pair)
	}
}

func TestProbe(t *testing.T) {
	macs := probeMACs("node-1", "w0")
	if macs == probeMACs("node-2", "w0") || macs == probeMACs("node-1", "w1") || macs[0] == macs[1] || macs[0][0]&3 != 2 {
		t.Errorf("%v", macs)
	}
	b := appendProbe(nil, macs[0], macs[1], 0x123456789abc)
	if len(b) != 60 || flows.MAC(b) != macs[1] {
		t.Errorf("%x", b)
	}
	if from, n, ok := parseProbe(b); !ok || from != macs[0] || n != 0x123456789abc {
		t.Errorf("%v %x %v", from, n, ok)
	}
	for i := range 42 { // a frame that was changed is no probe, but for where it goes
		if i < 6 || i >= numberAt-4 {
			continue
		}
		c := slices.Clone(b)
		c[i] ^= 0x40
		if _, _, ok := parseProbe(c); ok {
			t.Errorf("byte %d is other", i)
		}
	}
	if _, _, ok := parseProbe(b[:41]); ok {
		t.Error("a short one")
	}
}

func FuzzProbe(f *testing.F) {
	f.Add(appendProbe(nil, flows.MAC{2}, flows.MAC{3}, 7))
	f.Fuzz(func(t *testing.T, b []byte) {
		if from, n, ok := parseProbe(b); ok && (n > numberMask || from != flows.MAC(b[6:12])) {
			t.Error(from, n)
		}
	})
}
