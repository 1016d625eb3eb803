package userspace

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/flowshunt/flowshunt/e2e/harness"
)

// TestInspectorRenumbers: an inspector that gives connections other sequence numbers, as a
// proxy does, is no inspector that packets can be taken past, however large they are; those
// that it leaves alone are offloaded.
func TestInspectorRenumbers(t *testing.T) {
	const renumbered, plain = 9000, 9001
	x := newWired(t)
	for _, leg := range []string{"ifw0", "ifw1"} {
		x.Run(t, "ip", "link", "set", leg, "nomaster")
		x.Run(t, "ethtool", "-K", leg, "tx", "off", "gro", "off", "tso", "off")
	}
	x.Renumber("ifw0", "ifw1", renumbered)
	x.agent("--security-groups=none")
	x.database("add-wire", "w0", x.A.Rep, x.B.Rep, "--inspector", "fw0,fw1", "--",
		"add-policy", "bulk", "100", "offload", "protocols=tcp", "elephant_bytes=400000")
	x.is("inspected")

	transfers := map[uint16]*transfer{}
	for i, port := range []uint16{renumbered, plain} {
		listener := x.B.Listen(t, "tcp", port, false)
		from := uint16(sport + i)
		transfers[port] = &transfer{w: x.world, b: listener, a: x.A.Dial(t, "tcp", netip.AddrPortFrom(x.B.IP4, port), from, 1)}
		transfers[port].number = listener.Conn(netip.AddrPortFrom(x.A.IP4, from))
		transfers[port].send(20_000_000, 2_000_000)
	}
	why := func(i int, port uint16) string {
		var got struct {
			Entries []struct{ Reason string }
		}
		out, _ := x.TryCtl("--socket="+filepath.Join(x.Dir, "control.sock"), "--format=json", "why", fmt.Sprintf("tcp,%s:%d,%s:%d", x.A.IP4, sport+i, x.B.IP4, port))
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		reasons := map[string]bool{}
		for _, e := range got.Entries {
			reasons[e.Reason] = true
		}
		return fmt.Sprint(reasons)
	}
	x.flowsWithin(patience, 2)
	harness.Within(t, patience, "seq-adjusted", func() error {
		if got := why(0, renumbered); got != "map[seq-adjusted:true]" {
			return fmt.Errorf("%s", got)
		}
		return nil
	})
	transfers[renumbered].goesOn(4_000_000)
	if got := why(0, renumbered); got != "map[seq-adjusted:true]" {
		t.Errorf("in the end it is %s", got)
	}
	x.flowsWithin(0, 2)
	for _, tr := range transfers {
		tr.arrived()
	}
}
