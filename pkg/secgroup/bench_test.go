package secgroup_test

import (
	"testing"

	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

func BenchmarkJudge(b *testing.B) {
	for _, c := range clouds {
		b.Run(c.name, func(b *testing.B) {
			table, _ := secgroup.NewCompiler().Apply(c.update())
			packets := c.packets(4096)
			permitted := 0
			for _, p := range packets {
				if table.Judge(p.port, p.dir, p.tuple).Reason == "" {
					permitted++
				}
			}
			b.ReportMetric(100*float64(permitted)/float64(len(packets)), "%permitted")
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
