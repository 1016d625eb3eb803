package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// stays checks that conntrack sees no more than a few packets of connections
// while each of them moves a megabyte in the eswitch.
func stays(w *harness.World, flows ...*flow) {
	w.T.Helper()
	eyes, start := make([]*onlooker, len(flows)), make([]uint64, len(flows))
	for i, f := range flows {
		c := offloaded(w, f.tuple)
		start[i] = c.Offloaded
		eyes[i] = watchSlowPath(w, f.filter, c.SrcPort, c.DstPort, w.VM("vm1"), w.VM("vm2"))
	}
	for i, f := range flows {
		harness.Within(w.T, 2*patience, f.tuple+": a megabyte in the eswitch", func() error {
			if n := offloaded(w, f.tuple).Offloaded - start[i]; n < 1e6 {
				return fmt.Errorf("%d bytes", n)
			}
			return nil
		})
		eyes[i].saw(3)
	}
}

// Elephants of TCP and UDP over IPv4 and IPv6, all at once.
func TestFamilies(t *testing.T) {
	betterOnEswsim(t)
	w := harness.SwitchedPair(t)
	a := startAgent(w.World, append(modest, "--idle=3s")...)
	var all []*flow
	causes := map[*flow]string{}
	for i, network := range []string{"tcp", "udp"} {
		w.B.Listen(t, network, 9000, network == "udp")
		for j, v6 := range []bool{false, true} {
			f := dial(w, network, v6, uint16(43000+2*i+j))
			f.Do(1, fmt.Sprintf("send %d %d", endless, paced))
			all, causes[f] = append(all, f), map[string]string{"tcp": "closing", "udp": "idle"}[network]
		}
	}
	rulesWithin(t, w.World, patience, 8)
	stays(w.World, all...)

	protocols, rules := map[uint32]string{}, map[uint32]int{}
	for _, r := range w.Rules() {
		protocols[r.Pref] = fmt.Sprint(r.Protocol, " ", r.Keys["ip_proto"])
		rules[r.Pref]++
	}
	kinds := map[string]bool{}
	for pref, kind := range protocols {
		kinds[kind] = true
		if rules[pref] != 2 {
			t.Errorf("preference %d, %s: %d rules, want one on each port", pref, kind, rules[pref])
		}
	}
	if len(kinds) != 4 {
		t.Errorf("preferences %v, want one for each family and protocol", protocols)
	}

	for _, f := range all {
		c := offloaded(w.World, f.tuple)
		f.Stop()
		left(t, a, c, causes[f])
	}
	rulesWithin(t, w.World, 2*time.Second, 0)
}

// ESP has no handshake and never becomes assured; replies are all there is to
// see.
func TestESP(t *testing.T) {
	slowly(t)
	w := harness.SwitchedPair(t)
	startAgent(w.World, append(modest, "--idle=3s")...)
	ends := []*harness.Peer{w.A.DialRaw(t, 50, w.B.IP4), w.B.DialRaw(t, 50, w.A.IP4)}
	for _, p := range ends {
		p.Do(1, fmt.Sprintf("send %d %d", endless, paced))
	}
	f := &flow{filter: []string{"-p", "50"}}
	harness.Within(t, patience, "an entry with replies", func() error {
		entries, err := w.Conntrack(f.filter...)
		if err == nil && (len(entries) != 1 || entries[0].Has("UNREPLIED")) {
			err = fmt.Errorf("%+v", entries)
		}
		return err
	})
	e := w.Entry(f.filter...)
	if e.Has("ASSURED") {
		t.Errorf("entry %+v: assured, so this shows nothing", e)
	}
	f.tuple = fmt.Sprintf("esp,%v,%v", e.Orig.Src, e.Orig.Dst)
	stays(w.World, f)
	for _, p := range ends {
		p.Stop()
	}
	rulesWithin(t, w.World, patience, 0)
}
