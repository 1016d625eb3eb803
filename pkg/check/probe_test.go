package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/flower"
	"github.com/flowshunt/flowshunt/pkg/eswitch/model"
	"github.com/flowshunt/flowshunt/pkg/link"
	"github.com/flowshunt/flowshunt/pkg/tc"
	"github.com/flowshunt/flowshunt/pkg/tc/tctest"
)

// scriptedTC answers what a probe asks tc itself.
type scriptedTC struct {
	where  string
	takes  func(tc.Filter) bool
	leaves bool // what is tried, and the answer is lost
}

func (s scriptedTC) place(context.Context, eswitch.Ref) (string, error) { return s.where, nil }

func (s scriptedTC) try(_ context.Context, f tc.Filter) (left bool, err error) {
	if s.takes != nil && s.takes(f) {
		return false, nil
	}
	return s.leaves, errors.New("refused, or not")
}

// onModel probes an eswitch in memory.
func onModel(t *testing.T, cfg model.Config, raw scriptedTC) (*prober, *model.Model) {
	t.Helper()
	m := model.New(cfg, 4, 5, 6, 7)
	if raw.where == "" {
		raw.where = "in_hw, in_hw_count 1"
	}
	return &prober{driver: m, raw: raw, in: onEswitch(named(4, "r0"), "01", ""), out: onEswitch(named(5, "p0"), "01", ""),
		tunnels: []device{kindOf(named(6, "genev_sys_6081"), "geneve"), kindOf(named(7, "vxlan_sys_4789"), "vxlan")},
		release: []int32{4, 5, 6, 7}, made: map[eswitch.Ref]bool{}}, m
}

// probed runs a probe and returns its lines without what is measured.
func probed(t *testing.T, ctx context.Context, p *prober, m *model.Model) map[string]Line {
	t.Helper()
	byName := make(map[string]Line)
	for _, l := range p.run(ctx) {
		mustBeWhole(t, l)
		byName[l.Name] = l
	}
	for _, link := range []int32{4, 5, 6, 7} {
		if err := m.Rules(context.Background(), eswitch.Scope{Link: link}, func(f *eswitch.Found) { t.Errorf("left: %+v", f.Ref) }); err != nil {
			t.Error(err)
		}
	}
	if links, _ := m.Links(context.Background()); len(links) > 0 {
		t.Errorf("still prepared: %v", links)
	}
	return byName
}

func says1(t *testing.T, lines map[string]Line, name string, s Status, found string) {
	t.Helper()
	if l := lines[name]; l.Status != s || !strings.HasPrefix(l.Found, found) {
		t.Errorf("%s: %v %q, want %v %q", name, l.Status, l.Found, s, found)
	}
}

func TestProbe(t *testing.T) {
	p, m := onModel(t, model.Config{}, scriptedTC{})
	lines := probed(t, t.Context(), p, m)
	says1(t, lines, "port", OK, "r0 to p0, driver ")
	says1(t, lines, "rule", OK, "taken in both directions: r0 in_hw, in_hw_count 1, p0 in_hw, in_hw_count 1")
	for _, class := range []string{"tcp4", "udp4", "sctp4", "portless4", "tcp6", "udp6", "sctp6", "portless6"} {
		says1(t, lines, "class "+class, OK, "taken")
	}
	for _, k := range probeKinds {
		says1(t, lines, "kind "+k.name, OK, "taken")
	}
	says1(t, lines, "one by one", OK, "200 rules, ")
	says1(t, lines, "insertions", OK, "2048 rules, ")
	says1(t, lines, "deletions", OK, "2048 rules, ")
	says1(t, lines, "cleaned up", OK, "2273 rules inserted and removed")
}

// TestKindAdvice: what the kernel would refuse as well is not sent there.
func TestKindAdvice(t *testing.T) {
	for _, k := range probeKinds {
		advised := strings.Contains(k.line("kind", refusal("no")).Why, "--hardware=both")
		if want := k.name != "NAT over IPv6"; advised != want {
			t.Errorf("%s: the kernel is advised %t, want %t", k.name, advised, want)
		}
	}
}

