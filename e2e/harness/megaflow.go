package harness

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Megaflow is a flow of the kernel datapath.
type Megaflow struct {
	Match          string
	Actions        string
	Packets, Bytes uint64
}

var megaflowLine = regexp.MustCompile(`(?m)^(?:ufid:\S+, )?(.*), packets:(\d+), bytes:(\d+), used:.*actions:(.*)$`)

// Megaflows lists the datapath's flows whose match contains all the given
// texts, e.g. "in_port(rep-vm1)". Flows that OVS has put into tc are not in it.
func (n *Node) Megaflows(contains ...string) ([]Megaflow, error) {
	out, err := n.Try("ovs-appctl", "dpctl/dump-flows", "--names")
	if err != nil {
		return nil, err
	}
	flows := parseMegaflows(out)
	return slices.DeleteFunc(flows, func(f Megaflow) bool {
		return slices.ContainsFunc(contains, func(c string) bool { return !strings.Contains(f.Match, c) })
	}), nil
}

func parseMegaflows(text string) []Megaflow {
	var flows []Megaflow
	for _, m := range megaflowLine.FindAllStringSubmatch(text, -1) {
		f := Megaflow{Match: m[1], Actions: m[4]}
		f.Packets, _ = strconv.ParseUint(m[2], 10, 64)
		f.Bytes, _ = strconv.ParseUint(m[3], 10, 64)
		flows = append(flows, f)
	}
	return flows
}

// SlowPath is what the datapath counted of packets that enter at a VM's port and
// are not yet tracked, by megaflow: every slow-path packet of the VM exactly once.
// Matches that lack one of the given texts are left out.
func (w *World) SlowPath(vm *VM, contains ...string) map[string]uint64 {
	w.T.Helper()
	return w.SlowPathAt(vm.Rep, contains...)
}

// SlowPathAt is the same of packets that enter at any port of the datapath.
func (w *World) SlowPathAt(port string, contains ...string) map[string]uint64 {
	w.T.Helper()
	flows, err := w.Megaflows(append(contains, "recirc_id(0)", "in_port("+port+")")...)
	if err != nil {
		w.T.Fatal(err)
	}
	packets := make(map[string]uint64, len(flows))
	for _, f := range flows {
		packets[f.Match] += f.Packets
	}
	return packets
}

// SlowPathPackets is the sum of SlowPath. It falls when OVS drops an idle flow.
func (w *World) SlowPathPackets(vm *VM) uint64 {
	w.T.Helper()
	var sum uint64
	for _, n := range w.SlowPath(vm) {
		sum += n
	}
	return sum
}

// Grown is what was added between two readings of SlowPath, also where OVS
// dropped idle megaflows, or made them anew, in between.
func Grown(before, after map[string]uint64) uint64 {
	var sum uint64
	for match, n := range after {
		if old := before[match]; old <= n {
			n -= old
		}
		sum += n
	}
	return sum
}
