package secgroup_test

import (
	"slices"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/hack/benchtest"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// These are promised, on a machine that has nothing else to do.
const (
	lookupBound  = 500 * time.Nanosecond
	compileBound = time.Second
	changeBound  = time.Millisecond
)

// within complains where something took longer than a bound, with slack.
func within(t *testing.T, what string, took, bound time.Duration) {
	t.Helper()
	t.Logf("%s: %v", what, took)
	if took > slack*bound {
		t.Errorf("%s took %v, and the bound is %v", what, took, bound)
	}
}

// perCall returns the median of what one of packets costs, over windows so short that a
// busy machine spoils only some.
func perCall(packets []packet, judge func(p *packet)) time.Duration {
	var took []time.Duration
	for range 10 {
		for some := range slices.Chunk(packets, 256) {
			start := time.Now()
			for i := range some {
				judge(&some[i])
			}
			took = append(took, time.Since(start)/time.Duration(len(some)))
		}
	}
	return benchtest.Median(took)
}

// perCompile returns the median of what all of u costs.
func perCompile(u *secgroup.Update, times int) time.Duration {
	var took []time.Duration
	for range times {
		start := time.Now()
		secgroup.NewCompiler().Apply(u)
		took = append(took, time.Since(start))
	}
	return benchtest.Median(took)
}

// TestJudgeBound shows what a lookup costs at most, and that it allocates nothing.
func TestJudgeBound(t *testing.T) {
	for _, c := range clouds {
		t.Run(c.name, func(t *testing.T) {
			table, _ := secgroup.NewCompiler().Apply(c.update())
			packets := c.packets(4096)
			var sink flows.Permission
			judge := func(p *packet) { sink = table.Judge(p.port, p.dir, p.tuple) }
			within(t, "a lookup", perCall(packets, judge), lookupBound)
			i := 0
			if n := testing.AllocsPerRun(len(packets)-2, func() { judge(&packets[i]); i++ }); n != 0 {
				t.Errorf("%v allocations", n)
			}
			permitted := 0
			for i := range packets {
				if judge(&packets[i]); sink.Reason == "" {
					permitted++
				}
			}
			t.Logf("%d of %d are permitted", permitted, len(packets))
		})
	}
}

func TestCompileBound(t *testing.T) {
	for _, c := range clouds {
		within(t, c.name, perCompile(c.update(), 1), compileBound)
	}
}

// TestOneChangeBound shows that what is compiled anew is what a change touches.
func TestOneChangeBound(t *testing.T) {
	for _, c := range clouds {
		compiler := secgroup.NewCompiler()
		compiler.Apply(c.update())
		for _, o := range one {
			within(t, c.name+" "+o.what, perChange(compiler, &c.cloud, o.update), changeBound)
		}
	}
}

// perChange returns the median of what updates cost.
func perChange(c *secgroup.Compiler, of *cloud, update func(c *cloud, n int) *secgroup.Update) time.Duration {
	var took []time.Duration
	for n := range 51 {
		u := update(of, n)
		start := time.Now()
		c.Apply(u)
		took = append(took, time.Since(start))
	}
	return benchtest.Median(took)
}

// TestBenchSecgroup writes what lookups, compiling and one changed rule cost.
func TestBenchSecgroup(t *testing.T) {
	benchtest.Need(t)
	for _, c := range clouds {
		if c.row == "" {
			continue
		}
		u, packets := c.update(), c.packets(4096)
		compiler := secgroup.NewCompiler()
		table, _ := compiler.Apply(u)
		ours := perCall(packets, func(p *packet) { table.Judge(p.port, p.dir, p.tuple) })
		l := newLinear(u)
		peer := perCall(packets, func(p *packet) { l.judge(p) })
		benchtest.Report(t, benchtest.Rate("sg-lookup-"+c.row, "lookups/s", perSecond(ours), perSecond(peer), "linear scan of the port's rules"))

		all := perCompile(u, 5)
		benchtest.Report(t, benchtest.Rate("sg-compile-"+c.row, "compilations/s", perSecond(all), perSecond(compileBound), "bound 1 s"))
		rule := perChange(compiler, &c.cloud, one[0].update)
		benchtest.Report(t, benchtest.Rate("sg-one-rule-"+c.row, "changes/s", perSecond(rule), perSecond(all), "compiling all again"))
		within(t, "a lookup", ours, lookupBound)
		within(t, "compiling", all, compileBound)
		within(t, "one rule", rule, changeBound)
	}
}

func perSecond(d time.Duration) float64 { return 1 / d.Seconds() }

func BenchmarkJudge(b *testing.B) {
	for _, c := range clouds {
		b.Run(c.name, func(b *testing.B) {
			table, _ := secgroup.NewCompiler().Apply(c.update())
			packets := c.packets(4096)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p := &packets[i%len(packets)]
				table.Judge(p.port, p.dir, p.tuple)
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	for _, c := range clouds {
		b.Run(c.name, func(b *testing.B) {
			u := c.update()
			for b.Loop() {
				secgroup.NewCompiler().Apply(u)
			}
		})
	}
}
