package e2e

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// The shortest time after which OVS forgets a station.
const ageing = 15 * time.Second

// Somebody speaks to the receiver of an elephant, which says nothing that OVS could
// see for many times as long as OVS remembers it: no packet to it is flooded to a third
// port.
func TestMACAgeing(t *testing.T) {
	slowly(t)
	const times = 6
	w := harness.SwitchedPair(t)
	other, third := w.AddVM("br0", "other", harness.VMConfig{}), w.AddVM("br0", "third", harness.VMConfig{})
	all := []*harness.VM{w.A, w.B, other, third}
	w.Vsctl("set", "bridge", "br0", fmt.Sprintf("other_config:mac-aging-time=%.0f", ageing.Seconds()))
	for _, vm := range all {
		keepQuiet(t, vm, all)
	}
	third.Run(t, "ip", "link", "set", "eth0", "promisc", "on")
	seen := third.Capture(t, "eth0")

	r, _ := startRunning(w, 47000)
	w.B.Listen(t, "udp", 9001, false)
	mouse := other.Dial(t, "udp", netip.AddrPortFrom(w.B.IP4, 9001), 47001, 1)
	mouse.Do(1, fmt.Sprintf("send %d %d", endless, 2000))
	heard := w.B.Capture(t, "eth0")
	harness.Within(t, patience, "the mouse is heard", func() error {
		if n := heard.Of(t, 47001, 9001).Packets; n == 0 {
			return fmt.Errorf("%d packets", n)
		}
		return nil
	})
	before, began := seen.Of(t, 47001, 9001).Packets+seen.Of(t, 47000, 9000).Packets, time.Now()
	mouseBefore := heard.Of(t, 47001, 9001).Packets
	harness.Throughout(t, times*ageing, "nothing is flooded", func() error {
		if n := seen.Of(t, 47001, 9001).Packets + seen.Of(t, 47000, 9000).Packets - before; n != 0 {
			return fmt.Errorf("a third port saw %d packets after %v", n, time.Since(began))
		}
		return nil
	})
	if n := heard.Of(t, 47001, 9001).Packets - mouseBefore; n == 0 {
		t.Error("nobody spoke to the receiver meanwhile: this shows nothing")
	}
	refreshed := 0
	for _, l := range r.agent.Log() {
		if l.Msg == "remove" {
			if cause := l.Attrs["cause"]; cause != "mac-ageing" {
				t.Errorf("removed for %s", cause)
			}
			refreshed++
		}
	}
	if refreshed < times {
		t.Errorf("led through OVS %d times in %d times the ageing time", refreshed, times)
	}
	t.Logf("led through OVS %d times in %v", refreshed, time.Since(began).Round(time.Second))
	r.arrives()
}

// keepQuiet lets a machine know all others, and say nothing but what it is asked to.
func keepQuiet(t *testing.T, vm *harness.VM, all []*harness.VM) {
	t.Helper()
	vm.Run(t, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
	for _, other := range all {
		if other != vm {
			vm.Run(t, "ip", "neigh", "replace", other.IP4.String(), "lladdr", other.MAC, "dev", "eth0", "nud", "permanent")
		}
	}
}
