package file

import (
	"errors"
	"testing"
)

// FuzzParse: whatever a file has, there is an answer, and it is one of two; no rule comes
// out that its receiver could not understand.
func FuzzParse(f *testing.F) {
	f.Add([]byte("ports: [{id: p, security_groups: [g]}]\nsecurity_groups:\n- id: g\n  security_group_rules:\n  - {id: r, direction: ingress, remote_group_id: g}\n"))
	f.Add([]byte(`{"ports": [{"id": "p", "binding:profile": {}, "fixed_ips": [{"ip_address": "10.0.0.1"}]}], "security_groups": [{"id": "g", "stateful": false}]}`))
	f.Add([]byte(`{"ports": [{"id": "p", "security_groups": ["x"]}], "security_groups": []}`))
	f.Add(withRule("protocol: icmp, port_range_min: 3, port_range_max: 0"))
	f.Fuzz(func(t *testing.T, data []byte) {
		u, err := Parse(data, "host")
		if err != nil {
			var e *Error
			if u != nil || !errors.As(err, &e) {
				t.Fatalf("update %v, error %#v", u, err)
			}
			return
		}
		for id, r := range u.Rules {
			if id == "" || r.Action == 0 || len(r.Groups) != 1 || len(r.Matches) != 1 {
				t.Errorf("rule %q is %+v", id, r)
			}
			for _, set := range r.Matches[0].Remote.Sets {
				if _, there := u.Sets[set]; !there {
					t.Errorf("rule %q names the set %q, which is not there", id, set)
				}
			}
		}
		for id, p := range u.Ports {
			if id == "" || p == nil || p.Open && len(p.Groups) > 0 {
				t.Errorf("port %q is %+v", id, p)
			}
		}
	})
}

// FuzzEvents: the kernel's words are bounded by what was read.
func FuzzEvents(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x10\x00\x00\x00groups.yaml\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) { parseEvents(data, "groups.yaml") })
}
