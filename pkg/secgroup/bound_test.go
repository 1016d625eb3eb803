package secgroup_test

import (
	"slices"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/hack/benchtest"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// perCall returns the median of what one of packets costs, over windows so short that a
// busy machine spoils only some.
func perCall(packets []packet, judge func(p *packet)) time.Duration {
	var took []time.Duration
	for n := 0; n < 100_000; n += len(packets) {
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

// TestJudgeBound shows what a lookup costs at most, with slack for a busy machine, and that
// it allocates nothing.
func TestJudgeBound(t *testing.T) {
	for _, c := range clouds {
		t.Run(c.name, func(t *testing.T) {
			table, _ := secgroup.NewCompiler().Apply(c.update())
			packets := c.packets(4096)
			permitted := 0
			for _, p := range packets {
				if table.Judge(p.port, p.dir, p.tuple).Reason == "" {
					permitted++
				}
			}
			var sink flows.Permission
			judge := func(p *packet) { sink = table.Judge(p.port, p.dir, p.tuple) }
			if n := testing.AllocsPerRun(100, func() { judge(&packets[0]) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
			took := perCall(packets, judge)
			t.Logf("%v for one of %d packets, %d permitted (%v)", took, len(packets), permitted, sink.Reason)
		})
	}
}
