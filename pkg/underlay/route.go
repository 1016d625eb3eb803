package underlay

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"sync"

	"github.com/vishvananda/netlink"
)

// Route is how packets to one address leave.
type Route struct {
	Source netip.Addr // that the kernel gives them
	MTU    int        // bytes from the IP header on; 0: not known
}

// ErrNoRoute means that the host cannot send to an address.
var ErrNoRoute = errors.New("no route")

// maxRemembered bounds how many addresses a Table remembers to have been asked about; there
// are no more hosts in a cloud's overlay.
const maxRemembered = 1 << 14

// Table asks the kernel for routes. Its methods may be called concurrently.
type Table struct {
	handle *netlink.Handle

	mu    sync.Mutex
	asked map[netip.Addr]Route // what was answered last; zero where there was no route
}

// Open returns the table of the calling thread's network namespace.
func Open() (*Table, error) {
	handle, err := netlink.NewHandle()
	if err != nil {
		return nil, fmt.Errorf("open rtnetlink: %w", err)
	}
	return &Table{handle: handle, asked: make(map[netip.Addr]Route)}, nil
}

// Close releases the socket.
func (t *Table) Close() { t.handle.Close() }

// Addresses returns what the host can be addressed by from elsewhere. They can change.
func (t *Table) Addresses() ([]netip.Addr, error) {
	list, err := t.handle.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("read addresses: %w", err)
	}
	var all []netip.Addr
	for i := range list {
		if addr, ok := netip.AddrFromSlice(list[i].IP); ok && !addr.Unmap().IsLoopback() {
			all = append(all, addr.Unmap())
		}
	}
	return all, nil
}

// Changed reports whether any route that was asked for is another one now, and forgets
// those that are.
func (t *Table) Changed() bool {
	t.mu.Lock()
	before := maps.Clone(t.asked)
	t.mu.Unlock()
	changed := len(before) >= maxRemembered
	for dst, was := range before {
		if now, _ := t.ask(dst); now != was {
			changed = true
			t.mu.Lock()
			delete(t.asked, dst)
			t.mu.Unlock()
		}
	}
	return changed
}

// To returns the route to an address. It fails with ErrNoRoute where there is none. Rules
// of policy routing that look at more than the destination are not seen, as a tunnel's
// device asks by it alone too unless its packets are marked.
func (t *Table) To(dst netip.Addr) (Route, error) {
	t.mu.Lock() // while asking: a change after this answer is looked for when it is remembered
	defer t.mu.Unlock()
	route, err := t.ask(dst)
	if len(t.asked) < maxRemembered {
		t.asked[dst] = route
	}
	return route, err
}

func (t *Table) ask(dst netip.Addr) (Route, error) {
	routes, err := t.handle.RouteGet(dst.AsSlice())
	if err != nil {
		return Route{}, fmt.Errorf("%w to %s: %w", ErrNoRoute, dst, err)
	}
	if len(routes) == 0 {
		return Route{}, fmt.Errorf("%w to %s", ErrNoRoute, dst)
	}
	r := &routes[0]
	src, ok := netip.AddrFromSlice(r.Src)
	if !ok {
		return Route{}, fmt.Errorf("%w to %s: the kernel names no source address", ErrNoRoute, dst)
	}
	mtu := r.MTU
	if mtu == 0 {
		link, err := t.handle.LinkByIndex(r.LinkIndex)
		if err != nil {
			return Route{}, fmt.Errorf("%w to %s: %w", ErrNoRoute, dst, err)
		}
		mtu = link.Attrs().MTU
	}
	return Route{src.Unmap(), mtu}, nil
}
