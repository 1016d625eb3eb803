package policy_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/hack/benchtest"
	"github.com/flowshunt/flowshunt/pkg/policy"
)

// many is the shipped policies behind others with prefixes and ports, n in all.
func many(n int) *naive {
	w := &world{rand.New(rand.NewPCG(1, uint64(n)))}
	all := &naive{policies: policy.Shipped()}
	for i := len(all.policies); i < n; i++ {
		p := policy.Spec{Name: fmt.Sprintf("p%d", i), Priority: 5000 + w.IntN(1000), Verdict: pick(w, "inspect", "offload", "drop")}
		p.DstPrefixes = []string{fmt.Sprintf("10.%d.%d.0/%d", w.IntN(256), w.IntN(256), 12+w.IntN(13))}
		p.SrcPrefixes = some(w, 2, fmt.Sprintf("10.%d.0.0/%d", w.IntN(256), 8+w.IntN(9)))
		p.DstPorts = some(w, 2, "80", "443", "8000-9000", "5432")
		p.Applications = some(w, 4, "tls", "http", "uninspectable")
		p.ServerNames = some(w, 8, "*.example.com", "example.net")
		p.Interfaces = some(w, 8, "tap*", "vnet1*")
		all.policies = append(all.policies, p)
	}
	for i := range 10 {
		all.profiles = append(all.profiles, policy.ProfileSpec{Name: fmt.Sprintf("d%d", i),
			DstPrefixes: []string{fmt.Sprintf("10.%d.0.0/16", i)}, ServerNames: []string{"*.corp.example"}})
	}
	for i := range 64 {
		all.ports = append(all.ports, policy.Port{ID: flows.PortID(i + 1), Name: fmt.Sprintf("tap%d", i)})
	}
	return all
}

func subjects(n int) []flows.Subject {
	w := &world{rand.New(rand.NewPCG(2, 2))}
	list := make([]flows.Subject, n)
	for i := range list {
		a := func() netip.Addr {
			return netip.AddrFrom4([4]byte{10, byte(w.Uint32()), byte(w.Uint32()), byte(w.Uint32())})
		}
		t := flows.Tuple{Proto: pick(w, flows.TCP, flows.TCP, flows.UDP), Src: a(), Dst: a(), SrcPort: uint16(w.Uint32()), DstPort: pick[uint16](w, 80, 443, 8443, 22, 5432)}
		list[i] = flows.Subject{Tuple: t, Far: t, Placed: true, In: flows.PortID(1 + w.IntN(64)), Out: flows.PortID(1 + w.IntN(64)), DSCP: 1, Content: w.content()}
	}
	return list
}

// perCall returns the median over windows so short that a busy machine spoils only some.
func perCall(list []flows.Subject, f func(*flows.Subject)) time.Duration {
	var took []time.Duration
	for range 20 {
		for window := range slices.Chunk(list, 256) {
			start := time.Now()
			for i := range window {
				f(&window[i])
			}
			took = append(took, time.Since(start)/time.Duration(len(window)))
		}
	}
	return benchtest.Median(took)
}

// bounds are promised, on a machine that has nothing else to do.
var bounds = []struct {
	policies int
	bound    time.Duration
}{{10, 200 * time.Nanosecond}, {1000, time.Microsecond}}

const concernBound = 100 * time.Nanosecond

// slack is for machines that have.
const slack = 5

func TestDecideBound(t *testing.T) {
	if race {
		t.Skip("the race detector makes everything slow")
	}
	list := subjects(4096)
	for _, b := range bounds {
		table, _ := many(b.policies).compile(nil)
		took := perCall(list, func(s *flows.Subject) { table.Decide(s) })
		t.Logf("%d policies: %v", b.policies, took)
		if took > slack*b.bound {
			t.Errorf("%d policies: %v, and the bound is %v", b.policies, took, b.bound)
		}
		if i := 0; testing.AllocsPerRun(1000, func() { table.Decide(&list[i]); i++ }) != 0 {
			t.Error("it allocates")
		}
	}
}

// oneChanged is a table of 1,000 policies, and what has changed in it when one did.
func oneChanged() (*policy.Table, *policy.Change) {
	n := many(1000)
	before, _ := n.compile(nil)
	n.policies = slices.Clone(n.policies)
	n.policies[500].Verdict, n.policies[500].ElephantBytes = "offload", 7
	now, _ := n.compile(before)
	return now, policy.Diff(before, now)
}

func TestConcernsBound(t *testing.T) {
	if race {
		t.Skip("the race detector makes everything slow")
	}
	table, change := oneChanged()
	list := subjects(4096)
	refs := map[flows.Tuple]flows.PolicyRef{}
	concerned := 0
	for i := range list {
		refs[list[i].Tuple] = table.Decide(&list[i]).Policy
		if change.Concerns(refs[list[i].Tuple], &list[i]) {
			concerned++
		}
	}
	took := perCall(list, func(s *flows.Subject) { change.Concerns(1, s) })
	t.Logf("%v, %d of %d concerned", took, concerned, len(list))
	if took > slack*concernBound || concerned > len(list)/10 {
		t.Errorf("%v, and the bound is %v; %d of %d concerned", took, concernBound, concerned, len(list))
	}
	if i := 0; testing.AllocsPerRun(1000, func() { change.Concerns(1, &list[i]); i++ }) != 0 {
		t.Error("it allocates")
	}
}

// TestBenchPolicy writes what a look-up costs, beside a scan of all policies in their order.
func TestBenchPolicy(t *testing.T) {
	benchtest.Need(t)
	list := subjects(4096)
	rate := func(d time.Duration) float64 { return 1 / d.Seconds() }
	for _, b := range bounds {
		n := many(b.policies)
		table, _ := n.compile(nil)
		took := perCall(list, func(s *flows.Subject) { table.Decide(s) })
		benchtest.Report(t, benchtest.Rate(fmt.Sprintf("policy-lookup-%d", b.policies), "lookups/s", rate(took), rate(b.bound), "bound "+b.bound.String()))
	}
	_, change := oneChanged()
	took := perCall(list, func(s *flows.Subject) { change.Concerns(1, s) })
	benchtest.Report(t, benchtest.Rate("policy-concerns", "sessions/s", rate(took), rate(concernBound), "bound "+concernBound.String()))
}

func BenchmarkDecide(b *testing.B) {
	list := subjects(4096)
	for _, n := range []int{5, 10, 100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			table, _ := many(n).compile(nil)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				table.Decide(&list[i%len(list)])
			}
		})
	}
}

func BenchmarkConcerns(b *testing.B) {
	list := subjects(4096)
	_, change := oneChanged()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		change.Concerns(1, &list[i%len(list)])
	}
}

func BenchmarkCompile(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			all := many(n)
			for b.Loop() {
				all.compile(nil)
			}
		})
	}
}
