package datapath

import (
	"context"
	"math"
	"time"

	"golang.org/x/sys/unix"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

// maxFlows is the most that OVS lets a datapath have (flow-limit is 200,000 by
// default, ovs-vswitchd.conf.db(5)).
const maxFlows = 200_000

// Flows lists the flows of the datapath, with port numbers of the datapath, and relaxed
// (see megaflow.Flow.Relax). It leaves out those that no IP packet over Ethernet can match
// that is not ICMP, those of packets that met congestion in a tunnel, and those of packets
// that come in with a TTL that no rule takes.
//
// The walk is not a snapshot: while the kernel resizes its table a flow may be
// missing or occur twice. Flows that OVS has put into tc are not in it.
//
// The kernel does not tell of ct_nw_src, ct_nw_dst, ct_ipv6_src and ct_ipv6_dst
// where a flow does not match ct_nw_proto too: ovs_ct_put_key looks at that field of
// the masked key. Such a flow seems to match more than it does. It betrays itself
// only where the flow that a packet really takes is listed too and does something
// else; megaflow.Table then does not tell. So connections that have no packets in
// the datapath must not be composed without asking OVS, on bridges where OpenFlow
// flows match these fields.
func (c *Conn) Flows(ctx context.Context) (all []megaflow.Flow, err error) {
	seen := 0
	err = c.list(ctx, "list flows", c.flow, func() { all, seen = nil, 0 }, func(attributes []byte) error {
		if seen++; seen > maxFlows {
			return ErrTooMany
		}
		f, ours, err := decodeFlow(attributes, monotonic())
		if ours {
			all = append(all, f)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// monotonic returns the time of the clock by which the kernel tells when a flow was used.
func monotonic() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return time.Duration(ts.Nano())
}

// neverUsed is how long a flow was idle that the kernel tells no use of
// (OVS_FLOW_ATTR_USED): it has had no packet but the one that OVS made it for, and sent on
// itself.
const neverUsed = time.Duration(math.MaxInt64)

// decodeFlow reads a flow that was listed at a time of the monotonic clock. ours is false if
// it is left out.
func decodeFlow(attributes []byte, now time.Duration) (f megaflow.Flow, ours bool, err error) {
	var key, mask, actions []byte
	masked, told := false, false
	f.Idle = neverUsed
	a := attrs{b: attributes, err: &err}
	for a.next() {
		switch a.typ {
		case flowKey:
			key = a.val
		case flowMask:
			mask, masked = a.val, true
		case flowActions:
			actions, told = a.val, true
		case flowStats:
			b := a.bytes(16)
			f.Packets, f.Bytes = native.Uint64(b), native.Uint64(b[8:])
		case flowUsed:
			used := min(native.Uint64(a.bytes(8)), uint64(now.Milliseconds()))
			f.Idle = now - time.Duration(used)*time.Millisecond
		}
	}
	if err != nil {
		return f, false, err
	}
	if key == nil {
		return f, false, &DecodeError{"flow without a key"}
	}
	if f.Match, f.Unknown, ours, err = decodeMatch(key, mask, masked); err != nil || !ours {
		return f, false, err
	}
	if !told {
		// too long for a dump (ovs_flow_cmd_fill_actions, net/openvswitch/datapath.c)
		f.Unknown = "actions that the kernel did not list"
		return f, true, nil
	}
	f.Actions, err = decodeActions(actions)
	f.Relax()
	return f, err == nil && !isGuarded(&f.Match), err
}

// isGuarded reports whether a flow is for packets that come in with a TTL that rules
// leave to the slow path.
func isGuarded(m *megaflow.Match) bool {
	return m.Mask.Uint(megaflow.RecircID) == 1<<32-1 && m.Key.Uint(megaflow.RecircID) == 0 &&
		m.Mask.Uint(megaflow.IPTTL) == 255 && m.Key.Uint(megaflow.IPTTL) <= flows.MaxHops
}
