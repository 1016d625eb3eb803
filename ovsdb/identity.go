package ovsdb

import "github.com/flowshunt/flowshunt/flows"

// identity is what makes an Interface row the same port as before.
type identity struct {
	bridge   string // uuid
	datapath string
	kind     string
	ifindex  int32 // the last one that was known
	id       flows.PortID
}

// identities gives out port ids. It lives as long as the process, so that a row
// has the same id on the next connection, and forgets rows that are gone.
type identities struct {
	last  flows.PortID
	known map[string]identity // by uuid of the Interface row
}

// assign returns the ids of the rows in seen, which maps the uuid of each
// Interface row to what it is now; their id fields are filled in.
//
// An ifindex that disappears is remembered: it is not stored on disk, so after
// a restart of ovsdb-server every row lacks it until ovs-vswitchd writes it
// again. The kernel numbers a replaced device anew.
func (ids *identities) assign(seen map[string]identity, order []string) {
	for _, uuid := range order {
		now := seen[uuid]
		before, ok := ids.known[uuid]
		if now.ifindex == 0 {
			now.ifindex = before.ifindex
		}
		if ok && before.ifindex == 0 {
			before.ifindex = now.ifindex
		}
		now.id = before.id
		if !ok || now != before {
			ids.last++
			now.id = ids.last
		}
		seen[uuid] = now
	}
	ids.known = seen
}
