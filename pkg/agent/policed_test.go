package agent

import (
	"errors"
	"fmt"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/path"
)

// OVS is told to look again at a port that it shall police, once our qdisc is out of
// its way and not before; at no other, and at none that was never ours.
func TestPolicedPortIsAnnounced(t *testing.T) {
	p, f := testPorts(true)
	p.announce = func(link int32) error { return f.do("announce", link) }
	turn := func(list ...portStatus) {
		t.Helper()
		p.now.Store(&portTable{list: list})
		p.turn(t, "", list...)
	}
	policed := func(id flows.PortID, link int32) portStatus {
		return portStatus{Port: path.Port{ID: id, Ifindex: link, QoS: true}, reason: flows.PortQoS}
	}
	turn(status(1, 7, ""), status(2, 8, ""), policed(3, 9))
	f.want(t, "start", "prepare 7", "prepare 8")

	f.fails["release 7"] = errors.New("busy")
	turn(policed(1, 7), status(2, 8, flows.PortOff))
	f.want(t, "not released yet", "release 7", "release 8")
	delete(f.fails, "release 7")
	f.fails["announce 7"] = errors.New("no buffer")
	for range 3 {
		turn(policed(1, 7))
		if calls := fmt.Sprint(f.did()); calls != "[announce 7 release 7 release 8]" && calls != "[announce 7 release 7]" {
			t.Errorf("announcement fails: did %s", calls)
		}
	}
	delete(f.fails, "announce 7")
	turn(policed(1, 7))
	f.want(t, "released", "announce 7", "release 7")
	turn(policed(1, 7))
	f.want(t, "once more", "announce 7", "release 7")
	turn(policed(1, 7))
	f.want(t, "done")
}