// A rule that nobody executes is no success, whatever the driver returned.
func TestProbeNotInHW(t *testing.T) {
	p, m := onModel(t, model.Config{}, scriptedTC{where: "not_in_hw"})
	says1(t, probed(t, t.Context(), p, m), "rule", Fatal, "r0: accepted with skip_sw, and is not_in_hw")
}

func refusal(text string) error {
	return fmt.Errorf("%w: %w", eswitch.ErrNotOffloaded, &tc.Error{Op: "add filter", Errno: unix.EOPNOTSUPP, Message: text})
}

func TestProbeRefused(t *testing.T) {
	const text = "Unsupported\nkey"
	fail := func(refused func(eswitch.Change) bool) model.Config {
		return model.Config{Fail: func(c eswitch.Change) error {
			if c.Op == eswitch.Add && refused(c) {
				return refusal(text)
			}
			return nil
		}}
	}
	t.Run("all", func(t *testing.T) {
		p, m := onModel(t, fail(func(eswitch.Change) bool { return true }), scriptedTC{})
		lines := probed(t, t.Context(), p, m)
		says1(t, lines, "rule", Fatal, "refused: Unsupported key (operation not supported)")
		says1(t, lines, "classes", Warning, "none is taken: Unsupported key (operation not supported)")
		if _, there := lines["insertions"]; there || len(lines) != 4 {
			t.Errorf("%v", sortedKeys(lines))
		}
	})
	t.Run("IPv6", func(t *testing.T) {
		p, m := onModel(t, fail(func(c eswitch.Change) bool { return c.Ref.Class.IsIPv6() }), scriptedTC{})
		lines := probed(t, t.Context(), p, m)
		says1(t, lines, "rule", OK, "")
		says1(t, lines, "class udp4", OK, "taken")
		says1(t, lines, "class udp6", Warning, "refused: Unsupported key (operation not supported)")
		says1(t, lines, "insertions", OK, "2048")
	})
	t.Run("guards", func(t *testing.T) {
		p, m := onModel(t, fail(func(c eswitch.Change) bool { return c.Ref.Class.IsGuard() }), scriptedTC{})
		lines := probed(t, t.Context(), p, m)
		for _, kind := range []string{"routed", "routed over IPv6"} {
			says1(t, lines, "kind "+kind, Warning, "refused: Unsupported key (operation not supported)")
		}
		says1(t, lines, "kind NAT", OK, "taken")
	})
	t.Run("tunnels", func(t *testing.T) {
		p, m := onModel(t, fail(func(c eswitch.Change) bool { return !c.Rule.Tunnel.IsZero() }), scriptedTC{})
		p.tunnels = p.tunnels[:1]
		lines := probed(t, t.Context(), p, m)
		says1(t, lines, "kind into Geneve", OK, "taken")
		says1(t, lines, "kind out of Geneve", Warning, "refused: Unsupported key")
		says1(t, lines, "kind into VXLAN", OK, "not tried: there is no vxlan device")
	})
	t.Run("tcp_flags", func(t *testing.T) {
		tcp := func(c eswitch.Change) bool { return c.Rule.Tuple.Proto == flows.TCP }
		p, m := onModel(t, fail(tcp), scriptedTC{takes: func(f tc.Filter) bool { return f.Match.TCPFlags.Mask == 0 }})
		lines := probed(t, t.Context(), p, m)
		says1(t, lines, "rule", Fatal, "refused")
		want := "refused: Unsupported key (operation not supported); taken without tcp_flags, or without tcp_flags and ip_flags"
		says1(t, lines, "class tcp4", Warning, want)
		says1(t, lines, "class tcp6", Warning, want)
		says1(t, lines, "class udp6", OK, "taken")
	})
	t.Run("fragments", func(t *testing.T) {
		udp := func(c eswitch.Change) bool { return c.Rule.Tuple.Proto == flows.UDP }
		p, m := onModel(t, fail(udp), scriptedTC{takes: func(f tc.Filter) bool { return f.Match.Frag.Mask == 0 }})
		says1(t, probed(t, t.Context(), p, m), "class udp4", Warning, "refused: Unsupported key (operation not supported); taken without ip_flags nofrag")
	})
}

