package ovsdb

import (
	"time"

	"github.com/flowshunt/flowshunt/ovsdb/vswitchd"
)

// memory bridges the restart of an ovsdb-server. What ovs-vswitchd reports of an
// interface stands in columns that the schema calls ephemeral: ifindex, mac_in_use,
// admin_state, link_state, status. They are not on disk, so a new server has none of them
// until ovs-vswitchd, for which nothing has changed, writes them again.
//
// For a bounded time after a connection was made a row that is still the same (uuid,
// name, type) keeps what it had at the end of the last one, column by column until
// the database has a value of its own, and unless ovs-vswitchd says that it could not
// open the interface. The zero memory is empty.
type memory struct {
	until time.Time                      // values are kept up to then
	old   map[string]*vswitchd.Interface // what may be kept, by uuid
	last  map[string]*vswitchd.Interface // what the last snapshot had
	used  bool                           // it had values that the database has not
}

// connected begins the time of grace.
func (m *memory) connected(now time.Time, hold time.Duration) {
	m.old, m.until = m.last, now.Add(hold)
}

// begin starts a snapshot.
func (m *memory) begin(now time.Time) {
	if !now.Before(m.until) {
		m.old = nil
	}
	m.last, m.used = make(map[string]*vswitchd.Interface, len(m.last)), false
}

// expires returns when values will be dropped that the last snapshot has from memory.
func (m *memory) expires() (at time.Time, ok bool) { return m.until, m.used }

// recall returns the row with what it had. It is not changed itself.
func (m *memory) recall(uuid string, row *vswitchd.Interface) *vswitchd.Interface {
	whole := *row
	if old := m.old[uuid]; old != nil && old.Name == row.Name && old.Type == row.Type && deref(row.Ofport) >= 0 {
		for _, kept := range []bool{
			keep(&whole.Ifindex, &old.Ifindex), keep(&whole.MACInUse, &old.MACInUse),
			keep(&whole.AdminState, &old.AdminState), keep(&whole.LinkState, &old.LinkState),
			keepMap(&whole.Status, &old.Status),
		} {
			m.used = m.used || kept
		}
	}
	m.last[uuid] = &vswitchd.Interface{
		Name: row.Name, Type: row.Type, Ifindex: whole.Ifindex, MACInUse: whole.MACInUse,
		AdminState: whole.AdminState, LinkState: whole.LinkState,
		Status: whole.Status,
	}
	return &whole
}

// keep fills in a value that is missing and was there. A value that came instead ends
// that for good.
func keep[T any](now, old **T) bool {
	if *now != nil {
		*old = nil
	}
	if *old == nil {
		return false
	}
	*now = *old
	return true
}

// keepMap is keep for a column that is missing when it is empty.
func keepMap(now, old *map[string]string) bool {
	if len(*now) > 0 {
		*old = nil
	}
	if len(*old) == 0 {
		return false
	}
	*now = *old
	return true
}
