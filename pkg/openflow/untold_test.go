package openflow

import (
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/pkg/unixctl"
)

// TestUntold holds the package comment's list of what nobody tells against Open
// vSwitch: when one of these is told one day, the comment is wrong.
func TestUntold(t *testing.T) {
	b := newBridge(t)
	b.send(t) // brings the port up
	b.Vsctl("set", "bridge", "br0", "other_config:disable-in-band=true", "--", "set-controller", "br0", "tcp:127.0.0.1:9")
	b.ofctl("add-flow", "br0", "table=0,actions=NORMAL") // the first controller empties the tables
	r, _ := start(t, Config{Socket: b.socket()})
	r.watching(t)
	old, _ := start(t, Config{Socket: b.socket(), offer: 1 << OpenFlow13})
	old.watching(t)
	b.settle(t, r)
	b.settle(t, old)

	untold := []struct {
		name string
		do   func()
	}{
		{"MAC learning", func() { b.send(t) }},
		{"no-flood", func() { b.ofctl("mod-port", "br0", "br0", "no-flood") }},
		{"the same actions", func() { b.ofctl("mod-flows", "br0", "table=0,actions=NORMAL") }},
		{"table miss", func() { b.ofctl("-O", "OpenFlow11", "mod-table", "br0", "3", "continue") }},
		{"fragments", func() { b.ofctl("set-frags", "br0", "drop") }},
		{"tunnel metadata", func() { b.ofctl("add-tlv-map", "br0", "{class=0xffff,type=0,len=4}->tun_metadata0") }},
		{"mirror", func() {
			b.Vsctl("--", "--id=@m", "create", "mirror", "name=m", "select_all=true", "output_vlan=5", "--", "set", "bridge", "br0", "mirrors=@m")
		}},
		{"in-band flows", func() { b.Vsctl("set", "bridge", "br0", "other_config:disable-in-band=false") }},
	}
	for _, u := range untold {
		u.do()
		if counts, lost := b.settle(t, r); len(counts) != 0 || lost != nil {
			t.Errorf("%s: %v, %v", u.name, counts, lost)
		}
	}
	if hidden := b.hiddenFlows(t); hidden == 0 {
		t.Error("in-band control has no flow")
	}
	if counts, _ := b.settle(t, old); len(counts) != 0 {
		t.Errorf("told in 1.3: %v", counts)
	}
	b.ofctl("-O", "OpenFlow15", "add-group", "br0", "group_id=1,type=all,bucket=drop")
	if counts, _ := b.settle(t, r); counts[GroupChanged] != 1 {
		t.Errorf("groups in 1.5: %v", counts)
	}
	if counts, _ := b.settle(t, old); len(counts) != 0 {
		t.Errorf("groups in 1.3: %v", counts)
	}
}

// hiddenFlows counts the flows of table 0 that are above what OpenFlow allows.
func (b *bridge) hiddenFlows(t *testing.T) int {
	t.Helper()
	all, err := (&unixctl.Client{Rundir: b.Rundir}).Call(t.Context(), "bridge/dump-flows", "br0")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(all, "priority=18000")
}
