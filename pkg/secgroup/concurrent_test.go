package secgroup_test

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// TestAskedWhileCompiled lets the race detector see Tables asked while later ones are made.
func TestAskedWhileCompiled(t *testing.T) {
	s := seed(t)
	w := &world{Rand: rand.New(rand.NewPCG(s, 1))}
	c := secgroup.NewCompiler()
	table, _ := c.Apply(w.first())
	var asking sync.WaitGroup
	for run := range uint64(20) {
		asked := table
		asking.Go(func() {
			w := &world{Rand: rand.New(rand.NewPCG(s, run))}
			for range 500 {
				p := w.packet()
				asked.Describe(p.judge(asked).Rule)
				asked.Detail(p.port)
			}
		})
		for range 20 {
			table, _ = c.Apply(w.update())
		}
	}
	asking.Wait()
}
