package ofproto

import (
	"context"
	"errors"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

// Two routers, each a bridge of OpenFlow flows, are joined by a bridge that learns. It learns
// their MACs from packets, and no session tells that they are on its way. When it forgets them
// it floods, which a trace tells: the session leaves in the time of a doubt, its packets teach
// the bridge, and the path is what it was (docs/decisions/0009-mac-ageing.md).
func TestStationsBetweenRouters(t *testing.T) {
	w := newWorld(t)
	w.bridge("r1", "x=1")
	w.bridge("mid", "z=3")
	w.bridge("r2", "y=1")
	for _, p := range [][4]string{{"r1", "r1mid", "mid", "mid1"}, {"r2", "r2mid", "mid", "mid2"}} {
		w.ovs.Vsctl("add-port", p[0], p[1], "--", "set", "interface", p[1], "type=patch", "options:peer="+p[3], "ofport_request=2",
			"--", "add-port", p[2], p[3], "--", "set", "interface", p[3], "type=patch", "options:peer="+p[1], "ofport_request="+p[3][3:])
	}
	w.flows(t, "mid", "", "actions=NORMAL")
	w.flows(t, "r1", "", "in_port=1,ip,actions=dec_ttl,set_field:02:00:00:00:00:f1->eth_src,set_field:02:00:00:00:00:f2->eth_dst,output:2")
	w.flows(t, "r2", "", "in_port=2,ip,dl_dst=02:00:00:00:00:f2,actions=dec_ttl,set_field:02:00:00:00:00:02->eth_dst,output:1\n"+
		"in_port=1,ip,actions=dec_ttl,set_field:02:00:00:00:00:f2->eth_src,set_field:02:00:00:00:00:f1->eth_dst,output:2")

	q := ask("10.0.9.9")
	q.Bridge, q.InPort = "r1", 1
	path := func() error {
		trace, err := (&Tracer{Caller: w}).Follow(context.Background(), q, megaflow.Connection{Tuple: q.Tuple})
		if err != nil {
			t.Fatal(err)
		}
		in := trace.Stages[0].Match.Key.Uint(megaflow.InPort)
		_, err = megaflow.Compose(megaflow.NewTable(trace.Stages), megaflow.NewPacket(uint32(in), q.Frame, q.Tuple), megaflow.Connection{Tuple: q.Tuple})
		return err
	}
	// answers teaches the bridge where the second router is, as a packet of it does.
	answers := func() {
		w.call(t, "ofproto/trace", "r2", "in_port=1,tcp,nw_src=10.0.9.9,nw_dst=10.0.0.1,nw_ttl=64", "-generate")
	}
	flooded := func() bool {
		refusal, ok := errors.AsType[*megaflow.Refusal](path())
		return ok && refusal.Reason == flows.UnsupportedOutputs
	}
	answers()
	if err := path(); err != nil {
		t.Fatalf("both routers are known: %v", err)
	}
	before, err := (&FDB{w}).Table(t.Context(), "mid")
	if err != nil {
		t.Fatal(err)
	}
	w.call(t, "fdb/flush", "mid")
	after, err := (&FDB{w}).Table(t.Context(), "mid")
	if err != nil {
		t.Fatal(err)
	}
	if left := Left(before, after); len(left) != 1 || left[0].MAC != (flows.MAC{2, 0, 0, 0, 0, 0xf2}) {
		t.Errorf("nobody would doubt: %v have left", left)
	}
	if !flooded() {
		t.Errorf("a router is forgotten: %v", path())
	}
	answers()
	if err := path(); err != nil {
		t.Errorf("both are known again: %v", err)
	}
}
