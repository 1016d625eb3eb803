package agent

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// ownEvery is how long it is believed which addresses the host has.
const ownEvery = 5 * time.Second

// ownAddresses are the addresses of the host. Its tunnels end there, and nowhere else:
// what guests send each other in tunnels of their own says nothing of those.
type ownAddresses struct {
	list  func() ([]netip.Addr, error) // nil: it has none
	read  time.Time
	known atomic.Pointer[map[netip.Addr]bool] // never changed
}

// refresh reads them once more where that was long ago. What fails leaves those of before.
func (o *ownAddresses) refresh() error {
	if o.list == nil || time.Since(o.read) < ownEvery {
		return nil
	}
	list, err := o.list()
	if err != nil {
		return err
	}
	known := make(map[netip.Addr]bool, len(list))
	for _, addr := range list {
		known[addr] = true
	}
	o.known.Store(&known)
	o.read = time.Now()
	return nil
}

// has may be called while refresh runs.
func (o *ownAddresses) has(addr netip.Addr) bool {
	known := o.known.Load()
	return known != nil && (*known)[addr]
}