func TestProbeFull(t *testing.T) {
	p, m := onModel(t, model.Config{Capacity: 300}, scriptedTC{})
	lines := probed(t, t.Context(), p, m)
	says1(t, lines, "one by one", OK, "200 rules")
	says1(t, lines, "insertions", Warning, "300 rules")
	if !strings.Contains(lines["insertions"].Found, "then the table was full: ") {
		t.Error(lines["insertions"].Found)
	}
	says1(t, lines, "deletions", OK, "300 rules")
}

// A slow driver is measured for so long, and no longer.
func TestProbeSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, m := onModel(t, model.Config{Delay: 10 * time.Millisecond}, scriptedTC{})
		began := time.Now()
		lines := probed(t, t.Context(), p, m)
		says1(t, lines, "one by one", Warning, "100 rules, 100 per second, p50 10ms, p99 10ms")
		says1(t, lines, "insertions", Warning, "256 rules, 100 per second")
		says1(t, lines, "deletions", Warning, "256 rules, 100 per second")
		if took := time.Since(began); took > 8*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// TestProbeInterrupted ends at every insertion once: nothing is ever left.
func TestProbeInterrupted(t *testing.T) {
	for at := 1; at < 400; at += 7 {
		ctx, cancel := context.WithCancel(t.Context())
		adds := 0
		p, m := onModel(t, model.Config{Fail: func(c eswitch.Change) error {
			if c.Op == eswitch.Add {
				if adds++; adds == at {
					cancel()
				}
			}
			return nil
		}}, scriptedTC{})
		lines := probed(t, ctx, p, m)
		cancel()
		says1(t, lines, "rest", Unknown, "not probed: context canceled")
		says1(t, lines, "cleaned up", OK, "")
	}
}

// What a probe left that was killed, the next one removes.
func TestProbeSweeps(t *testing.T) {
	p, m := onModel(t, model.Config{}, scriptedTC{})
	if err := m.Prepare(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	left := []eswitch.Change{p.change(probeTuple(flows.TCP, false, 5), flows.Orig, 5)}
	if m.Apply(t.Context(), left); left[0].Err != nil {
		t.Fatal(left[0].Err)
	}
	says1(t, probed(t, t.Context(), p, m), "class tcp4", OK, "taken")
}

// A rule that cannot be removed is said.
func TestProbeStuck(t *testing.T) {
	m := model.New(model.Config{Fail: func(c eswitch.Change) error {
		if c.Op == eswitch.Delete {
			return refusal("no")
		}
		return nil
	}}, 4)
	p := &prober{driver: m, raw: scriptedTC{where: "in_hw"}, in: named(4, "r0"), out: named(4, "r0"), made: map[eswitch.Ref]bool{}}
	lines := p.run(t.Context())
	if last := lines[len(lines)-1]; last.Status != Fatal || last.Name != "cleaned up" || !slices.Contains(last.Fix, "flowshuntctl flush") {
		t.Errorf("%+v", last)
	}
}

// A weaker filter that may have stayed is removed, and said where that fails.
func TestProbeLeavesWeaker(t *testing.T) {
	for _, stuck := range []bool{false, true} {
		deleted := 0
		p, _ := onModel(t, model.Config{Fail: func(c eswitch.Change) error {
			switch udp6 := c.Ref.Class == eswitch.UDPv6; {
			case udp6 && c.Op == eswitch.Add:
				return refusal("no")
			case udp6:
				if deleted++; stuck {
					return refusal("no")
				}
			}
			return nil
		}}, scriptedTC{leaves: true})
		lines := p.run(t.Context())
		want := OK
		if stuck {
			want = Fatal
		}
		if last := lines[len(lines)-1]; deleted == 0 || last.Name != "cleaned up" || last.Status != want {
			t.Errorf("stuck %t: removed %d times, %+v", stuck, deleted, last)
		}
	}
}

func TestIsRefusal(t *testing.T) {
	refused := &tc.Error{Errno: unix.EOPNOTSUPP}
	if !isRefusal(errors.Join(nil, refused)) || isRefusal(fmt.Errorf("outcome unknown: %w", tc.ErrNoAnswer)) || isRefusal(context.Canceled) {
		t.Error("what the kernel did not answer is taken for an answer")
	}
}

func named(index int32, name string) device { return device{index, link.State{Name: name}} }

func kindOf(d device, kind string) device {
	d.Kind = kind
	return d
}

func onEswitch(d device, id flows.EswitchID, port string) device {
	d.SwitchID, d.PortName = id, port
	return d
}

func TestPartner(t *testing.T) {
	of := func(name string, id flows.EswitchID, port string) device {
		return onEswitch(named(int32(name[0]), name), id, port)
	}
	rep, other, up, far, veth := of("a", "01", "pf0vf0"), of("b", "01", "pf0vf1"), of("c", "01", "p0"), of("d", "02", "p0"), of("e", "", "")
	for _, tt := range []struct {
		name string
		all  []device
		in   device
		want string
	}{
		{"uplink first", []device{rep, other, up, far}, rep, "c"},
		{"another representor", []device{rep, other, far}, rep, "b"},
		{"none", []device{rep, far, veth}, rep, "a"},
		{"on no eswitch", []device{rep, veth, of("f", "", "")}, veth, "e"},
	} {
		if got := partner(tt.all, tt.in); got.Name != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got.Name, tt.want)
		}
	}
}

