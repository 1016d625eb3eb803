package flower_test

import (
	"slices"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch/flower"
	"github.com/flowshunt/flowshunt/pkg/tc/tctest"
)

// Rules that were installed with another configuration are found by one that does
// not know it.
func TestPreferences(t *testing.T) {
	tctest.NeedFlower(t)
	r := rig(t, flower.Config{Preference: 77})
	e := prepared(t, r)
	sessions := []flows.Session{r.Session(1, flows.TCP, false), r.Session(2, flows.ESP, true)}
	for _, res := range e.Install(t.Context(), sessions) {
		if res.Err != nil {
			t.Fatal(res.Err)
		}
	}
	tctest.Run(t, "tc filter add dev p0 ingress pref 5 protocol ip flower skip_hw ip_proto tcp action ok")
	other, err := flower.Open(flower.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	got, err := other.Preferences(t.Context())
	if err != nil || !slices.Equal(got, []uint16{77}) {
		t.Errorf("found rules at %v, %v, want 77", got, err)
	}
}
