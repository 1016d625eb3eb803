package file

import (
	"errors"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/secgroup"
)

const (
	web     = secgroup.GroupID("d7658155-9d0b-4741-b988-0be353dc1cc3")
	clients = secgroup.GroupID("8a1f3c52-6f0e-4f35-9d57-3a8f0d2f7b10")
)

// owner is that of a port without a project, in groups of these ids and names.
func owner(pairs ...string) secgroup.Owner {
	n := secgroup.Names{IDs: true, Named: true}
	for pair := range slices.Chunk(pairs, 2) {
		n.List, n.Called = append(n.List, pair[0]), append(n.Called, pair[1])
	}
	return secgroup.Owner{Groups: n}
}

func TestParseExample(t *testing.T) {
	got := parseFile(t, "testdata/example.yaml", "compute-1")
	one := func(n uint16) secgroup.PortRange { return secgroup.PortRange{First: n, Last: n, Some: true} }
	rule := func(id string, group string, of secgroup.GroupID, d flows.Direction, a secgroup.Action, m secgroup.Match) *secgroup.Rule {
		return &secgroup.Rule{
			Name:   "rule " + id + ` of security group "` + group + `" (` + string(of) + ")",
			Groups: []secgroup.GroupID{of}, Direction: d, Priority: 1, Action: a, Matches: []secgroup.Match{m},
		}
	}
	members, monitors := secgroup.SetID("security group "+clients), secgroup.SetID("address group c2bf7731-f387-4e80-8037-d94469e1d1c4")
	want := &secgroup.Update{
		Reset: true,
		Ports: map[flows.LogicalPort]*secgroup.Port{
			"7879bbbd-b170-49ac-955f-cc6f9224ac9e": {Groups: []secgroup.GroupID{web}, Owner: owner(string(web), "web")},
			"c4f7930f-c9a3-47b3-95b2-0e6c871b799d": {
				Groups: []secgroup.GroupID{clients}, Owner: owner(string(clients), "clients"),
				Reason: flows.PortUnbound, Detail: `binding:host_id is "compute-2"`,
			},
			"0d6e9a7b-4b21-4a0e-8c0a-5f8d8e1b2c3d": {Open: true, Owner: owner()},
		},
		Rules: map[secgroup.RuleID]*secgroup.Rule{},
		Sets: map[secgroup.SetID]secgroup.SetChange{
			members:  {Replace: true, Add: prefixes("10.0.0.197/32")},
			monitors: {Replace: true, Add: prefixes("198.51.100.0/24", "2001:db8::/64")},
		},
	}
	for id, r := range map[string]*secgroup.Rule{
		"7e5c6c2a-00ce-41c0-8eb7-bc1d5eb4e66f": {Direction: flows.Egress, Matches: []secgroup.Match{{Family: secgroup.IPv4}}},
		"c97dbd9d-e22f-404c-9dea-6b2a55032c01": {Direction: flows.Egress, Matches: []secgroup.Match{{Family: secgroup.IPv6}}},
		"c35b1607-cff5-4900-a100-bc0e47237e6e": {Direction: flows.Ingress, Matches: []secgroup.Match{{
			Family: secgroup.IPv4, Proto: flows.TCP, HasProto: true,
			DstPorts: secgroup.PortRange{First: 80, Last: 90, Some: true},
			Remote:   secgroup.Addrs{Prefixes: prefixes("0.0.0.0/0")},
		}}},
		"5d0c1f0e-2a55-4a5c-a7d0-0f7f5b6f1a01": {Direction: flows.Ingress, Matches: []secgroup.Match{{
			Family: secgroup.IPv4, Proto: flows.TCP, HasProto: true, DstPorts: one(5432),
			Remote: secgroup.Addrs{Sets: []secgroup.SetID{members}},
		}}},
		"2f9b7f61-83a4-4d3c-9a35-6c9a0b8f4e77": {Direction: flows.Ingress, Matches: []secgroup.Match{{
			Family: secgroup.IPv6, Proto: flows.ICMPv6, HasProto: true, SrcPorts: one(128),
			Remote: secgroup.Addrs{Sets: []secgroup.SetID{monitors}},
		}}},
	} {
		want.Rules[secgroup.RuleID(id)] = rule(id, "web", web, r.Direction, secgroup.Allow, r.Matches[0])
	}
	stateless := "b1b3a7d4-5e0c-4b43-8e0b-9d6a2f4c7e11"
	want.Rules[secgroup.RuleID(stateless)] = rule(stateless, "clients", clients, flows.Egress, secgroup.AllowStateless,
		secgroup.Match{Family: secgroup.IPv4, Proto: flows.UDP, HasProto: true})
	if diff := cmp.Diff(want, got, samePrefix); diff != "" {
		t.Error(diff)
	}
}

