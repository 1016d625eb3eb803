package policy_test

import (
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/policy"
)

// A name that the network service has not told may be that of any id; an id that it has not
// told is none.
func TestNames(t *testing.T) {
	const a, b = "0123456789abcdef0123456789abcdef", "c0ffee00-1111-4222-8333-444455556601"
	const surely, perhaps, never = "surely", "perhaps", "never"
	for _, c := range []struct {
		what, value string
		iface       string
		names       policy.Names
		want        string
	}{
		{"nothing is known", b, "i", policy.Names{}, perhaps},
		{"no port of the cloud's", b, "", policy.Names{}, never},
		{"ids are known", b, "i", policy.Names{List: []string{a, b}, IDs: true}, surely},
		{"another form of it", "01234567-89AB-cdef-0123-456789abcdef", "i", policy.Names{List: []string{a}, IDs: true}, surely},
		{"another id", a, "i", policy.Names{List: []string{b}, IDs: true}, never},
		{"a name, by ids", "web", "i", policy.Names{List: []string{b}, IDs: true}, perhaps},
		{"a name", "web", "i", policy.Names{List: []string{b}, Called: []string{"web"}, IDs: true, Named: true}, surely},
		{"another name", "web", "i", policy.Names{List: []string{b}, Called: []string{"db"}, IDs: true, Named: true}, never},
		{"names differ in case", "web", "i", policy.Names{List: []string{b}, Called: []string{"Web"}, IDs: true, Named: true}, never},
		{"a name that is another's id", a, "i", policy.Names{List: []string{b}, Called: []string{a}, IDs: true, Named: true}, never},
		{"there are none", "web", "i", policy.Names{IDs: true, Named: true}, never},
	} {
		for _, column := range []string{"tenants", "security_groups"} {
			port := policy.Port{ID: 1, Name: "tap1", IfaceID: c.iface}
			spec := policy.Spec{Name: "p", Verdict: "drop"}
			if column == "tenants" {
				port.Tenant, spec.Tenants = c.names, []string{c.value}
			} else {
				port.SecurityGroups, spec.SecurityGroups = c.names, []string{c.value}
			}
			table, _ := policy.Compile([]policy.Spec{spec}, nil, nil)
			d := table.WithPorts([]policy.Port{port}).Decide(&flows.Subject{In: 1, Placed: true})
			got := never
			if d.Policy != 0 {
				got = surely
			} else if d.Doubt != 0 {
				got = perhaps
			}
			if got != c.want {
				t.Errorf("%s: %s match %s, want %s", c.what, column, got, c.want)
			}
		}
	}
}
