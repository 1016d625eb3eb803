package ovsdb

import (
	"fmt"
	"testing"

	"github.com/flowshunt/flowshunt/ovsdb/vswitchd"
)

// filled returns the replica of an OVN node with n ports.
func filled(n int) *replica {
	r := newReplica()
	zones := map[string]string{}
	bridge := &vswitchd.Bridge{Name: "br-int", ExternalIDs: zones}
	for i := range n {
		number, name := i+1, fmt.Sprint("tap", i)
		zones[fmt.Sprint("ct-zone-lsp-", i)] = fmt.Sprint(number)
		bridge.Ports = append(bridge.Ports, fmt.Sprint("port-", i))
		r.ports[fmt.Sprint("port-", i)] = &vswitchd.Port{Name: name, Interfaces: []string{fmt.Sprint("if-", i)}}
		mac, up := "fe:16:3e:00:00:01", "up"
		r.interfaces[fmt.Sprint("if-", i)] = &vswitchd.Interface{Name: name, Ofport: &number, Ifindex: &number, MACInUse: &mac, AdminState: &up, LinkState: &up,
			ExternalIDs: map[string]string{"iface-id": fmt.Sprint("lsp-", i), "attached-mac": "fa:16:3e:00:00:01", "vm-uuid": "vm"}}
	}
	r.bridges["b"] = bridge
	return r
}

// BenchmarkChange1000Ports is one transaction after the other on a real server
// that serves 1,000 ports, each waited for until a snapshot shows it.
func BenchmarkChange1000Ports(b *testing.B) {
	s := newServer(b)
	inv := follow(b, "unix:"+s.Socket)
	args := []string{"init", "--", "add-br", "br0"}
	for i := range 1000 {
		args = append(args, "--", "add-port", "br0", fmt.Sprintf("p%04d", i))
	}
	s.VSCtl(args...)
	await(b, inv, "the ports", has("p0999"))
	c := s.Dial(database)
	n := int32(0)
	for b.Loop() {
		n++
		c.Transact(map[string]any{"op": "update", "table": "Interface",
			"where": []any{[]any{"name", "==", "p0500"}}, "row": map[string]any{"ifindex": n}})
		await(b, inv, "the change", func(s *Snapshot) bool { p, _ := s.PortByName("p0500"); return p.Ifindex == n })
	}
}

func BenchmarkSnapshot1000Ports(b *testing.B) {
	r, ids := filled(1000), &identities{}
	for b.Loop() {
		if s := build(r, ids, new(memory)); len(s.Ports) != 1000 {
			b.Fatal(len(s.Ports))
		}
	}
}

func BenchmarkDiff1000Ports(b *testing.B) {
	r, ids := filled(1000), &identities{}
	x, y := build(r, ids, new(memory)), build(r, ids, new(memory))
	b.ResetTimer()
	for b.Loop() {
		if n := len(Diff(x, y)); n != 0 {
			b.Fatal(n)
		}
	}
}