// TestParseNeutron reads what a neutron-server 21.0.0 answered.
func TestParseNeutron(t *testing.T) {
	got := parseFile(t, "testdata/neutron.json", "compute-1")
	if p := got.Ports["7879bbbd-b170-49ac-955f-cc6f9224ac9e"]; p == nil || p.Reason != "" || len(p.Groups) != 1 {
		t.Errorf("the bound port is %+v", p)
	}
	if p := got.Ports["c4f7930f-c9a3-47b3-95b2-0e6c871b799d"]; p == nil || p.Reason != flows.PortUnbound {
		t.Errorf("the port with binding_failed is %+v", p)
	}
	if o := got.Ports["7879bbbd-b170-49ac-955f-cc6f9224ac9e"].Owner; !slices.Equal(o.Tenant.List, []string{"fake_project_id"}) || o.Tenant.Named ||
		!slices.Equal(o.Groups.List, []string{string(web)}) || !slices.Equal(o.Groups.Called, []string{"web"}) || !o.Groups.Named {
		t.Errorf("its owner is %+v", o)
	}
	if len(got.Rules) != 5 {
		t.Errorf("%d rules, not 5", len(got.Rules))
	}
	for id, r := range got.Rules {
		if r.Action == secgroup.Unknown {
			t.Errorf("rule %s is unknown", id)
		}
	}
}

// TestOwner: what is not in the file may be anything, and what is null is not there.
func TestOwner(t *testing.T) {
	u := mustParse(t, []byte(`{"ports": [{"id": "a", "project_id": null, "tenant_id": "t", "security_groups": ["g", "missing"]}, {"id": "b", "project_id": ""},
		{"id": "c", "security_groups": ["nameless"]}], "security_groups": [{"id": "g", "name": "web"}, {"id": "nameless"}]}`))
	for id, want := range map[flows.LogicalPort]secgroup.Owner{
		"a": {Tenant: secgroup.Names{List: []string{"t"}, IDs: true}, Groups: secgroup.Names{List: []string{"g", "missing"}, Called: []string{"web"}, IDs: true}},
		"b": {Tenant: secgroup.Names{IDs: true, Named: true}, Groups: secgroup.Names{IDs: true, Named: true}},
		"c": {Groups: secgroup.Names{List: []string{"nameless"}, IDs: true}},
	} {
		if diff := cmp.Diff(want, u.Ports[id].Owner); diff != "" {
			t.Errorf("%s: %s", id, diff)
		}
	}
}

// TestJSONIsYAML reads one content in both forms.
func TestJSONIsYAML(t *testing.T) {
	data := readFile(t, "testdata/neutron.json")
	var v any
	if err := yaml.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(mustParse(t, data), mustParse(t, asYAML), samePrefix); diff != "" {
		t.Error(diff)
	}
}

// TestSurrogates: Python writes what is not in the basic plane so, and YAML knows no such
// thing.
func TestSurrogates(t *testing.T) {
	u := mustParse(t, []byte(`{"ports": [], "security_groups": [{"id": "g", "name": "\ud83d\ude00",
		"security_group_rules": [{"id": "r", "direction": "egress"}]}]}`))
	if name := u.Rules["r"].Name; !strings.Contains(name, "😀") {
		t.Errorf("the rule's name is %s", name)
	}
}

