package e2e

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
	"github.com/flowshunt/flowshunt/hack/benchtest"
)

const (
	reliefRules   = 10_000     // security rules of a machine that is sent an elephant
	reliefBytes   = 60_000_000 // that are sent while is measured
	reliefPackets = 100        // times fewer the host must see, or nobody was relieved
	reliefCPU     = 10         // times less it must spend on them
	reliefGrain   = 1e-4       // seconds, as exact as that is known
)

// reading is how long an emulated machine may take to read so many rules.
const reading = 4 * time.Minute

// TestBenchRelief measures what hosts are relieved of: two of them have NICs and a network
// service with many rules, and elephants go in turns by Open vSwitch, with no agent running,
// and past it.
func TestBenchRelief(t *testing.T) {
	benchtest.Need(t)
	harness.OnEswsim(t)
	kernelQuiet(t)
	r := newRelief(t)
	r.slowPath()
	for range 2 {
		stop := r.startAgents()
		r.fastPath()
		if len(r.paths[0].ours) < 3 {
			r.fastPath()
		}
		stop()
		if len(r.paths[0].peer) < 3 {
			r.slowPath()
			r.slowPath()
		}
	}
	for _, p := range r.paths {
		p.report(t)
	}
	r.reportDaemons()
}

// relief is two hosts and the paths of elephants through them.
type relief struct {
	*outside
	t      *testing.T
	paths  []*reliefPath
	agents []*harness.Process
	sport  uint16
}

// reliefPath is one path, and what elephants on it have cost the hosts.
type reliefPath struct {
	name       string
	reach      reach
	hosts      []*harness.World // through which it leads
	ours, peer []harness.HostLoad
}

func newRelief(t *testing.T) *relief {
	t.Helper()
	r := &relief{outside: newOutside(t), t: t, sport: 50000}
	many := r.ovn.AddGroup()
	local := r.net.AddVM(r.A, "local", harness.VMConfig{MTU: tunnelMTU, Routed: true}, many)
	tagged := r.ovn.AddProvider(4, 100).AddVM(r.A, "tagged", harness.VMConfig{}, many)
	tenant := r.AddHost("tenant", 4, 50, harness.Tag{Proto: "802.1Q", ID: 100})
	r.b.SetGroups(many)
	floating := r.router.FloatingIP(r.b, true)
	many.AddMany(manyRules(reliefRules))
	r.asOnWires(r.a.VM, r.b.VM, local.VM, tagged.VM, tenant, r.host)
	listen := func(vm *harness.LogicalPort) *harness.Peer { return vm.Listen(t, "tcp", transferPort, false) }
	b := listen(r.b)
	r.paths = []*reliefPath{
		{name: "plain", reach: direct(r.a.VM, local.VM, listen(local), false), hosts: []*harness.World{r.A}},
		{name: "vlan", reach: direct(tenant, tagged.VM, listen(tagged), false), hosts: []*harness.World{r.A}},
		{name: "geneve", reach: direct(r.a.VM, r.b.VM, b, false), hosts: r.Nodes()},
		{name: "nat", reach: reach{r.host, floating, b, r.host.IP4}, hosts: []*harness.World{r.B}},
	}
	for _, p := range r.paths {
		p.reach.from.Ping(t, p.reach.to)
	}
	return r
}

// manyRules permit many others to come in, and at last those who measure.
func manyRules(n int) []harness.Rule {
	rules := make([]harness.Rule, n)
	for i := range rules {
		port := uint16(1000 + i%5000)
		rules[i] = harness.Rule{Proto: "tcp", Ports: [2]uint16{port, port}, CIDR: fmt.Sprintf("172.16.%d.%d/32", i/256, i%256)}
	}
	rules[n-2] = harness.Rule{Proto: "icmp4", CIDR: "10.0.0.0/16"}
	rules[n-1] = harness.Rule{Proto: "tcp", Ports: [2]uint16{transferPort, transferPort}, CIDR: "10.0.0.0/16"}
	return rules
}

// asOnWires makes machines send packets of the size that they have on a wire, for a NIC
// cuts them before a host sees any; and has each device's receiving accounted for by itself.
func (r *relief) asOnWires(vms ...*harness.VM) {
	r.t.Helper()
	spaces := []*harness.Namespace{r.A.Namespace, r.B.Namespace, r.Namespace}
	for _, vm := range vms {
		vm.Run(r.t, "ethtool", "-K", "eth0", "tso", "off", "gso", "off")
		spaces = append(spaces, vm.Namespace)
	}
	for _, ns := range spaces {
		ns.Threaded(r.t)
	}
}

