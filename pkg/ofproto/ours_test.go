package ofproto

import (
	"errors"
	"strings"
	"testing"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

// A rule and a guard as we make them, of which packets are kept by the metadata, and
// pipelines that write all of it and give the packet to table 0 again.
const oursFlows = `
table=0,cookie=0xf105470100000001,priority=61701,ip,in_port=1,metadata=0/0x8000000000000000,actions=output:2
table=0,cookie=0xf105470100000002,priority=61702,ip,in_port=1,nw_ttl=1,metadata=0/0x8000000000000000,actions=load:1->OXM_OF_METADATA[63],resubmit(,0)
table=0,priority=9,ip,reg0=1,actions=drop
table=0,priority=9,ip,ct_state=+trk,actions=drop
table=0,priority=5,cookie=0x7,ip,nw_dst=10.0.1.0/24,actions=output:2
table=0,priority=5,ip,nw_dst=10.0.2.0/24,actions=load:1->NXM_NX_REG0[],resubmit(,20)
table=0,priority=5,ip,nw_dst=10.0.3.0/24,actions=resubmit(,30)
table=20,ip,nw_dst=10.0.2.1,actions=set_field:5->metadata,resubmit(,0)
table=20,ip,nw_dst=10.0.2.2,actions=load:5->OXM_OF_METADATA[],resubmit(,0)
table=20,ip,nw_dst=10.0.2.3,actions=write_metadata:5,goto_table:21
table=20,ip,nw_dst=10.0.2.4,actions=set_field:5/0xff->metadata,resubmit(,0)
table=21,actions=resubmit(,0)
table=30,ip,nw_dst=10.0.3.1,actions=set_field:5->metadata,ct(table=0,zone=1)
table=30,ip,nw_dst=10.0.3.2,actions=load:5->OXM_OF_METADATA[],ct(table=0,zone=1)
table=30,ip,nw_dst=10.0.3.3,actions=write_metadata:5,goto_table:31
table=30,ip,nw_dst=10.0.3.4,actions=set_field:5/0xff->metadata,ct(table=0,zone=1)
table=31,ip,actions=ct(table=0,zone=1)
`

// TestOurs: what a rule of ours does is no answer, wherever a pipeline lets the packet meet it.
func TestOurs(t *testing.T) {
	w := newWorld(t)
	w.bridge("ours", "oa=1", "ob=2")
	w.flows(t, "ours", "", oursFlows)
	w.ports = w.call(t, "dpif/show")
	tracer := &Tracer{Caller: w, Ours: func(cookie uint64) bool { return cookie>>32 == 0xf1054701 }}
	for _, c := range []struct {
		name, dst string
		aside     uint64
		ttl       uint8
		ours      string // cookie of what is met
	}{
		{name: "none", dst: "10.0.1.1", aside: 1 << 63},
		{name: "set_field, resubmit", dst: "10.0.2.1", aside: 1 << 63, ours: "0xf105470100000001"},
		{name: "load, resubmit", dst: "10.0.2.2", aside: 1 << 63, ours: "0xf105470100000001"},
		{name: "write_metadata, resubmit", dst: "10.0.2.3", aside: 1 << 63, ours: "0xf105470100000001"},
		{name: "a part, resubmit", dst: "10.0.2.4", aside: 1 << 63},
		{name: "set_field, ct", dst: "10.0.3.1", aside: 1 << 63, ours: "0xf105470100000001"},
		{name: "load, ct", dst: "10.0.3.2", aside: 1 << 63, ours: "0xf105470100000001"},
		{name: "write_metadata, ct", dst: "10.0.3.3", aside: 1 << 63, ours: "0xf105470100000001"},
		{name: "a part, ct", dst: "10.0.3.4", aside: 1 << 63},
		{name: "not kept from them", dst: "10.0.1.1", ours: "0xf105470100000001"},
		{name: "a guard", dst: "10.0.3.1", aside: 1 << 63, ttl: 1, ours: "0xf105470100000002"},
		{name: "a guard, not kept from it", dst: "10.0.1.1", ttl: 1, ours: "0xf105470100000002"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tuple := mustTuple(t, "tcp,10.0.0.1:1,"+c.dst+":2")
			q := Query{Bridge: "ours", InPort: 1, Frame: flows.Frame{SrcMAC: flows.MAC{2, 5: 1}, DstMAC: flows.MAC{2, 5: 2}}, Tuple: tuple, Aside: c.aside, exact: c.ttl}
			q.Datapath = at(w.ports, q)
			conn := megaflow.Connection{Tuple: tuple, States: []flows.ZoneState{inZone(t, 1, 0, "tcp,10.0.0.1:1,"+c.dst+":2")}, MaxFrame: 1400}
			_, err := tracer.Follow(t.Context(), q, conn)
			var refusal *megaflow.Refusal
			met := errors.As(err, &refusal) && refusal.Reason == flows.UnsupportedAction && strings.Contains(refusal.Detail, "metadata")
			if met != (c.ours != "") || met && !strings.Contains(refusal.Detail, "cookie "+c.ours) || !met && err != nil {
				t.Errorf("%v, want %q", err, c.ours)
			}
		})
	}
}
