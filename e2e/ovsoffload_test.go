package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// Open vSwitch's own offload, and ours: who has the table gives it up, and leaves the
// other nothing, when the operator says so.
func TestOVSOffloadEswsim(t *testing.T) {
	slowly(t)
	harness.OnEswsim(t)
	h := newHandOver(t)

	h.byOVS()
	// What conntrack sees, OVS does not offload on a kernel without NET_TC_SKB_EXT.
	h.Switch("br0", harness.Pipeline{Zone: h.Zone})
	h.meet()
	theirs := h.qdiscs()
	a := startAgent(h.World, modest...)
	f := elephantFlow(h.Pair, "tcp", 47000)
	becomes(h.World, patience, f.tuple, "candidate", "elephant")
	mustMatch(t, ctl(h.World, "show"), `READY: .* mode enforce \(but only observes\)`, `! .*only observes: ovs-hw-offload`)
	if now := h.qdiscs(); now != theirs {
		t.Errorf("qdiscs of OVS were\n%s\nand are\n%s", theirs, now)
	}

	h.hand(false)
	c := offloaded(h.World, f.tuple)
	rulesWithin(t, h.World, 0, 2)
	carried(t, h.World, f, 47000, h.A, h.B)

	h.hand(true)
	left(t, a, c, "ovs-hw-offload")
	ourRulesWithin(h.World, patience, 0) // OVS may have filters already
	becomes(h.World, patience, f.tuple, "candidate", "elephant")
	h.byOVS()
	a.Stop()
	if now := h.qdiscs(); now != theirs {
		t.Errorf("qdiscs of OVS were\n%s\nand are\n%s", theirs, now)
	}
}

// handOver is a node whose OVS offloads by itself, or does not.
type handOver struct {
	*harness.Pair
	listener *harness.Peer
	sport    uint16 // of the last connection that OVS offloaded
}

func newHandOver(t *testing.T) *handOver {
	t.Helper()
	h := &handOver{Pair: harness.SwitchedPair(t), sport: 48000}
	h.listener = h.B.Listen(t, "tcp", 9000, false)
	t.Cleanup(func() { h.hand(false) })
	h.hand(true)
	return h
}

// hand gives the table to OVS or takes it away, as an operator does; OVS reads that when
// it starts.
func (h *handOver) hand(toOVS bool) {
	h.T.Helper()
	setHWOffload(h.World, toOVS)
	restartSwitch(h.World, "br0")
	h.meet()
}

// meet makes the machines' places known to OVS.
func (h *handOver) meet() {
	h.T.Helper()
	h.A.Ping(h.T, h.B.IP4)
	h.B.Ping(h.T, h.A.IP4)
}

func (h *handOver) qdiscs() (shown string) {
	h.T.Helper()
	for _, vm := range []*harness.VM{h.A, h.B} {
		shown += h.Run(h.T, "tc", "qdisc", "show", "dev", vm.Rep)
	}
	return shown
}

// byOVS makes the bridge a plain switch, and fails unless OVS puts its flows into the
// NIC, which forwards a connection that the host does not see.
func (h *handOver) byOVS() {
	t := h.T
	t.Helper()
	h.Flows("br0", "table=0,priority=0,actions=NORMAL")
	h.meet()
	h.sport++
	f := elephantFlow(h.Pair, "tcp", h.sport)
	harness.Within(t, patience, "OVS offloads both directions", func() error {
		flows, err := h.Try("ovs-appctl", "dpctl/dump-flows", "--names", "type=offloaded")
		for _, vm := range []*harness.VM{h.A, h.B} {
			if err == nil && !offloadedByOVS(flows, vm) {
				err = fmt.Errorf("nothing from %s among\n%s", vm.Rep, flows)
			}
		}
		return err
	})
	const packets = 200
	before, eyes := h.NIC.Counters(t).Hits, watchSlowPath(h.World, nil, h.sport, 9000, h.A, h.B)
	counted(t, "packets in the NIC", packets, func() int64 { return int64(h.NIC.Counters(t).Hits - before) })
	eyes.saw(3)
	eyes.close()
	f.Stop()
}

func offloadedByOVS(flows string, from *harness.VM) bool {
	for line := range strings.Lines(flows) {
		if strings.Contains(line, "in_port("+from.Rep+")") && strings.Contains(line, "eth_type(0x0800)") && strings.Contains(line, "src="+from.MAC) {
			return true
		}
	}
	return false
}