func TestParseRule(t *testing.T) {
	p := func(n flows.Proto) secgroup.Match {
		return secgroup.Match{Family: secgroup.IPv4, Proto: n, HasProto: true}
	}
	six := func(m secgroup.Match) secgroup.Match { m.Family = secgroup.IPv6; return m }
	ports := func(m secgroup.Match, first, last uint16) secgroup.Match {
		m.DstPorts = secgroup.PortRange{First: first, Last: last, Some: true}
		return m
	}
	icmp := func(m secgroup.Match, typ uint16) secgroup.Match {
		m.SrcPorts = secgroup.PortRange{First: typ, Last: typ, Some: true}
		return m
	}
	tests := []struct {
		fields string
		want   secgroup.Match
	}{
		{``, secgroup.Match{Family: secgroup.IPv4}},
		{`ethertype: ipv6`, secgroup.Match{Family: secgroup.IPv6}},
		{`protocol: null, port_range_min: ~`, secgroup.Match{Family: secgroup.IPv4}},
		{`protocol: any`, secgroup.Match{Family: secgroup.IPv4}},
		{`protocol: TCP`, p(flows.TCP)},
		{`protocol: 6`, p(flows.TCP)},
		{`protocol: "6"`, p(flows.TCP)},
		{`protocol: 0`, p(0)},
		{`protocol: vrrp`, p(112)},
		{`protocol: icmp, ethertype: IPv6`, six(p(flows.ICMPv6))},
		{`protocol: 1, ethertype: IPv6`, six(p(flows.ICMPv6))},
		{`protocol: icmpv6, ethertype: IPv6`, six(p(flows.ICMPv6))},
		{`protocol: ipv6-icmp, ethertype: IPv6`, six(p(flows.ICMPv6))},
		{`protocol: udp, port_range_min: 1, port_range_max: 65535`, ports(p(flows.UDP), 1, 65535)},
		{`protocol: icmp, port_range_min: 0`, icmp(p(flows.ICMP), 0)},
		{`protocol: icmp, port_range_min: 3, port_range_max: 0`, ports(icmp(p(flows.ICMP), 3), 0, 0)},
		{`remote_ip_prefix: 10.9.8.7/24`, secgroup.Match{Family: secgroup.IPv4, Remote: secgroup.Addrs{Prefixes: prefixes("10.9.8.0/24")}}},
		{`remote_ip_prefix: 10.9.8.7`, secgroup.Match{Family: secgroup.IPv4, Remote: secgroup.Addrs{Prefixes: prefixes("10.9.8.7/32")}}},
	}
	for _, tt := range tests {
		t.Run(tt.fields, func(t *testing.T) {
			u := mustParse(t, withRule(tt.fields))
			if diff := cmp.Diff([]secgroup.Match{tt.want}, u.Rules["r"].Matches, samePrefix); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParsePort(t *testing.T) {
	tests := []struct {
		fields string
		reason flows.Reason
		open   bool
	}{
		{`binding:host_id: here`, "", false},
		{`binding:host_id: here, port_security_enabled: false`, "", true},
		{`binding:host_id: there`, flows.PortUnbound, false},
		{`binding:host_id: ""`, flows.PortUnbound, false},
		{`name: x`, flows.PortUnbound, false},
		{`binding:host_id: here, binding:vif_type: unbound`, flows.PortUnbound, false},
		{`binding:host_id: here, admin_state_up: false`, flows.PortUnbound, false},
		{`binding:host_id: here, binding:profile: {migrating_to: there}`, flows.PortMigrating, false},
		{`binding:host_id: here, binding:profile: {}`, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.fields, func(t *testing.T) {
			u, err := Parse([]byte("ports: [{id: p, "+tt.fields+"}]\nsecurity_groups: []\n"), "here")
			if err != nil {
				t.Fatal(err)
			}
			p := u.Ports["p"]
			if p.Reason != tt.reason || p.Open != tt.open || (p.Detail == "") != (p.Reason == "") {
				t.Errorf("got %+v", p)
			}
		})
	}
	u := mustParse(t, []byte("ports: [{id: p}]\nsecurity_groups: []\n"))
	if p := u.Ports["p"]; p.Reason != "" {
		t.Errorf("without a host name the port is %+v", p)
	}
}

// TestDangling: what depends on a group that is not there is unknown, never permitted, and
// what another rule permits stays so.
func TestDangling(t *testing.T) {
	u := mustParse(t, []byte(`
ports: [{id: p, security_groups: [lost, there]}]
security_groups:
- id: there
  security_group_rules:
  - {id: a, direction: ingress, remote_group_id: nowhere}
  - {id: b, direction: ingress, remote_address_group_id: nowhere}
  - {id: c, direction: ingress, remote_group_id: lost}
  - {id: d, direction: ingress, remote_group_id: there}
`))
	want := map[secgroup.RuleID]secgroup.Action{
		"a": secgroup.Unknown, "b": secgroup.Unknown, "lost/egress": secgroup.Unknown, "lost/ingress": secgroup.Unknown,
		"c": secgroup.Allow, "d": secgroup.Allow, // their members are known
	}
	got := map[secgroup.RuleID]secgroup.Action{}
	for id, r := range u.Rules {
		got[id] = r.Action
		if (r.Priority == unknownPriority) != (r.Action == secgroup.Unknown) || len(r.Matches) != 1 {
			t.Errorf("rule %s is %+v", id, r)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestMembers: a remote group is the addresses of its ports wherever they are, and the
// address pairs that they may use.
func TestMembers(t *testing.T) {
	u := mustParse(t, []byte(`
ports:
- {id: a, security_groups: [g], fixed_ips: [{ip_address: 10.0.0.2}, {ip_address: "2001:db8::2"}]}
- {id: b, security_groups: [g], allowed_address_pairs: [{ip_address: 10.1.0.7/16}, {ip_address: 10.0.0.2}]}
- {id: c, security_groups: [other], fixed_ips: [{ip_address: 10.0.0.3}]}
security_groups:
- {id: g, security_group_rules: [{id: r, direction: ingress, remote_group_id: g}]}
- {id: other}
`))
	want := map[secgroup.SetID]secgroup.SetChange{
		"security group g": {Replace: true, Add: prefixes("10.0.0.2/32", "10.1.0.0/16", "2001:db8::2/128")},
	}
	if diff := cmp.Diff(want, u.Sets, samePrefix); diff != "" {
		t.Error(diff)
	}
}

func TestErrors(t *testing.T) {
	rule := func(fields string) string { return string(withRule(fields)) }
	port := func(fields string) string { return "ports:\n- {id: p, " + fields + "}\nsecurity_groups: []\n" }
	r := "security_groups[0].security_group_rules[0]"
	tests := []struct{ name, doc, want string }{
		{"empty", ``, "it is empty"},
		{"no list", "ports: []\n", "security_groups: it is missing"},
		{"cut off", `{"ports": [`, "line 1: ports: unexpected EOF"},
		{"half", "ports:\n- {id: a", "line 1: did not find"},
		{"two documents", "ports: []\nsecurity_groups: []\n---\nx: 1\n", "more than one document"},
		{"more behind", `{"ports": [], "security_groups": []} {}`, "behind the end"},
		{"no object", `[]`, "line 1: an object is expected, not a list"},
		{"no list of ports", "ports: 5\nsecurity_groups: []", `line 1: ports: a list is expected, not "5"`},
		{"no list in JSON", "{\n\"ports\": {}}", `line 2: ports: a list is expected, not an object`},
		{"port is text", "ports:\n- x\n", `line 2: ports[0]: an object is expected, not "x"`},
		{"no id", "ports:\n- {name: x}\n", "line 2: ports[0].id: it is missing"},
		{"twice", "ports:\n- {id: x}\n- {id: x}\n", `line 3: ports[1].id: "x" is there twice`},
		{"field twice", "ports:\n- {id: x, id: y}\n", `line 2: ports[0]: the field "id" is there twice`},
		{"list twice", `{"ports": [], "ports": []}`, `the field "ports" is there twice`},
		{"list twice in YAML", "ports: []\nports: []\n", `the field "ports" is there twice`},
		{"alias", "ports: [&a {id: x}, *a]\n", "an alias"},
		{"secured", port("port_security_enabled: yes please"), `ports[0].port_security_enabled: true or false is expected, not "yes please"`},
		{"secured as text", port(`port_security_enabled: "false"`), `true or false is expected`},
		{"unsecured with groups", port("port_security_enabled: false, security_groups: [x]"), "ports[0].security_groups: a port without"},
		{"address", port("fixed_ips: [{ip_address: 10.0.0.256}]"), `ports[0].fixed_ips[0].ip_address: an IP address or prefix is expected, not "10.0.0.256"`},
		{"mapped", port(`fixed_ips: [{ip_address: "::ffff:10.0.0.1"}]`), "an IP address"},
		{"zone", port(`fixed_ips: [{ip_address: "fe80::1%eth0"}]`), "an IP address"},
		{"profile", port("binding:profile: x"), "binding:profile: an object"},
		{"direction", rule("direction: up"), "line 6: " + r + `.direction: ingress or egress is expected, not "up"`},
		{"ethertype", rule("ethertype: ARP"), r + `.ethertype: IPv4 or IPv6`},
		{"protocol", rule("protocol: tpc"), r + `.protocol: a protocol's name`},
		{"protocol number", rule("protocol: 256"), r + `.protocol: `},
		{"no protocol", rule(`protocol: ""`), r + `.protocol: it is empty`},
		{"protocol of IPv6", rule("protocol: ipv6-icmp"), r + `.protocol: "ipv6-icmp" is of IPv6`},
		{"port", rule("protocol: tcp, port_range_min: abc"), r + `.port_range_min: a number from 0 to 65535 is expected, not "abc"`},
		{"large port", rule("protocol: tcp, port_range_max: 65536"), r + `.port_range_max: a number`},
		{"port 0", rule("protocol: tcp, port_range_min: 0, port_range_max: 5"), r + `.port_range_min: a range`},
		{"half a range", rule("protocol: tcp, port_range_min: 5"), r + `.port_range_min: a range`},
		{"other half", rule("protocol: tcp, port_range_max: 5"), r + `.port_range_max: a range`},
		{"backwards", rule("protocol: tcp, port_range_min: 5, port_range_max: 4"), r + `.port_range_min: a range`},
		{"port of any", rule("port_range_min: 5, port_range_max: 5"), "needs a protocol"},
		{"port of GRE", rule("protocol: gre, port_range_min: 5, port_range_max: 5"), "gre has no ports"},
		{"ICMP type", rule("protocol: icmp, port_range_min: 256"), "of ICMP"},
		{"ICMP code alone", rule("protocol: icmp, port_range_max: 1"), "a code needs a type"},
		{"prefix", rule("remote_ip_prefix: 10.0.0.0/33"), r + ".remote_ip_prefix: an IP"},
		{"prefix of IPv6", rule("remote_ip_prefix: 2001:db8::/32"), "not of the rule's ethertype"},
		{"empty prefix", rule(`remote_ip_prefix: ""`), r + ".remote_ip_prefix: it is empty"},
		{"empty group", rule(`remote_group_id: ""`), r + ".remote_group_id: it is empty"},
		{"two remotes", rule("remote_ip_prefix: 10.0.0.0/8, remote_group_id: x"), "only one of"},
		{"other group", rule("security_group_id: x"), r + ".security_group_id: it is of another group"},
		{"one page", "ports: []\nports_links: [{rel: previous}, {rel: next, href: x}]\n", "line 2: ports_links[1]: the list is only one page"},
		{"deep", `{"ports": [` + strings.Repeat(`{"x":`, 100), "nested more than 64 deep"},
		{"deep in YAML", "ports: " + strings.Repeat(`[`, 100) + strings.Repeat(`]`, 100), "nested more than 64 deep"},
		{"deeper in YAML", "ports: " + strings.Repeat(`[`, 1<<20), "yaml"},
		{"large YAML", "ports: []\n#" + strings.Repeat("x", MaxYAML), "more than 16 MiB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse([]byte(tt.doc), "")
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("the error is %v", err)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is\n%q, not\n%q", err, tt.want)
			}
		})
	}
}

// withRule is a document with one rule, r, on line 6.
func withRule(fields string) []byte {
	if !strings.Contains(fields, "direction") {
		fields += ", direction: egress"
	}
	return []byte("ports: []\nsecurity_groups:\n- id: g\n  name: n\n  security_group_rules:\n  - {id: r, " + strings.TrimPrefix(fields, ", ") + "}\n")
}

var samePrefix = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

func prefixes(ss ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range ss {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func parseFile(t *testing.T, path, host string) *secgroup.Update {
	t.Helper()
	u, err := Parse(readFile(t, path), host)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func mustParse(t *testing.T, data []byte) *secgroup.Update {
	t.Helper()
	u, err := Parse(data, "")
	if err != nil {
		t.Fatal(err)
	}
	return u
}
