package agent

import (
	"slices"
	"testing"

	"github.com/flowshunt/flowshunt/pkg/eswitch/flower"
	"github.com/flowshunt/flowshunt/pkg/tc/tctest"
)

// Of an agent with another preference nothing stays, also what is no rule.
func TestSweepAt(t *testing.T) {
	kernelReady(t)
	tctest.Run(t, "ip link add sweep0 type veth peer name sweep1")
	t.Cleanup(func() { tctest.Run(t, "ip link del sweep0") })
	old, err := flower.Open(flower.Config{Preference: 300})
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	link := tctest.Index(t, "sweep0")
	if err := old.Prepare(t.Context(), link); err != nil {
		t.Fatal(err)
	}
	if got, err := old.Standing(t.Context()); err != nil || !slices.Equal(got, []int32{link}) {
		t.Errorf("something stands on %v, %v; want %d", got, err, link)
	}
	if _, err := sweepAt(t.Context(), 300); err != nil {
		t.Fatal(err)
	}
	if got, err := old.Standing(t.Context()); err != nil || len(got) > 0 {
		t.Errorf("swept, and something stands on %v, %v", got, err)
	}
}
