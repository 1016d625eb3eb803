package e2e

import (
	"fmt"
	"os"
	"testing"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// What a model's ports are to the host, and where their packets go.

func TestModelDevlinkEswsim(t *testing.T) {
	b := newBench(t, 4, "pfs=2")
	other := newBench(t, 1, "")
	ports := b.ports()
	if len(ports) != 5 {
		t.Errorf("ports: %v", ports)
	}
	id := b.device(b.host, b.nic+"p0").Switch
	if len(id) != 16 || id == other.device(other.host, other.rep(0)).Switch {
		t.Errorf("switch id %q", id)
	}
	for i, want := range []string{"pf0vf0", "pf1vf0", "pf0vf1", "pf1vf1"} {
		d := b.device(b.host, b.rep(i))
		if d.Port != want || d.Switch != id {
			t.Errorf("%s: port %q, want %q, switch %q, want %q", b.rep(i), d.Port, want, d.Switch, id)
		}
		p := ports[fmt.Sprintf("eswsim/%s/%d", b.nic, i+1)]
		if p.Flavour != "pcivf" || p.Netdev != b.rep(i) || p.PF != i%2 || p.VF != i/2 || p.Function.Addr != b.device(b.vms[i], b.vf(i)).Address {
			t.Errorf("devlink port of %s: %+v", b.rep(i), p)
		}
	}
	if p := ports["eswsim/"+b.nic+"/0"]; p.Flavour != "physical" || p.Netdev != b.nic+"p0" || b.device(b.host, p.Netdev).Port != "p0" {
		t.Errorf("uplink: %+v", p)
	}
	if d := b.device(b.vms[0], b.vf(0)); d.Switch != "" || d.Port != "" {
		t.Errorf("a VF says that it is a port: %+v", d)
	}
	mustMatch(t, b.in(b.host, "devlink", "dev", "eswitch", "show", "eswsim/"+b.nic), `mode switchdev`)
	mustMatch(t, b.in(b.host, "ethtool", "-i", b.rep(0)), `driver: eswsim`, `bus-info: `+b.nic+`\n`)
	mustMatch(t, b.in(b.host, "ethtool", "-k", b.rep(0)), `hw-tc-offload: on`)
	b.in(b.host, "ip", "link", "set", b.rep(1), "down")
	b.in(b.host, "ip", "link", "set", b.rep(1), "name", "tap1234")
	if d := b.device(b.host, "tap1234"); d.Port != "pf1vf0" {
		t.Errorf("after the rename: %+v", d)
	}
}

func TestModelCarrierEswsim(t *testing.T) {
	slowly(t)
	b := newBench(t, 1, "")
	for _, step := range []struct {
		ns, dev, state string
		vf, rep        bool
	}{
		{b.vms[0], b.vf(0), "up", true, true},
		{b.vms[0], b.vf(0), "down", false, false},
		{b.vms[0], b.vf(0), "up", true, true},
		{b.host, b.rep(0), "down", false, false},
		{b.host, b.rep(0), "up", true, true},
	} {
		b.in(step.ns, "ip", "link", "set", step.dev, step.state)
		harness.Within(t, patience, step.dev+" "+step.state, func() error {
			if vf, rep := b.carrier(b.vms[0], b.vf(0)), b.carrier(b.host, b.rep(0)); vf != step.vf || rep != step.rep {
				return fmt.Errorf("carriers: VF %v, representor %v", vf, rep)
			}
			return nil
		})
	}
}

// Two NICs with a cable between them, in two hosts.
func TestModelConnectEswsim(t *testing.T) {
	slowly(t)
	x, y := newBench(t, 1, ""), newBench(t, 1, "")
	x.order("connect", x.nic+"/0 "+y.nic+"/0")
	for _, b := range []*bench{x, y} {
		uplink := b.nic + "p0"
		b.in(b.host, "ip", "link", "set", uplink, "up")
		b.in(b.host, "tc", "qdisc", "add", "dev", uplink, "clsact")
		b.add(0, "pref 1 protocol all flower skip_sw action mirred egress redirect dev "+uplink)
		b.in(b.host, "tc", "filter", "add", "dev", uplink, "ingress", "pref", "1", "protocol", "all",
			"flower", "skip_sw", "action", "mirred", "egress", "redirect", "dev", b.rep(0))
	}
	y.in(y.vms[0], "ip", "addr", "del", "10.0.0.1/24", "dev", y.vf(0))
	y.in(y.vms[0], "ip", "addr", "add", "10.0.0.9/24", "dev", y.vf(0))
	x.in(x.vms[0], "ping", "-q", "-c", "3", "-i", "0.1", "10.0.0.9") // ARP too
	for _, b := range []*bench{x, y} {
		if c := b.counters(); c["misses"] != 0 || c["hits"] < 6 {
			t.Errorf("%s: %v", b.nic, c)
		}
		if !b.carrier(b.host, b.nic+"p0") {
			t.Errorf("%sp0 has no carrier", b.nic)
		}
	}
	y.in(y.host, "ip", "link", "set", y.nic+"p0", "down")
	if x.carrier(x.host, x.nic+"p0") {
		t.Error("carrier in spite of the other end's being down")
	}
}

// The wire of an uplink that is not connected is a net device.
func TestModelWireEswsim(t *testing.T) {
	slowly(t)
	b := newBench(t, 1, "")
	wire, uplink := b.nic+"w0", b.nic+"p0"
	far := b.namespace("far")
	b.in(b.host, "ip", "link", "set", wire, "netns", far)
	b.in(far, "ip", "addr", "add", "10.0.0.8/24", "dev", wire)
	b.in(far, "ip", "link", "set", wire, "up")
	b.in(b.host, "ip", "link", "set", uplink, "up")
	b.in(b.host, "tc", "qdisc", "add", "dev", uplink, "clsact")
	b.add(0, "pref 1 protocol all flower skip_sw action mirred egress redirect dev "+uplink)
	b.in(b.host, "tc", "filter", "add", "dev", uplink, "ingress", "pref", "1", "protocol", "all",
		"flower", "skip_sw", "action", "mirred", "egress", "redirect", "dev", b.rep(0))
	b.in(far, "ping", "-q", "-c", "3", "-i", "0.1", "10.0.0.1")
	if n, _ := b.rule("p0 prio"); n < 4 { // ARP and 3
		t.Errorf("the uplink's rule has %d packets", n)
	}
}

// A VF whose namespace ends goes back to the first one, as a device of a real NIC
// would; the NIC ends with its own namespace.
func TestModelNamespacesEndEswsim(t *testing.T) {
	slowly(t)
	kernelQuiet(t)
	b := newBench(t, 2, "")
	b.fastPath()
	b.in("", "ip", "netns", "del", b.vms[0])
	harness.Within(t, patience, b.vf(0)+" comes back", func() error {
		_, err := b.try("", "", "ip", "link", "show", b.vf(0))
		return err
	})
	b.in("", "ip", "netns", "del", b.host)
	harness.Within(t, patience, b.nic+" is gone", func() error {
		for _, name := range []string{eswsimControl + "/" + b.nic, "/sys/bus/eswsim/devices/" + b.nic, "/sys/class/net/" + b.vf(0)} {
			if _, err := os.Stat(name); err == nil {
				return fmt.Errorf("%s is there", name)
			}
		}
		return nil
	})
}