// On a machine without such hardware, and without flower, the kernel says no and nothing
// stays.
func TestProbeVeth(t *testing.T) {
	tctest.Namespace(t)
	tctest.Veth(t, "p0", "p1")
	lines := Probe(t.Context(), ProbeConfig{Port: "p0", To: "p1"})
	for _, l := range lines {
		mustBeWhole(t, l)
		if l.Group != "probe" {
			t.Errorf("%+v", l)
		}
		t.Logf("%v %s: %s", l.Status, l.Name, l.Found)
	}
	if !slices.ContainsFunc(lines, func(l Line) bool { return l.Name == "rule" && l.Status == Fatal }) {
		t.Error("no line says that the rule was refused")
	}
	if out := tctest.Run(t, "tc qdisc show"); strings.Contains(out, "clsact") {
		t.Errorf("left: %s", out)
	}
	tctest.Run(t, "tc qdisc add dev p0 clsact")
	Probe(t.Context(), ProbeConfig{Port: "p0", To: "p1"})
	if out := tctest.Run(t, "tc qdisc show dev p0"); !strings.Contains(out, "clsact") {
		t.Errorf("somebody else's clsact is gone: %s", out)
	}
	tctest.Run(t, "tc qdisc del dev p0 clsact")
	agents, err := flower.Open(flower.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer agents.Close()
	if err := agents.Prepare(t.Context(), tctest.Index(t, "p0")); err != nil {
		t.Fatal(err)
	}
	Probe(t.Context(), ProbeConfig{Port: "p0", To: "p1"})
	if out := tctest.Run(t, "tc qdisc show dev p0"); !strings.Contains(out, "clsact") {
		t.Errorf("the clsact of an agent without rules is gone: %s", out)
	}
	for _, port := range []string{"nope", ""} {
		if lines := Probe(t.Context(), ProbeConfig{Port: port}); lines[0].Status != Fatal {
			t.Errorf("%q: %+v", port, lines)
		}
	}
}

// An agent whose preferences a probe shares keeps its guards; those that a killed probe
// left go.
func TestProbeSparesGuards(t *testing.T) {
	p, m := onModel(t, model.Config{}, scriptedTC{})
	if err := m.Prepare(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	guard := func(v6 bool, handle uint32) eswitch.Change {
		rule := p.change(probeTuple(flows.TCP, v6, 5), flows.Orig, 5).Rule
		routed(&rule)
		what, _ := eswitch.GuardOf(rule)
		return eswitch.Change{Op: eswitch.Add, Ref: eswitch.Ref{Link: 4, Class: eswitch.ClassOfGuard(what), Handle: handle}, Rule: what}
	}
	standing := []eswitch.Change{guard(false, 2), guard(true, probeHandle+3)}
	m.Apply(t.Context(), standing)
	if err := errors.Join(standing[0].Err, standing[1].Err, p.sweep(t.Context(), 4)); err != nil {
		t.Fatal(err)
	}
	var left []eswitch.Ref
	err := m.Rules(t.Context(), eswitch.Scope{Link: 4}, func(f *eswitch.Found) { left = append(left, f.Ref) })
	if err != nil || !slices.Equal(left, []eswitch.Ref{standing[0].Ref}) {
		t.Errorf("left %+v, %v, want the agent's guard", left, err)
	}
}
