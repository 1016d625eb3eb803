package ovsdb

import (
	"encoding/json"
	"testing"

	"github.com/flowshunt/flowshunt/ovsdb/vswitchd"
)

// FuzzSnapshot makes snapshots of rows with anything in them.
func FuzzSnapshot(f *testing.F) {
	f.Add([]byte(`{"Bridges":{"b":{"Name":"br0","Ports":["p"],"ExternalIDs":{"ct-zone-x":"5"}}},
		"Ports":{"p":{"Interfaces":["i"],"Tag":3}},"Interfaces":{"i":{"Name":"tap","Ofport":-1}}}`),
		[]byte(`{"Interfaces":{"i":{"ExternalIDs":{"iface-id":"x"}}},"Mirrors":{"m":{"SelectAll":true,"OutputPort":"p"}}}`))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		r, ids := newReplica(), &identities{}
		for _, data := range [][]byte{first, second} {
			if !read(r, data) {
				return
			}
			s := build(r, ids, new(memory))
			if len(Diff(s, s)) != 0 {
				t.Error("a snapshot differs from itself")
			}
			for i := range s.Ports {
				if p, ok := s.Port(s.Ports[i].ID); !ok || p != &s.Ports[i] {
					t.Errorf("port %d is not found by its id", i)
				}
			}
		}
	})
}

// read adds rows that are there and not null.
func read(r *replica, data []byte) bool {
	var rows struct {
		Bridges    map[string]vswitchd.Bridge
		Ports      map[string]vswitchd.Port
		Interfaces map[string]vswitchd.Interface
		Mirrors    map[string]vswitchd.Mirror
	}
	if json.Unmarshal(data, &rows) != nil {
		return false
	}
	put(r.bridges, rows.Bridges)
	put(r.ports, rows.Ports)
	put(r.interfaces, rows.Interfaces)
	put(r.mirrors, rows.Mirrors)
	return true
}

func put[T any](into table[T], rows map[string]T) {
	for uuid, row := range rows {
		into[uuid] = &row
	}
}
