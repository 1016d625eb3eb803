package ovsdb

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// content is what the server of an OVN node with n ports sends at first.
func content(n int) []byte {
	var zones, ports, portRows, ifaceRows []string
	for i := range n {
		zones = append(zones, fmt.Sprintf(`["ct-zone-lsp-%d","%d"]`, i, i+1))
		ports = append(ports, fmt.Sprintf(`["uuid","port-%d"]`, i))
		portRows = append(portRows, fmt.Sprintf(`"port-%d":{"new":{"name":"tap%d","interfaces":["uuid","if-%d"],"tag":["set",[]],"trunks":["set",[]],"external_ids":["map",[]],"other_config":["map",[]],"qos":["set",[]],"vlan_mode":["set",[]]}}`, i, i, i))
		ifaceRows = append(ifaceRows, fmt.Sprintf(`"if-%d":{"new":{"name":"tap%d","type":"","ofport":%d,"ifindex":%d,"mac_in_use":"fe:16:3e:00:00:01","admin_state":"up","link_state":"up","error":["set",[]],"ingress_policing_rate":0,
			"external_ids":["map",[["iface-id","lsp-%d"],["attached-mac","fa:16:3e:00:00:01"],["vm-uuid","vm"]]]}}`, i, i, i+1, i+1, i))
	}
	return fmt.Appendf(nil, `{"Bridge":{"b":{"new":{"name":"br-int","ports":["set",[%s]],"external_ids":["map",[%s]]}}},"Port":{%s},"Interface":{%s}}`,
		strings.Join(ports, ","), strings.Join(zones, ","), strings.Join(portRows, ","), strings.Join(ifaceRows, ","))
}

func filled(b *testing.B, n int) *replica {
	b.Helper()
	r := newReplica()
	var updates tableUpdates
	if err := json.Unmarshal(content(n), &updates); err != nil {
		b.Fatal(err)
	}
	if err := r.apply(updates); err != nil {
		b.Fatal(err)
	}
	return r
}

// BenchmarkChange1000Ports is one transaction after the other on a real server
// that serves 1,000 ports, each waited for until a snapshot shows it.
func BenchmarkChange1000Ports(b *testing.B) {
	s := newServer(b)
	inv := follow(b, "unix:"+s.socket)
	args := []string{"init", "--", "add-br", "br0"}
	for i := range 1000 {
		args = append(args, "--", "add-port", "br0", fmt.Sprintf("p%04d", i))
	}
	s.vsctl(args...)
	await(b, inv, "the ports", has("p0999"))
	conn, err := Endpoint{"unix", s.socket}.dial(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	w := newWire(conn, patience)
	defer w.close()
	n := int32(0)
	for b.Loop() {
		n++
		var result []any
		if err := w.call(b.Context(), "transact", []any{database, map[string]any{"op": "update", "table": "Interface",
			"where": []any{[]any{"name", "==", "p0500"}}, "row": map[string]any{"ifindex": n}}}, &result); err != nil {
			b.Fatal(err)
		}
		await(b, inv, "the change", func(s *Snapshot) bool { p, _ := s.PortByName("p0500"); return p.Ifindex == n })
	}
}

func BenchmarkRead1000Ports(b *testing.B) {
	data := content(1000)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		var updates tableUpdates
		if err := json.Unmarshal(data, &updates); err != nil {
			b.Fatal(err)
		}
		if err := newReplica().apply(updates); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSnapshot1000Ports(b *testing.B) {
	r, ids := filled(b, 1000), &identities{}
	for b.Loop() {
		if s := build(r, ids, new(memory)); len(s.Ports) != 1000 {
			b.Fatal(len(s.Ports))
		}
	}
}

func BenchmarkDiff1000Ports(b *testing.B) {
	r, ids := filled(b, 1000), &identities{}
	x, y := build(r, ids, new(memory)), build(r, ids, new(memory))
	b.ResetTimer()
	for b.Loop() {
		if n := len(Diff(x, y)); n != 0 {
			b.Fatal(n)
		}
	}
}
