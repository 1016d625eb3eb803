package underlay

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// newWorld makes a network namespace with a device that has an address of each family.
func newWorld(t *testing.T) netlink.Link {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the thread ends with the test, and its namespace
	ns, err := netns.New()
	if err != nil {
		t.Skipf("network namespace: %v (needs CAP_SYS_ADMIN)", err)
	}
	t.Cleanup(func() { ns.Close() })
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = "u0", 1600
	dev := &netlink.Veth{LinkAttrs: attrs, PeerName: "u1"}
	must(t, netlink.LinkAdd(dev))
	for _, name := range []string{"u0", "u1"} {
		l, err := netlink.LinkByName(name)
		must(t, err)
		must(t, netlink.LinkSetUp(l))
	}
	for _, text := range []string{"192.0.2.1/24", "2001:db8::1/64"} {
		addr, err := netlink.ParseAddr(text)
		must(t, err)
		addr.Flags = 0x02 // IFA_F_NODAD: usable at once
		must(t, netlink.AddrAdd(dev, addr))
	}
	return dev
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRoute(t *testing.T) {
	dev := newWorld(t)
	table, err := Open()
	must(t, err)
	defer table.Close()
	for dst, want := range map[string]Route{
		"192.0.2.2":    {netip.MustParseAddr("192.0.2.1"), 1600},
		"2001:db8::2":  {netip.MustParseAddr("2001:db8::1"), 1600},
		"198.51.100.1": {},
	} {
		got, err := table.To(netip.MustParseAddr(dst))
		if got != want || errors.Is(err, ErrNoRoute) != (want == Route{}) {
			t.Errorf("%s: %+v, %v, want %+v", dst, got, err, want)
		}
	}
	if table.Changed() {
		t.Error("changed, and nothing has")
	}
	must(t, netlink.LinkSetMTU(dev, 1400))
	if !table.Changed() {
		t.Error("a shorter MTU is no change")
	}
	if got, err := table.To(netip.MustParseAddr("192.0.2.2")); got.MTU != 1400 {
		t.Errorf("after its MTU changed: %+v, %v", got, err)
	}
}

func TestAddresses(t *testing.T) {
	newWorld(t)
	lo, err := netlink.LinkByName("lo")
	must(t, err)
	must(t, netlink.LinkSetUp(lo))
	table, err := Open()
	must(t, err)
	defer table.Close()
	all, err := table.Addresses()
	must(t, err)
	for text, want := range map[string]bool{"192.0.2.1": true, "2001:db8::1": true, "127.0.0.1": false, "192.0.2.2": false} {
		if slices.Contains(all, netip.MustParseAddr(text)) != want {
			t.Errorf("%v: %s is among them: %t", all, text, !want)
		}
	}
}

func TestWatch(t *testing.T) {
	dev := newWorld(t)
	w, err := Watch()
	must(t, err)
	heard := make(chan struct{}, 100)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.Run(ctx, func() { heard <- struct{}{} }) }()
	_, dst, err := net.ParseCIDR("198.51.100.0/24")
	must(t, err)
	must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: dev.Attrs().Index, Dst: dst}))
	await := func(what string) {
		t.Helper()
		select {
		case <-heard:
		case <-time.After(5 * time.Second):
			t.Errorf("%s, and nobody told", what)
		}
	}
	await("a route was added")
	for len(heard) > 0 {
		<-heard
	}
	must(t, netlink.LinkSetMTU(dev, 1400))
	await("an MTU changed")
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	must(t, w.Close())
}
