package ovsdb

import (
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/ovsdb/client"
)

// Snapshot is what the database said at one moment. It is never changed after
// it was handed out and may be read by many goroutines; its slices and maps
// must not be written to.
type Snapshot struct {
	// Revision grows with every snapshot of an Inventory. Two snapshots of one
	// Inventory with the same revision are the same.
	Revision uint64
	// Connected says whether the content follows the database now. While it is
	// false the content is that of the last connection, or empty before the first.
	Connected bool
	// Synced says whether there was a connection that read everything.
	Synced bool
	// Since is when Connected took its present value.
	Since time.Time
	// Err is why the last attempt to connect, or the last connection, failed.
	// It is nil while Connected, and a *client.Error otherwise.
	Err error

	Switch  Switch
	Bridges []Bridge // by name
	Ports   []Port   // by name

	index index
}

// Switch is the row of table Open_vSwitch: the settings of the whole switch.
// The zero value means that the table is empty, as in a database that
// ovs-vsctl has not initialized.
type Switch struct {
	Present bool // the table has its row

	// HWOffload is other_config:hw-offload. While it is on, OVS itself owns the
	// tables of the NIC and nothing else may be installed there.
	HWOffload bool
	TCPolicy  string // other_config:tc-policy: "none", "skip_sw", "skip_hw"; empty = "none"

	// Applied is the last configuration that ovs-vswitchd says it has taken over
	// (cur_cfg): what was written before it is in force.
	Applied int
	// FlowRestoreWait is other_config:flow-restore-wait: while it is on, as during a
	// restart by ovs-ctl, OVS leaves the datapath as it is, whatever its tables say.
	FlowRestoreWait bool

	OVSVersion     string   // what ovs-vswitchd reports, such as "3.1.0"
	DBVersion      string   // of the schema, such as "8.3.1"
	DatapathTypes  []string // as ovs-vswitchd supports them, sorted
	InterfaceTypes []string // likewise

	// What ovn-controller is told by external_ids.
	SystemID  string // system-id, OVN's name of the chassis
	OVNRemote string // ovn-remote, where the Southbound database is (client.ParseRemotes)
	OVNBridge string // ovn-bridge, the integration bridge; "br-int" where it is not set

	// TLS has the files of table SSL (ovs-vsctl set-ssl); empty where there are none.
	TLS client.TLS

	ExternalIDs map[string]string
}

// index finds ports. A value of ambiguous stands for more than one.
type index struct {
	id      map[flows.PortID]int
	name    map[string]int
	ifindex map[int32]int
	iface   map[string]int
}

const ambiguous = -1

func newIndex(ports []Port) index {
	x := index{map[flows.PortID]int{}, map[string]int{}, map[int32]int{}, map[string]int{}}
	for i := range ports {
		p := &ports[i]
		x.id[p.ID] = i
		x.name[p.Name] = i
		if p.Ifindex != 0 {
			add(x.ifindex, p.Ifindex, i)
		}
		if p.IfaceID != "" {
			add(x.iface, p.IfaceID, i)
		}
	}
	return x
}

func add[K comparable](m map[K]int, key K, i int) {
	if _, taken := m[key]; taken {
		i = ambiguous
	}
	m[key] = i
}

func find[K comparable](s *Snapshot, m map[K]int, key K) (*Port, bool) {
	i, ok := m[key]
	if !ok || i == ambiguous {
		return nil, false
	}
	return &s.Ports[i], true
}

// Port returns the port with that id.
func (s *Snapshot) Port(id flows.PortID) (*Port, bool) { return find(s, s.index.id, id) }

// PortByName returns the port of the interface with that name, which is the
// name of its network device where it has one.
func (s *Snapshot) PortByName(name string) (*Port, bool) { return find(s, s.index.name, name) }

// PortByIfindex returns the only port with that ifindex. Tunnel ports can share
// one; no port is returned then.
func (s *Snapshot) PortByIfindex(ifindex int32) (*Port, bool) {
	return find(s, s.index.ifindex, ifindex)
}

// PortByIfaceID returns the only port with that external_ids:iface-id. Where
// several claim it, which is an error of whoever wrote it, no port is returned.
func (s *Snapshot) PortByIfaceID(id string) (*Port, bool) { return find(s, s.index.iface, id) }

// Bridge returns the bridge with that name.
func (s *Snapshot) Bridge(name string) (*Bridge, bool) {
	for i := range s.Bridges {
		if s.Bridges[i].Name == name {
			return &s.Bridges[i], true
		}
	}
	return nil, false
}
