package flower_test

import (
	"errors"
	"testing"

	"github.com/flowshunt/flowshunt/hack/benchtest"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/eswitch/eswitchtest"
	"github.com/flowshunt/flowshunt/pkg/eswitch/flower"
	"github.com/flowshunt/flowshunt/pkg/tc/tctest"
)

// TestBenchAdopt takes over 10,000 rules of an earlier process, beside what an agent
// would do that does not: take them out and put them in again, by tc -b and by an
// Eswitch; and beside tc only reading them.
func TestBenchAdopt(t *testing.T) {
	benchtest.Need(t)
	tctest.NeedFlower(t)
	r := rig(t, flower.Config{})
	first := prepared(t, r)
	sessions := r.Sessions(5000)
	rules := float64(2 * len(sessions))
	add, del := script(t, "add", sessions, r), script(t, "del", sessions, r)
	install := func(e *eswitch.Eswitch) {
		for _, res := range e.Install(t.Context(), sessions) {
			if res.Err != nil {
				t.Fatal(res.Err)
			}
		}
	}
	install(first)
	var adopt, others, show, again, batch []float64
	for range 3 {
		others = append(others, seconds(func() {
			driver := r.Driver.(*flower.Driver)
			if p, err := driver.Preferences(t.Context()); len(p) != 1 || err != nil {
				t.Fatal(p, err)
			}
		}))
		e := eswitch.New(r.Driver, eswitch.Config{})
		adopt = append(adopt, seconds(func() {
			if got, strays, err := e.Adopt(t.Context()); len(got) != len(sessions) || strays != 0 || err != nil {
				t.Fatal(len(got), strays, err)
			}
		}))
		show = append(show, seconds(func() {
			tctest.Run(t, "tc -s filter show dev p0 ingress")
			tctest.Run(t, "tc -s filter show dev p1 ingress")
		}))
		again = append(again, seconds(func() {
			if err := errors.Join(e.Remove(t.Context(), eswitchtest.IDs(sessions))...); err != nil {
				t.Fatal(err)
			}
			install(e)
		}))
	}
	if _, err := eswitch.New(r.Driver, eswitch.Config{}).Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		tctest.Run(t, "tc -b "+add)
		batch = append(batch, seconds(func() {
			tctest.Run(t, "tc -b "+del)
			tctest.Run(t, "tc -b "+add)
		}))
		tctest.Run(t, "tc -b "+del)
	}
	t.Logf("looking for other preferences: %.3f s; adopting: %.3f s", benchtest.Median(others), benchtest.Median(adopt))
	report(t, "adopt-10k", rules/benchtest.Median(adopt), rules/benchtest.Median(batch))
	report(t, "adopt-10k-own", rules/benchtest.Median(adopt), rules/benchtest.Median(again))
	report(t, "adopt-10k-read", rules/benchtest.Median(adopt), rules/benchtest.Median(show))
}
