package file

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

// TestSince: what was told, and then the difference, is what the new file says.
func TestSince(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	told := &state{}
	empty := told.all()
	last := told
	apply(told, empty)
	nothing := 0
	for i := range 500 {
		now, err := newState(randomFile(rng), "")
		if err != nil {
			t.Fatal(err)
		}
		if u := now.since(last); u != nil {
			apply(told, u)
		} else {
			nothing++
		}
		if diff := cmp.Diff(now.all(), told.all(), samePrefix, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("step %d: %s", i, diff)
		}
		if again := now.since(now); again != nil {
			t.Fatalf("the difference to itself is %+v", again)
		}
		last = now
	}
	if nothing > 100 {
		t.Errorf("%d of 500 files were as the one before", nothing)
	}
}

// TestSinceIsSmall: one changed rule, member and address is all that is told.
func TestSinceIsSmall(t *testing.T) {
	file := string(readFile(t, "testdata/example.yaml"))
	edit := strings.NewReplacer("port_range_max: 90", "port_range_max: 91", "10.0.0.197", "10.0.0.198")
	old, err := newState([]byte(file), "")
	if err != nil {
		t.Fatal(err)
	}
	now, err := newState([]byte(edit.Replace(file)), "")
	if err != nil {
		t.Fatal(err)
	}
	u := now.since(old)
	want := map[secgroup.SetID]secgroup.SetChange{
		"security group " + secgroup.SetID(clients): {Add: prefixes("10.0.0.198/32"), Remove: prefixes("10.0.0.197/32")},
	}
	if diff := cmp.Diff(want, u.Sets, samePrefix); diff != "" {
		t.Error(diff)
	}
	if u.Reset || len(u.Ports) != 0 || len(u.Rules) != 1 || u.Rules["c35b1607-cff5-4900-a100-bc0e47237e6e"] == nil {
		t.Errorf("the difference is %+v", u)
	}
}

// apply does what the receiver of an update does.
func apply(s *state, u *secgroup.Update) {
	if u.Reset {
		*s = state{
			ports: map[flows.LogicalPort]*secgroup.Port{}, rules: map[secgroup.RuleID]*secgroup.Rule{},
			sets: map[secgroup.SetID][]netip.Prefix{},
		}
	}
	merge(s.ports, u.Ports)
	merge(s.rules, u.Rules)
	for id, change := range u.Sets {
		switch {
		case change.Gone:
			delete(s.sets, id)
			continue
		case change.Replace:
			s.sets[id] = nil
		}
		kept := slices.DeleteFunc(slices.Clone(s.sets[id]), func(p netip.Prefix) bool { return slices.Contains(change.Remove, p) })
		s.sets[id] = sorted(append(kept, change.Add...))
	}
}

func merge[K comparable, V any](to map[K]*V, from map[K]*V) {
	for key, value := range from {
		if value == nil {
			delete(to, key)
		} else {
			to[key] = value
		}
	}
}

// randomFile is a small file, so that two of them have much in common.
func randomFile(rng *rand.Rand) []byte {
	var b strings.Builder
	pick := func(n int) int { return rng.IntN(n) }
	b.WriteString("ports:\n")
	for i := range 4 {
		if pick(4) > 0 {
			fmt.Fprintf(&b, "- {id: p%d, security_groups: [g%d, g%d], fixed_ips: [{ip_address: 10.0.0.%d}]}\n", i, pick(3), pick(3), pick(5))
		}
	}
	b.WriteString("- {id: always}\nsecurity_groups:\n- {id: always}\n")
	for i := range 3 {
		if pick(4) > 0 {
			fmt.Fprintf(&b, "- id: g%d\n  security_group_rules:\n", i)
			fmt.Fprintf(&b, "  - {id: r%d, direction: egress, protocol: %d}\n", 2*i, pick(2))
			fmt.Fprintf(&b, "  - {id: r%d, direction: ingress, %s: %s%d}\n", 2*i+1,
				[]string{"remote_group_id", "remote_address_group_id"}[i%2], []string{"g", "a"}[i%2], pick(3))
		}
	}
	b.WriteString("address_groups:\n")
	for i := range 2 {
		if pick(4) > 0 {
			fmt.Fprintf(&b, "- {id: a%d, addresses: [10.%d.0.0/16, 10.%d.0.0/16]}\n", i, pick(3), pick(3))
		}
	}
	return []byte(b.String())
}
