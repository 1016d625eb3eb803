package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/conntrack"
)

// access asks ctnetlink for an entry that cannot exist: "not found" is the answer to
// who may ask.
func access(ctx context.Context, _ *node) []Line {
	const name = "ctnetlink"
	if ctx.Err() != nil {
		return []Line{unknown(name, errLate)}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := conntrack.Dial(conntrack.Config{})
	if err == nil {
		defer conn.Close()
		_, err = conn.Find(ctx, 0, flows.Tuple{Src: netip.IPv4Unspecified(), Dst: netip.IPv4Unspecified(), Proto: 255})
	}
	switch {
	case err == nil || errors.Is(err, conntrack.ErrNotFound):
		return []Line{ok(name, "answers")}
	case denied(err):
		return []Line{unknown(name, err)}
	}
	return []Line{fatal(name, "does not answer (%s)", oneLine(err.Error())).
		why("conntrack entries cannot be read").
		fix("modprobe nf_conntrack_netlink", "echo nf_conntrack_netlink >>/etc/modules-load.d/flowshunt.conf")}
}

const conntrackKey = "net.netfilter.nf_conntrack_"

// conntrackSwitch is a switch of conntrack that must be 1, or should be. An agent
// demands the same: pkg/conntrack, Preflight.
type conntrackSwitch struct {
	name, key string
	spare     bool
	why       string
}

var conntrackSwitches = []conntrackSwitch{
	{name: "accounting", key: "acct", why: "an entry that was made while this was off never has counters, so no elephant is seen"},
	{name: "events", key: "events", why: "with 2 an entry that was made while nobody listened never reports anything, not even its end; with 0 none does"},
	{name: "timestamps", key: "timestamp", spare: true, why: "a connection that follows another on the same ports at once can look like it"},
}

func switches(_ context.Context, n *node) []Line {
	var lines []Line
	for _, s := range conntrackSwitches {
		lines = append(lines, s.line(n))
	}
	return lines
}

func (s conntrackSwitch) line(n *node) Line {
	key := conntrackKey + s.key
	got, err := n.sysctl(key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return noConntrack(s.name, key)
	case err != nil:
		return unknown(s.name, err)
	case got == 1:
		return ok(s.name, "%s is 1", key)
	}
	// Without the module the key does not exist when sysctl.d is applied.
	fix := append(setSysctl(key, 1), "echo nf_conntrack >>/etc/modules-load.d/flowshunt.conf")
	if s.spare {
		return warning(s.name, "%s is %d, should be 1", key, got).why("%s", s.why).fix(fix...)
	}
	return fatal(s.name, "%s is %d, must be 1", key, got).why("%s", s.why).fix(fix...)
}

func noConntrack(name, key string) Line {
	return fatal(name, "%s does not exist: nf_conntrack is not loaded", key).
		why("conntrack settings cannot be made before").
		fix("modprobe nf_conntrack", "echo nf_conntrack >>/etc/modules-load.d/flowshunt.conf")
}

// usage compares the table with what is in it and what an agent is meant to offload: a
// session keeps its entry, or two where the CMS tracks it in both ports' zones, for as
// long as it lives.
func usage(_ context.Context, n *node) []Line {
	const name = "table"
	count, err := n.sysctl(conntrackKey + "count")
	limit, errMax := n.sysctl(conntrackKey + "max")
	if err = errors.Join(err, errMax); err != nil {
		return []Line{unknown(name, err)}
	}
	if limit == 0 { // none: __nf_conntrack_alloc
		return []Line{ok(name, "%d entries of any number", count)}
	}
	found := fmt.Sprintf("%d entries of %d", count, limit)
	full := "a full table refuses new connections ('nf_conntrack: table full, dropping packet'), offloaded or not"
	wanted := 2 * uint64(n.Capacity)
	switch {
	case count >= limit-limit/20:
		return []Line{fatal(name, "%s: it is full", found).why("%s", full).fix(setSysctl(conntrackKey+"max", 2*limit)...)}
	case count >= limit-limit/5:
		return []Line{warning(name, "%s", found).why("%s", full).fix(setSysctl(conntrackKey+"max", 2*limit)...)}
	case limit < wanted:
		return []Line{warning(name, "%s, for %d sessions (--capacity)", found, n.Capacity).
			why("a session has an entry in each of its zones, up to two, besides all connections that are not offloaded").
			fix(setSysctl(conntrackKey+"max", wanted)...)}
	}
	return []Line{ok(name, "%s", found)}
}

// buckets bounds how long the chains of the table get: the kernel's own ratio is 1, and
// was 4 before 5.15 (nf_conntrack_init_start).
func buckets(_ context.Context, n *node) []Line {
	const name = "buckets"
	have, err := n.sysctl(conntrackKey + "buckets")
	limit, errMax := n.sysctl(conntrackKey + "max")
	if err = errors.Join(err, errMax); err != nil {
		return []Line{unknown(name, err)}
	}
	if limit == 0 {
		return []Line{ok(name, "%d for any number of entries", have)}
	}
	if have > 0 && limit/have > 8 {
		return []Line{warning(name, "%d for %d entries", have, limit).
			why("every packet of the slow path, and every read of an entry, walks a chain of %d", limit/have).
			fix(setSysctl(conntrackKey+"buckets", limit/4)...)}
	}
	return []Line{ok(name, "%d for %d entries", have, limit)}
}

// pickup is about what conntrack lets through without having seen its beginning.
func pickup(_ context.Context, n *node) []Line {
	const name = "tcp pickup"
	loose, err := n.sysctl(conntrackKey + "tcp_loose")
	liberal, errLiberal := n.sysctl(conntrackKey + "tcp_be_liberal")
	if err = errors.Join(err, errLiberal); err != nil {
		return []Line{unknown(name, err)}
	}
	found := fmt.Sprintf("tcp_loose %d, tcp_be_liberal %d", loose, liberal)
	if loose == 0 {
		return []Line{ok(name, "%s: connections without a handshake are dropped", found)}
	}
	return []Line{ok(name, "%s: connections without a handshake are followed and never offloaded (midstream)", found)}
}

// shortest is below which a timeout leaves a keepalive no room: it refreshes at half of
// it, from counters that NICs renew every one to two seconds.
const shortest = 20

// timeouts are those that an offloaded entry is kept at, and the one that it begins with
// when it vanishes with data in flight (300 s; measured, facts of unacknowledged data).
func timeouts(_ context.Context, n *node) []Line {
	const name = "timeouts"
	t, err := readTimeouts(n)
	if err != nil {
		return []Line{unknown(name, err)}
	}
	for _, one := range t {
		if one.seconds < shortest {
			return []Line{warning(name, "%s is %d s", one.key, one.seconds).
				why("the entry of an offloaded connection may expire between two refreshes; its rules then come out").
				fix(setSysctl(one.key, one.usual)...)}
		}
	}
	return []Line{ok(name, "tcp %d s (%d s with data in flight), udp %d s", t[0].seconds, t[1].seconds, t[2].seconds)}
}

type timeout struct {
	key            string
	seconds, usual uint64
}

func readTimeouts(n *node) (list []timeout, err error) {
	for _, t := range []timeout{
		{key: "tcp_timeout_established", usual: 432_000},
		{key: "tcp_timeout_unacknowledged", usual: 300},
		{key: "udp_timeout_stream", usual: 120},
	} {
		t.key = conntrackKey + t.key
		var errOne error
		t.seconds, errOne = n.sysctl(t.key)
		list, err = append(list, t), errors.Join(err, errOne)
	}
	return list, err
}
