package client

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/ovsdb/ovnsb"
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
