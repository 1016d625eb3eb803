package client

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/ovsdb/ovnsb"
	"github.com/flowshunt/flowshunt/ovsdb/ovsdbtest"
)

// southbound is a monitor of two tables of OVN's Southbound database.
func southbound(b *testing.B) *monitor {
	b.Helper()
	tables, err := newTables([]Table{
		{Name: "Port_Binding", Row: (*ovnsb.PortBinding)(nil)}, {Name: "Address_Set", Row: (*ovnsb.AddressSet)(nil)},
	}, 1<<20)
	if err != nil {
		b.Fatal(err)
	}
	data, err := json.Marshal(ovnsb.Schema())
	if err != nil {
		b.Fatal(err)
	}
	var served schema
	if err := json.Unmarshal(data, &served); err != nil {
		b.Fatal(err)
	}
	m := &monitor{}
	if m.tables, err = served.fit(tables); err != nil {
		b.Fatal(err)
	}
	return m
}

// bindings is what a server sends of n ports, and a set of their addresses.
func bindings(n int) []byte {
	var ports, addresses []string
	for i := range n {
		address := fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)
		addresses = append(addresses, `"`+address+`"`)
		ports = append(ports, fmt.Sprintf(`"port-%d":{"initial":{"logical_port":"3f2504e0-4f89-11d3-9a0c-%012d","chassis":["uuid","c"],"datapath":["uuid","d"],"tunnel_key":%d,
			"mac":"fa:16:3e:00:00:01 %s","port_security":"fa:16:3e:00:00:01 %s","up":true,"options":["map",[["requested-chassis","node-1"],["mcast_flood_reports","true"]]],
			"external_ids":["map",[["neutron:cidrs","%s/24"],["neutron:device_id","3f2504e0-4f89-11d3-9a0c-0305e82c3301"],["neutron:device_owner","compute:nova"],["neutron:port_name",""],["neutron:revision_number","4"],["neutron:security_group_ids","3f2504e0-4f89-11d3-9a0c-0305e82c3301"]]]}}`,
			i, i, i+1, address, address, address))
	}
	return fmt.Appendf(nil, `{"Port_Binding":{%s},"Address_Set":{"a":{"initial":{"name":"pg_ip4","addresses":["set",[%s]]}}}}`,
		strings.Join(ports, ","), strings.Join(addresses, ","))
}

func BenchmarkRead1000Ports(b *testing.B) {
	data := bindings(1000)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		m := southbound(b)
		if _, err := m.apply(data); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOneAddressOf1000 is one member that joins, or leaves, a set of 1,000.
func BenchmarkOneAddressOf1000(b *testing.B) {
	m := southbound(b)
	if _, err := m.apply(bindings(1000)); err != nil {
		b.Fatal(err)
	}
	one := []byte(`{"Address_Set":{"a":{"modify":{"addresses":"192.0.2.1"}}}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.apply(one); err != nil {
			b.Fatal(err)
		}
	}
}

// filled starts a server of database Every with n rows.
func filled(b *testing.B, n int) *ovsdbtest.Server {
	b.Helper()
	s := everyServer(b)
	c := s.Dial("Every")
	for range n / 1000 {
		var ops []any
		for i := range 1000 {
			ops = append(ops, map[string]any{"op": "insert", "table": "T", "row": map[string]any{"text": "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "number": i, "three": 1,
				"texts": []any{"set", []any{"fa:16:3e:00:00:01 10.0.0.1", "fa:16:3e:00:00:01 10.0.0.2"}},
				"pairs": []any{"map", []any{[]any{"neutron:cidrs", "10.0.0.1/24"}, []any{"neutron:device_owner", "compute:nova"}}}}})
		}
		c.Transact(ops...)
	}
	return s
}

// BenchmarkSync10kRows is one connection to a real server, up to Synced.
func BenchmarkSync10kRows(b *testing.B) {
	s := filled(b, 10_000)
	for b.Loop() {
		c, err := New(every(s.Endpoint()))
		if err != nil {
			b.Fatal(err)
		}
		r := newRecorder(b)
		ctx, cancel := context.WithCancel(b.Context())
		ended := make(chan error)
		go func() { ended <- c.Run(ctx, r) }()
		r.await("all rows", func(r *recorder) bool { return len(r.rows["T"]) == 10_000 })
		cancel()
		<-ended
	}
}

// BenchmarkChange is one transaction after the other on a real server, each waited for until
// a handler is told.
func BenchmarkChange(b *testing.B) {
	s := filled(b, 1000)
	_, r := run(b, every(s.Endpoint()))
	r.await("all rows", func(r *recorder) bool { return len(r.rows["T"]) == 1000 })
	c, n := s.Dial("Every"), 0
	for b.Loop() {
		n++
		c.Transact(map[string]any{"op": "update", "table": "T", "where": []any{[]any{"number", "==", 7}}, "row": map[string]any{"text": fmt.Sprint(n)}})
		r.await("the change", func(r *recorder) bool {
			return len(r.told) > 0 && Row[everything](r.told[len(r.told)-1][0].New).Text == fmt.Sprint(n)
		})
		r.mu.Lock()
		r.told = nil
		r.mu.Unlock()
	}
}
