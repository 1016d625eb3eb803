package flower_test

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/eswitchtest"
	"github.com/flowshunt/flowshunt/pkg/eswitch/flower"
	"github.com/flowshunt/flowshunt/pkg/tc/tctest"
)

// ingress is what tc shows of a port's filters.
func ingress(t *testing.T, dev string) string {
	t.Helper()
	return tctest.Run(t, "tc filter show dev "+dev+" ingress")
}

// curtained reports whether a port has a curtain, at the default preferences.
func curtained(t *testing.T, dev string) bool {
	t.Helper()
	return strings.Contains(ingress(t, dev), "protocol all pref 16379 flower")
}

// TestCurtainWhereNeeded: the kernel refuses skip_sw at each device of software, and there
// rules for hardware alone get a curtain, which goes with the port.
func TestCurtainWhereNeeded(t *testing.T) {
	tctest.NeedFlower(t)
	for _, kind := range []string{"geneve external", "vxlan external dstport 4789", "bond", "veth"} {
		t.Run(kind, func(t *testing.T) {
			r := rig(t, flower.Config{Mode: flower.SkipSW})
			tctest.Run(t, "ip link add dev0 type "+kind)
			tctest.Run(t, "tc qdisc add dev dev0 clsact")
			out, err := exec.Command("tc", strings.Fields("filter add dev dev0 ingress protocol ip flower skip_sw action drop")...).CombinedOutput()
			if err == nil || !strings.Contains(string(out), "not supported") {
				t.Errorf("the kernel has skip_sw: %s", out)
			}
			link := tctest.Index(t, "dev0")
			for range 2 {
				if err := r.Driver.Prepare(t.Context(), link); err != nil {
					t.Fatal(err)
				}
				if !curtained(t, "dev0") {
					t.Errorf("no curtain:\n%s", ingress(t, "dev0"))
				}
			}
			if err := r.Driver.Release(t.Context(), link); err != nil {
				t.Fatal(err)
			}
			if left := ingress(t, "dev0"); left != "" {
				t.Errorf("left in somebody else's clsact:\n%s", left)
			}
			kernel, err := flower.Open(flower.Config{})
			if err != nil {
				t.Fatal(err)
			}
			defer kernel.Close()
			if err := kernel.Prepare(t.Context(), link); err != nil || curtained(t, "dev0") {
				t.Errorf("the kernel may execute rules: %v\n%s", err, ingress(t, "dev0"))
			}
		})
	}
}

// TestBehindCurtain: what hardware does not take is refused and leaves nothing, and the
// kernel never executes what stands behind the curtain, whatever it is.
func TestBehindCurtain(t *testing.T) {
	tctest.NeedFlower(t)
	r := rig(t, flower.Config{Mode: flower.SkipSW})
	bridged(t)
	e := prepared(t, r)
	before := ingress(t, "p0")
	sessions := []flows.Session{r.Session(1, flows.TCP, false)}
	for i, s := range eswitchtest.Shapes {
		sessions = append(sessions, r.Shaped(2+i, s))
	}
	for i, res := range e.Install(t.Context(), sessions) {
		if !errors.Is(res.Err, eswitch.ErrNotOffloaded) || errors.Is(res.Err, eswitch.ErrUnknown) {
			t.Errorf("session %d: got %v, want ErrNotOffloaded", i, res.Err)
		}
	}
	if after := ingress(t, "p0"); after != before {
		t.Errorf("left:\n%s", after)
	}
	rule := sessions[0].Rules[0]
	from, to := openWire(t, "q0"), openWire(t, "q1")
	passes := func(when string) {
		t.Helper()
		p := packet(rule.Frame, rule.Tuple, 64, 0x10)
		from.send(p)
		to.expect(when, p)
	}
	passes("nothing is there")
	// as a rule is before it is known that no hardware has it
	tctest.Run(t, "tc filter add dev p0 ingress pref 16384 protocol ip flower ip_proto tcp action drop")
	passes("a rule without flags")
	tctest.Run(t, "tc filter del dev p0 ingress pref 16379")
	from.send(packet(rule.Frame, rule.Tuple, 64, 0x10)) // without the curtain it is executed
	tctest.Run(t, "tc filter del dev p0 ingress pref 16384")
	if err := r.Driver.Prepare(t.Context(), r.A); err != nil {
		t.Fatal(err)
	}
	other := rule.Tuple
	other.SrcPort++
	p := packet(rule.Frame, other, 64, 0x10)
	from.send(p)
	to.expect("the next after one that was dropped", p)
}

