package file

import (
	"encoding/json"
	"fmt"
	"testing"

	"go.yaml.in/yaml/v3"
)

// BenchmarkParse reads what a cloud of 1,000 ports, 100 groups and 10,000 rules would be:
// a whole file is what every change of it costs.
func BenchmarkParse(b *testing.B) {
	v := cloud(1000, 100, 10000)
	asJSON, err := json.Marshal(v)
	if err != nil {
		b.Fatal(err)
	}
	asYAML, err := yaml.Marshal(v)
	if err != nil {
		b.Fatal(err)
	}
	for name, data := range map[string][]byte{"json": asJSON, "yaml": asYAML} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := newState(data, ""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSince is the difference between two such files.
func BenchmarkSince(b *testing.B) {
	data, err := json.Marshal(cloud(1000, 100, 10000))
	if err != nil {
		b.Fatal(err)
	}
	old, err := newState(data, "")
	if err != nil {
		b.Fatal(err)
	}
	now, err := newState(data, "")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if now.since(old) != nil {
			b.Fatal("there is a difference")
		}
	}
}

func cloud(ports, groups, rules int) map[string]any {
	var ps, gs []any
	for i := range ports {
		ps = append(ps, map[string]any{
			"id": fmt.Sprintf("00000000-0000-4000-8000-%012d", i), "binding:host_id": "compute-1",
			"security_groups": []string{fmt.Sprint("group-", i%groups)},
			"fixed_ips":       []any{map[string]string{"ip_address": fmt.Sprintf("10.0.%d.%d", i/250, i%250)}},
		})
	}
	for i := range groups {
		var rs []any
		for j := range rules / groups {
			rs = append(rs, map[string]any{
				"id": fmt.Sprintf("00000000-0000-4000-9000-%012d", i*rules/groups+j), "direction": "ingress", "ethertype": "IPv4",
				"protocol": "tcp", "port_range_min": 1 + j, "port_range_max": 1 + j, "remote_group_id": fmt.Sprint("group-", j%groups),
				"remote_ip_prefix": nil, "remote_address_group_id": nil, "normalized_cidr": nil, "description": "",
				"tenant_id": "0123456789abcdef0123456789abcdef", "revision_number": 0, "created_at": "2026-11-22T01:03:50Z",
			})
		}
		gs = append(gs, map[string]any{"id": fmt.Sprint("group-", i), "name": "x", "security_group_rules": rs})
	}
	return map[string]any{"ports": ps, "security_groups": gs}
}
