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

// SlowPathPackets is what the datapath counted of packets that enter at a VM's
// port and are not yet tracked: every slow-path packet of the VM exactly once.
// It falls when OVS drops an idle flow.
func (w *World) SlowPathPackets(vm *VM) uint64 {
	w.T.Helper()
	flows, err := w.Megaflows("recirc_id(0)", "in_port("+vm.Rep+")")
	if err != nil {
		w.T.Fatal(err)
	}
	var sum uint64
	for _, f := range flows {
		sum += f.Packets
	}
	return sum
}
