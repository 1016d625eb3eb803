package policy_test

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/policy"
)

// spoil makes one value of one policy, or profile, one that cannot be understood.
func (w *world) spoil(n *naive) (*naive, bool) {
	bad := &naive{slices.Clone(n.policies), slices.Clone(n.profiles), n.ports}
	if len(bad.profiles) > 0 && w.one(4) {
		p := &bad.profiles[w.IntN(len(bad.profiles))]
		return bad, w.spoilOne(&p.DstPrefixes, &p.DstPorts, &p.ServerNames)
	}
	if len(bad.policies) == 0 {
		return nil, false
	}
	p := &bad.policies[w.IntN(len(bad.policies))]
	return bad, w.spoilOne(&p.Protocols, &p.SrcPrefixes, &p.DstPrefixes, &p.SrcPorts, &p.DstPorts, &p.Interfaces, &p.IfaceIDs,
		&p.SecurityGroups, &p.Tenants, &p.Applications, &p.ServerNames)
}

func (w *world) spoilOne(columns ...*[]string) bool {
	c := columns[w.IntN(len(columns))]
	if len(*c) == 0 {
		return false
	}
	*c = slices.Clone(*c)
	(*c)[w.IntN(len(*c))] = ""
	return true
}

// TestSpoiltOffloadsNoMore shows that a row that cannot be understood offloads nothing that
// would not be offloaded if it were, and that a table that understood it before keeps to that.
func TestSpoiltOffloadsNoMore(t *testing.T) {
	s, spoilt, less := seed(t), 0, 0
	for run := range uint64(2000) {
		w := &world{rand.New(rand.NewPCG(s, run))}
		n := w.all()
		bad, ok := w.spoil(n)
		if !ok {
			continue
		}
		spoilt++
		good, _ := n.compile(nil)
		table, problems := bad.compile(nil)
		kept, same := bad.compile(good)
		if len(problems) != 1 || len(same) != 1 || same[0].Text != problems[0].Text {
			t.Fatalf("problems %+v and %+v of %+v", problems, same, bad)
		}
		for range 30 {
			s := w.subject()
			if got, want := kept.Decide(&s), good.Decide(&s); got != want {
				t.Fatalf("%+v: %v, the good form says %v", s, named(kept, got), named(good, want))
			}
			d, meant := table.Decide(&s), good.Decide(&s)
			offloads := func(d flows.Decision) bool { return d.Verdict == flows.Offload && d.Doubt == 0 }
			if offloads(d) && !offloads(meant) {
				t.Fatalf("%+v: %v, meant was %v: %+v", s, named(table, d), named(good, meant), problems)
			}
			if offloads(meant) && !offloads(d) {
				less++
			}
		}
	}
	if t.Logf("%d spoilt, %d connections not offloaded", spoilt, less); spoilt < 200 || less == 0 {
		t.Error("the samples show too little")
	}
}

func tcp(src, dst string, port uint16) flows.Subject {
	t := flows.Tuple{Proto: flows.TCP, Src: netip.MustParseAddr(src), Dst: netip.MustParseAddr(dst), SrcPort: 40000, DstPort: port}
	return flows.Subject{Tuple: t, Far: t, Placed: true, DSCP: 1, Content: flows.Content{Known: true}}
}

// TestBadDropDeniesWhatIsUnderstood shows that a typo in a denial denies nothing else, and
// offloads nothing that it may have meant.
func TestBadDropDeniesWhatIsUnderstood(t *testing.T) {
	all := policy.Spec{Name: "all", Verdict: "offload"}
	bad := policy.Spec{Name: "bad", Priority: 9, Verdict: "drop", DstPrefixes: []string{"10.0.0.0/8"}, DstPorts: []string{"80", "x"}}
	table, problems := policy.Compile([]policy.Spec{all, bad}, nil, nil)
	if len(problems) != 1 || problems[0].Name != "bad" {
		t.Fatalf("%+v", problems)
	}
	for _, c := range []struct {
		dst  string
		port uint16
		want decision
	}{
		{"10.0.0.1", 80, decision{"bad", "drop", "", ""}},
		{"10.0.0.1", 81, decision{"bad", "inspect", "", ""}},
		{"192.0.2.1", 80, decision{"all", "offload", "", "all"}},
	} {
		s := tcp("10.0.0.9", c.dst, c.port)
		if got := named(table, table.Decide(&s)); got != c.want {
			t.Errorf("%s:%d: %v", c.dst, c.port, got)
		}
	}
	bad.Verdict = "offload"
	table, _ = policy.Compile([]policy.Spec{bad}, nil, nil)
	if s := tcp("10.0.0.9", "10.0.0.1", 80); table.Decide(&s) != (flows.Decision{}) || table.Len() != 0 {
		t.Error("a bad policy to offload is in force")
	}
}