// startAgents starts an agent on each host, and waits until they know the rules.
func (r *relief) startAgents() (stop func()) {
	r.t.Helper()
	began := time.Now()
	for _, w := range r.Nodes() {
		r.agents = append(r.agents, startAgent(w, append(modest, "--hardware=require", "--log-level=info")...).Process)
	}
	for _, w := range r.Nodes() {
		harness.Within(r.t, reading, "the agent has read the rules", func() error {
			if strings.Contains(ctl(w, "show"), "sg-unknown") {
				return errors.New(ctl(w, "show"))
			}
			return nil
		})
	}
	r.t.Logf("agents know the rules after %v", time.Since(began).Round(time.Millisecond))
	return func() {
		for _, a := range r.agents {
			a.Stop()
		}
		r.agents = nil
	}
}

func (r *relief) slowPath() {
	r.t.Helper()
	for _, p := range r.paths {
		p.peer = append(p.peer, r.measure(p))
	}
}

func (r *relief) fastPath() {
	r.t.Helper()
	for _, p := range r.paths {
		p.ours = append(p.ours, r.measure(p))
	}
}

// measure sends an elephant, offloaded if there are agents, and returns what that cost
// the hosts.
func (r *relief) measure(p *reliefPath) harness.HostLoad {
	t := r.t
	t.Helper()
	r.sport++
	j := setOut(t, p.reach, r.sport)
	if len(r.agents) > 0 {
		tuple := fmt.Sprintf("tcp,%v,%v", netip.AddrPortFrom(p.reach.from.IP4, r.sport), netip.AddrPortFrom(p.reach.to, transferPort))
		for _, w := range p.hosts {
			inHardware(t, w, tuple)
		}
	}
	j.arrives()
	sent := j.client.Report(1).Sent
	before := harness.Load(t, r.ovn, r.agents, r.Nodes()...)
	j.client.Do(1, fmt.Sprint("send ", reliefBytes))
	j.whole(sent + reliefBytes)
	l := harness.Load(t, r.ovn, r.agents, r.Nodes()...).Since(before)
	t.Logf("%s, %d agents: %+v", p.name, len(r.agents), l)
	j.client.Do(1, "close")
	return l
}

// inHardware waits until a connection is offloaded, by rules that need not be of the NIC's
// alone: on a tunnel's device those of the kernel's tc cannot be.
func inHardware(t *testing.T, w *harness.World, tuple string) {
	t.Helper()
	harness.Within(t, reading, tuple+" is offloaded", func() error {
		list := connections(w)
		if i := slices.IndexFunc(list, func(c connection) bool { return c.Tuple == tuple && c.State == "offloaded" }); i < 0 {
			return fmt.Errorf("%+v", list)
		}
		return nil
	})
	for _, rule := range ourRules(w) {
		if !rule.InHW {
			t.Errorf("%v is not in hardware", rule)
		}
	}
}

// report writes a path's rows, and fails where there is no relief.
func (p *reliefPath) report(t *testing.T) {
	t.Helper()
	const perGB = 1e9 / reliefBytes
	compare := func(name, unit string, least, grain float64, value func(harness.HostLoad) float64) benchtest.Row {
		row := against("relief-"+p.name+name, unit, grain*perGB, p.ours, p.peer, func(l harness.HostLoad) float64 { return value(l) * perGB })
		if !(row.Ratio >= least) {
			t.Errorf("%s: %.1f %s, without us %.1f: relief is %.0f times fewer", row.Name, row.Ours, unit, row.Peer, least)
		}
		return row
	}
	benchtest.Report(t,
		compare("", "CPU s/GB, model", reliefCPU, reliefGrain, func(l harness.HostLoad) float64 { return l.Kernel.Seconds() }),
		compare("-packets", "packets/GB, model", reliefPackets, 1, func(l harness.HostLoad) float64 { return float64(l.Packets) }))
	compare("-lookups", "lookups/GB, model", reliefPackets, 1, func(l harness.HostLoad) float64 { return float64(l.Lookups) })
}

// reportDaemons writes what the price is: what runs on the hosts, be there traffic or not.
func (r *relief) reportDaemons() {
	r.t.Helper()
	var ours, peer []harness.HostLoad
	for _, p := range r.paths {
		ours, peer = append(ours, p.ours...), append(peer, p.peer...)
	}
	hosts := float64(len(r.Nodes()))
	benchtest.Report(r.t, against("relief-daemons", "CPU s/s of one host, model", reliefGrain, ours, peer, func(l harness.HostLoad) float64 {
		return l.Daemons.Seconds() / l.Time.Seconds() / hosts
	}))
}

// against is a row of medians of what is the better the less there is of it. Ours counts as
// one grain at least in the ratio: nothing at all is no divisor.
func against(name, unit string, grain float64, ours, peer []harness.HostLoad, value func(harness.HostLoad) float64) benchtest.Row {
	median := func(loads []harness.HostLoad) float64 {
		var values []float64
		for _, l := range loads {
			values = append(values, max(value(l), 0))
		}
		return benchtest.Median(values)
	}
	o, p := median(ours), median(peer)
	return benchtest.Row{Name: name, Unit: unit, Ours: o, Peer: p, PeerName: "Open vSwitch", Ratio: p / max(o, grain)}
}
