package check

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/flowshunt/flowshunt/pkg/unixctl"
)

var startOVS = []string{"systemctl status ovsdb-server ovs-vswitchd", "systemctl start openvswitch-switch || systemctl start openvswitch"}

func database(_ context.Context, n *node) []Line {
	const name = "database"
	switch {
	case n.inventory.err != nil && denied(n.inventory.err):
		return []Line{unknown(name, n.inventory.err)}
	case n.inventory.err != nil:
		return []Line{fatal(name, "%s", oneLine(n.inventory.err.Error())).
			why("ports and their settings are known from it").fix(startOVS...)}
	case !n.Switch.Present:
		return []Line{fatal(name, "%s was never initialized", n.OVSDB).why("ovs-vswitchd does nothing before").fix("ovs-vsctl init")}
	}
	return []Line{ok(name, "%s, %s, %s", n.OVSDB, plural(len(n.Bridges), "bridge", "bridges"), plural(len(n.Ports), "port", "ports"))}
}

// Open vSwitch as Flowshunt knows it: read from source from 2.17 on, run with 3.1.
var (
	oldestOVS = version{2, 17, 0}
	newestOVS = version{3, 7, 0}
)

var ovsVersion = regexp.MustCompile(`\(Open vSwitch\) (\d+\.\d+\.\d+)`)

func daemon(_ context.Context, n *node) []Line {
	const name = "ovs-vswitchd"
	text, err := n.ovs, n.silent
	switch {
	case errors.Is(err, unixctl.ErrNotRunning):
		return []Line{fatal(name, "is not running").why("nothing is forwarded but what the kernel still has flows for").
			fix(startOVS...).detail([]string{oneLine(err.Error())})}
	case err != nil && denied(err):
		return []Line{unknown(name, err)}
	case err != nil:
		return []Line{fatal(name, "does not answer (%s)", oneLine(err.Error())).
			why("paths cannot be confirmed, so sessions leave").
			fix("ovs-appctl coverage/show", "tail -n 50 /var/log/openvswitch/ovs-vswitchd.log")}
	}
	m := ovsVersion.FindStringSubmatch(text)
	if m == nil {
		return []Line{warning(name, "%s", oneLine(text)).why("its version cannot be told from that")}
	}
	switch v := parseVersion(m[1]); {
	case v.less(oldestOVS):
		return []Line{warning(name, "%s, never run with Flowshunt", v).why("2.17 is the oldest that it was written for").fix("upgrade Open vSwitch")}
	case newestOVS.less(v):
		return []Line{ok(name, "%s, newer than any that Flowshunt was written for", v)}
	default:
		return []Line{ok(name, "%s", v)}
	}
}

// undone is the line for what only the database tells, without it.
func (n *node) undone(name string) ([]Line, bool) {
	if n.inventory.err == nil {
		return nil, false
	}
	l := unknown(name, errors.New("the database was not read"))
	l.Root = denied(n.inventory.err)
	return []Line{l}, true
}

// unasked is the line for what ovs-vswitchd would tell, if it answered.
func (n *node) unasked(name string) ([]Line, bool) {
	if n.silent == nil {
		return nil, false
	}
	l := unknown(name, errors.New("ovs-vswitchd does not answer"))
	l.Root = denied(n.silent)
	return []Line{l}, true
}

// hwOffload: there is one master of the NIC's table. OVS reads the setting only when it
// starts (ovs-vswitchd.conf.db(5)), so the restart belongs to the cure.
func hwOffload(_ context.Context, n *node) []Line {
	const name = "hw-offload"
	if lines, undone := n.undone(name); undone {
		return lines
	}
	if n.Switch.HWOffload {
		return []Line{fatal(name, "other_config:hw-offload=true").
			why("OVS itself owns the NIC's table, so an agent only observes (ovs-hw-offload)").
			fix("ovs-vsctl set Open_vSwitch . other_config:hw-offload=false", "systemctl restart openvswitch-switch || systemctl restart openvswitch")}
	}
	if p := n.Switch.TCPolicy; p != "" && p != "none" {
		return []Line{ok(name, "false; tc-policy=%s has no effect", p)}
	}
	return []Line{ok(name, "false")}
}

func restoreWait(_ context.Context, n *node) []Line {
	const name = "flow-restore-wait"
	if lines, undone := n.undone(name); undone {
		return lines
	}
	if n.Switch.FlowRestoreWait {
		return []Line{warning(name, "true").
			why("OVS waits for flows and leaves the datapath as it is: no path is confirmed. A restart by ovs-ctl ends it; one that failed half way does not").
			fix("ovs-vsctl remove Open_vSwitch . other_config flow-restore-wait")}
	}
	return []Line{ok(name, "false")}
}

// maxIdle: paths are read from the datapath's flows, which OVS removes when they saw no
// packet for so long (10 s by default).
func maxIdle(ctx context.Context, n *node) []Line {
	const name, short = "max-idle", 2000
	if lines, undone := n.undone(name); undone {
		return lines
	}
	rows, err := selectRows(ctx, n.OVSDB)
	if err != nil {
		return []Line{unknown(name, err)}
	}
	value, set := rows.otherConfig["max-idle"]
	if !set {
		return []Line{ok(name, "10000 ms, the default")}
	}
	var ms int
	if _, err := fmt.Sscan(strings.TrimSpace(value), &ms); err != nil {
		return []Line{warning(name, "other_config:max-idle=%s is no number", value).why("OVS takes its default").
			fix("ovs-vsctl remove Open_vSwitch . other_config max-idle")}
	}
	if ms < short {
		return []Line{warning(name, "%d ms", ms).
			why("a connection that pauses has no flow in the datapath from which its path could be read (path-unknown)").
			fix("ovs-vsctl set Open_vSwitch . other_config:max-idle=10000")}
	}
	return []Line{ok(name, "%d ms", ms)}
}