// TestReferences shows that a policy keeps its reference for as long as it exists, and that
// nothing else gets it.
func TestReferences(t *testing.T) {
	s := tcp("10.0.0.9", "10.0.0.1", 80)
	compile := func(last *policy.Table, specs ...policy.Spec) (*policy.Table, flows.PolicyRef) {
		table, _ := policy.Compile(specs, nil, last)
		return table, table.Decide(&s).Policy
	}
	a := policy.Spec{Name: "a", Verdict: "offload"}
	first, ref := compile(nil, a)
	a.Verdict = "inspect"
	changed, again := compile(first, policy.Spec{Name: "0", Protocols: []string{"udp"}}, a)
	gone, none := compile(changed)
	_, anew := compile(gone, a)
	if ref == 0 || again != ref || none != 0 || anew == ref || anew == 0 {
		t.Errorf("%d, %d, %d, %d", ref, again, none, anew)
	}
	if !policy.Diff(first, changed).Concerns(ref, &s) || policy.Diff(gone, gone).Concerns(0, &s) || policy.Diff(nil, first).IsEmpty() {
		t.Error("the differences are wrong")
	}
	if first.Describe(ref) != "a" || gone.Describe(ref) != "" {
		t.Error("the names are wrong")
	}
}

// TestBounds shows that what is too much is left to the slow path.
func TestBounds(t *testing.T) {
	var specs []policy.Spec
	for i := range policy.MaxPolicies {
		specs = append(specs, policy.Spec{Name: "p" + string(rune('0'+i%10)) + netip.AddrFrom4([4]byte{1, 0, byte(i >> 8), byte(i)}).String(), Priority: 5,
			Verdict: "drop", SrcPrefixes: []string{netip.AddrFrom4([4]byte{1, 0, byte(i >> 8), byte(i)}).String()}})
	}
	specs = append(specs, policy.Spec{Name: "last", Verdict: "offload"})
	table, problems := policy.Compile(specs, nil, nil)
	if s := tcp("10.0.0.9", "10.0.0.1", 80); len(problems) != 1 || problems[0].Name != "last" || table.Decide(&s).Policy != 0 {
		t.Errorf("%+v", problems)
	}
	var profiles []policy.ProfileSpec
	for i := range policy.MaxProfiles + 1 {
		profiles = append(profiles, policy.ProfileSpec{Name: netip.AddrFrom4([4]byte{1, 0, byte(i >> 8), byte(i)}).String(), DstPorts: []string{"1"}})
	}
	table, problems = policy.Compile([]policy.Spec{{Name: "u", Verdict: "offload", Applications: []string{"uninspectable"}}}, profiles, nil)
	s := tcp("10.0.0.9", "10.0.0.1", 80)
	s.Content.Application = "ssh"
	if d := table.Decide(&s); len(problems) != 1 || !problems[0].Profile || d.Verdict != flows.Inspect {
		t.Errorf("%+v, %+v", problems, d)
	}
}

// TestShipped shows that the shipped policies are good and mean what they say.
func TestShipped(t *testing.T) {
	table, problems := policy.Compile(policy.Shipped(), nil, nil)
	if len(problems) > 0 || table.Len() != len(policy.Shipped()) {
		t.Fatalf("%+v", problems)
	}
	is := func(want string, s flows.Subject) {
		t.Helper()
		if got := table.Decide(&s); table.Describe(got.Policy) != want || got.Verdict != flows.Offload || got.Doubt != 0 || got.Hope == 0 {
			t.Errorf("%v, want %s", named(table, got), want)
		}
	}
	is("elephants", tcp("10.0.0.1", "10.0.0.2", 80))
	is("backup", tcp("10.0.0.1", "10.0.0.2", 873))
	is("media", tcp("10.0.0.1", "10.0.0.2", 554))
	s := tcp("10.0.0.1", "10.0.0.2", 443)
	s.Content.Application = "tls"
	is("encrypted", s)
	s.Content, s.Placed, s.DSCP = flows.Content{}, false, 0
	is("elephants", s) // nothing else says otherwise, whatever it carries
	s.Tuple.Proto, s.DSCP = flows.UDP, 47
	is("media-dscp", s)
	s = tcp("10.0.0.1", "10.0.0.2", 0)
	s.Tuple.Proto, s.Tuple.DstPort, s.Content = flows.ESP, 0, flows.Content{}
	is("encrypted", s)
}
