package flower_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
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

// Rules of an earlier version are found and swept where this one could not be configured:
// that had eight preferences and no guards.
func TestPreferencesOfOlder(t *testing.T) {
	tctest.NeedFlower(t)
	const cookie = "f1054700" + "0000000000000005"
	for _, pref := range []int{1, 1<<16 - 8} {
		r := rig(t, flower.Config{})
		tctest.Run(t, "tc qdisc add dev p0 clsact")
		tctest.Run(t, fmt.Sprintf("tc filter add dev p0 ingress pref %d protocol ip handle 2 flower skip_hw src_mac 02:00:00:00:00:01"+
			" dst_mac 02:00:00:00:00:02 ip_proto tcp src_ip 10.0.0.1 dst_ip 10.0.0.2 src_port 1 dst_port 2 action mirred egress redirect dev p1 cookie %s",
			pref, cookie))
		got, err := r.Driver.(*flower.Driver).Preferences(t.Context())
		if err != nil || !slices.Equal(got, []uint16{uint16(pref)}) {
			t.Fatalf("found rules at %v, %v, want %d", got, err, pref)
		}
		older, err := flower.Open(flower.Config{Preference: got[0]})
		if err != nil {
			t.Fatal(err)
		}
		defer older.Close()
		if n, err := eswitch.New(older, eswitch.Config{}).Sweep(t.Context()); n != 1 || err != nil {
			t.Errorf("swept %d rules at %d, %v", n, pref, err)
		}
	}
}
