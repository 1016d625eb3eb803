package check

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// lookups is the line of dpctl/show that counts upcalls of one datapath.
var lookups = regexp.MustCompile(`lookups: hit:(\d+) missed:(\d+) lost:(\d+)`)

// The datapath counts since it was made, also while no ovs-vswitchd was there: a restart
// loses a few.
const someUpcalls, manyUpcalls = 10, 100

// upcalls finds an ovs-vswitchd that is deaf: OVS 3.1.0 counts CPUs at most every 10 s of
// system uptime, and one that started before the first count has no thread that takes
// upcalls. It loses every one, for good (measured; 7 of 7 starts within 10 s of the boot).
func upcalls(ctx context.Context, n *node) []Line {
	const name = "upcalls"
	if lines, unasked := n.unasked(name); unasked {
		return lines
	}
	text, err := n.vswitchd.Call(ctx, "dpctl/show")
	if err != nil {
		return []Line{unknown(name, err)}
	}
	var missed, lost uint64
	for _, m := range lookups.FindAllStringSubmatch(text, -1) {
		missed += number(m[2])
		lost += number(m[3])
	}
	handlers, known := n.handlers()
	found := fmt.Sprintf("%d missed, %d lost", missed, lost)
	if known {
		found += ", " + plural(handlers, "handler", "handlers")
	}
	// While it waits for flows to be restored it takes no upcalls, and has nobody to.
	idle := known && handlers == 0 && len(n.Bridges) > 0 && !n.Switch.FlowRestoreWait
	deaf := missed >= someUpcalls && lost == missed || idle
	switch {
	case deaf:
		return []Line{fatal(name, "%s: ovs-vswitchd is deaf", found).
			why("it started within 10 s of the boot, found no CPU and started no handler: every first packet of a connection is lost").
			fix("systemctl restart openvswitch-switch || systemctl restart openvswitch")}
	case lost >= manyUpcalls && lost >= missed/100:
		return []Line{warning(name, "%s", found).
			why("first packets of connections were lost: the handlers were too slow, or few").
			fix("ovs-appctl dpctl/show", "ovs-vsctl get Open_vSwitch . other_config:n-handler-threads")}
	}
	return []Line{ok(name, "%s", found)}
}

func number(s string) uint64 {
	v, _ := strconv.ParseUint(s, 10, 64)
	return v
}

// handlers counts the threads of ovs-vswitchd that take upcalls, by their names. In a
// container its pidfile may name a process of the container's own numbering: what has that
// number here is somebody else.
func (n *node) handlers() (count int, known bool) {
	pid, err := read(n.root, strings.TrimPrefix(n.OVSRundir, "/")+"/ovs-vswitchd.pid")
	if err != nil {
		return 0, false
	}
	for _, comm := range n.threads(pid) {
		known = known || comm == "ovs-vswitchd"
		if strings.HasPrefix(comm, "handler") {
			count++
		}
	}
	return count, known
}