// TestCurtainHides: where it would hide filters of others the port is refused, and only
// there.
func TestCurtainHides(t *testing.T) {
	tctest.NeedFlower(t)
	for _, mode := range []flower.Mode{flower.SkipSW, flower.Both} {
		for pref, hidden := range map[int]bool{1: false, 16378: false, 16408: true, 49152: true} {
			r := rig(t, flower.Config{Mode: mode})
			tctest.Run(t, "tc qdisc add dev p0 clsact")
			tctest.Run(t, fmt.Sprintf("tc filter add dev p0 ingress pref %d protocol ip flower ip_proto udp action ok", pref))
			err := r.Driver.Prepare(t.Context(), r.A)
			want := hidden && mode == flower.SkipSW
			if errors.Is(err, eswitch.ErrForeign) != want || !want && err != nil || want && curtained(t, "p0") {
				t.Errorf("mode %d, preference %d: %v\n%s", mode, pref, err, ingress(t, "p0"))
			}
		}
	}
}

// TestCurtainTaken: a filter of somebody else's is taken for no curtain.
func TestCurtainTaken(t *testing.T) {
	tctest.NeedFlower(t)
	r := rig(t, flower.Config{Mode: flower.SkipSW})
	tctest.Run(t, "tc qdisc add dev p0 clsact")
	tctest.Run(t, "tc filter add dev p0 ingress pref 16379 protocol all handle 1 flower skip_hw action ok")
	if err := r.Driver.Prepare(t.Context(), r.A); !errors.Is(err, eswitch.ErrForeign) {
		t.Errorf("got %v, want ErrForeign", err)
	}
	if !curtained(t, "p0") { // it looks like one, but for the cookie
		t.Errorf("a filter of somebody else's is gone")
	}
}

// TestCurtainStays as long as there are rules behind it.
func TestCurtainStays(t *testing.T) {
	tctest.NeedFlower(t)
	r := rig(t, flower.Config{})
	e := prepared(t, r)
	if res := e.Install(t.Context(), r.Sessions(1)); res[0].Err != nil {
		t.Fatal(res[0].Err)
	}
	alone, err := flower.Open(flower.Config{Mode: flower.SkipSW})
	if err != nil {
		t.Fatal(err)
	}
	defer alone.Close()
	if err := alone.Prepare(t.Context(), r.A); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		if err := alone.Release(t.Context(), r.A); err != nil || curtained(t, "p0") != want {
			t.Errorf("curtain %t, want %t, %v", !want, want, err)
		}
		e.Remove(t.Context(), eswitchtest.IDs(r.Sessions(1)))
	}
}

// TestCurtainOfEarlier: that of an agent with other settings is found, and goes.
func TestCurtainOfEarlier(t *testing.T) {
	tctest.NeedFlower(t)
	r := rig(t, flower.Config{Mode: flower.SkipSW})
	if err := r.Driver.Prepare(t.Context(), r.A); err != nil {
		t.Fatal(err)
	}
	other, err := flower.Open(flower.Config{Preference: 300})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if got, err := other.Preferences(t.Context()); err != nil || !slices.Equal(got, []uint16{flower.DefaultPreference}) {
		t.Errorf("found rules at %v, %v", got, err)
	}
	same, err := flower.Open(flower.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer same.Close()
	if n, err := eswitch.New(same, eswitch.Config{}).Flush(t.Context()); n != 0 || err != nil || curtained(t, "p0") {
		t.Errorf("flushed %d rules, %v\n%s", n, err, ingress(t, "p0"))
	}
}

// TestHiddenLater: a filter that comes behind a curtain is seen the next time, and the
// curtain goes, also that of an agent before.
func TestHiddenLater(t *testing.T) {
	tctest.NeedFlower(t)
	r := rig(t, flower.Config{Mode: flower.SkipSW})
	if err := r.Driver.Prepare(t.Context(), r.A); err != nil {
		t.Fatal(err)
	}
	tctest.Run(t, "tc filter add dev p0 ingress pref 49152 protocol ip flower ip_proto udp action ok")
	if err := r.Driver.Prepare(t.Context(), r.A); !errors.Is(err, eswitch.ErrForeign) {
		t.Errorf("got %v, want ErrForeign", err)
	}
	next, err := flower.Open(flower.Config{Mode: flower.SkipSW})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if got, err := next.Standing(t.Context()); err != nil || !slices.Equal(got, []int32{r.A}) {
		t.Errorf("something stands on %v, %v; want %d", got, err, r.A)
	}
	if err := next.Release(t.Context(), r.A); err != nil || curtained(t, "p0") {
		t.Errorf("the curtain stays: %v\n%s", err, ingress(t, "p0"))
	}
}

// TestCurtainStands: in a clsact of somebody else's, too.
func TestCurtainStands(t *testing.T) {
	tctest.NeedFlower(t)
	r := rig(t, flower.Config{Mode: flower.SkipSW})
	for _, dev := range []string{"p0", "p1"} {
		tctest.Run(t, "tc qdisc add dev "+dev+" clsact")
	}
	if err := r.Driver.Prepare(t.Context(), r.A); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Driver.(*flower.Driver).Standing(t.Context()); err != nil || !slices.Equal(got, []int32{r.A}) {
		t.Errorf("something stands on %v, %v; want %d", got, err, r.A)
	}
}
