package harness

import (
	"regexp"
	"strings"
)

// allowed are the warnings of ovs-vswitchd that a story may cause, each with why.
// Anything else is taken for our doing, and fails the story.
var allowed = []struct{ pattern, why string }{
	{`\|(timeval|ovs_rcu)(\([^|]*\))?\|WARN\|`,
		"an emulated machine, or a story that stops the daemon for a moment, is slow; the agent holds no lock of OVS"},
	{`\|bridge\|WARN\|could not open network device \S+ \(No such device\)`,
		"a story has deleted or renamed a port's device, or its clean-up has"},
	{`\|(netdev_linux|dpif|dpif_netlink|bridge|ofproto)(\([^|]*\))?\|WARN\|.*[Nn]o such device`,
		"the same, said by those who use the device"},
	{`\|(netdev_linux|dpif_netdev)(\([^|]*\))?\|(WARN|ERR)\|error receiving .* Network is down`,
		"the same, said by the userspace datapath"},
	{`\|dpif\|WARN\|failed to enumerate system datapaths: No such file or directory`,
		"a machine without the kernel's datapath: dpctl looks for it all the same"},
	{`\|ofproto_dpif_rid\|ERR\|recirc_id \d+ left allocated when ofproto`,
		"OVS keeps the recirculations of a trace for a quarter of a second; a story has deleted the bridge within it"},
	{`\|ofproto\|WARN\|\S+: cannot get R?STP (status|stats) on nonexistent port`,
		"the same, between the end of the device and that of its row"},
	{`\|netdev_linux\|WARN\|\S+: (adding|removing) policing qdisc failed: File exists`,
		"cannot be avoided: OVS tries to police while our clsact is there; see what happens then in TestPolicing"},
	{`\|(reconnect|jsonrpc|stream_unix|ovsdb_idl|ovsdb_cs)\|WARN\|.*(db\.sock|reconnect|connection dropped)`,
		"a story has killed ovsdb-server"},
	{`\|jsonrpc\|WARN\|unix#\d+: (receive|send) error: (Connection reset by peer|Broken pipe)`,
		"a client, the agent or a command of a story, did not wait any longer for a daemon that was stopped or starved"},
	{`\|rconn\|WARN\|\S+<->unix#\d+: connection dropped \((Connection reset by peer|Broken pipe)\)`,
		"the same, of OpenFlow; and an agent that was killed while it was told of flows"},
	{`\|dpif(\([^|]*\))?\|WARN\|\S+: execute ct\(.* failed \(Invalid argument\) on packet`,
		"the kernel has no room for another connection: a story has filled conntrack's table"},
	{`\|ofproto_dpif_upcall(\([^|]*\))?\|WARN\|Failed to acquire udpif_key corresponding to unexpected flow \(Invalid argument\)`,
		"a flow of a port that a story has deleted while the daemon stood still; cookies of ours that OVS took for its own would be of no such file"},
	{`\|dpif\|WARN\|\S+: failed to query port patch-\S*provnet-\S+: Invalid argument`,
		"ovn-controller names patch ports after ports of the network, which is longer than a device's name may be"},
	{`\|ofproto_dpif_rid\|ERR\|recirc_id \d+ left allocated when ofproto \(\S+\) is destructed`,
		"a story has deleted a bridge whose packets the datapath still had"},
	{`\|fatal_signal(\([^|]*\))?\|WARN\|terminating with signal`,
		"a story has stopped the daemon"},
	{`\|ofproto_dpif_xlate(\([^|]*\))?\|WARN\|received packet on unknown port`,
		"a packet was on its way to the daemon while a story deleted the port where it came in"},
	{`\|tunnel(\([^|]*\))?\|WARN\|receive tunnel port not found`,
		"the same, of a tunnel whose end a story has moved; or a story lets packets come from another address than OVS expects"},
	{`\|netdev_offload_tc(\([^|]*\))?\|ERR\|flow_put: recirc_id sharing not supported`,
		"a kernel without NET_TC_SKB_EXT, in a story in which OVS is to offload what conntrack sees"},
	{`\|(WARN|ERR)\|Dropped \d+ log messages`,
		"counts what was said before, and was judged then"},
}

var severe = regexp.MustCompile(`\|(WARN|ERR|EMER)\|`)

// unexpected returns those lines of ovs-vswitchd's log that complain of something and
// are not in the list.
func unexpected(log string) (lines []string) {
	for line := range strings.Lines(log) {
		if severe.MatchString(line) && !isAllowed(line) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func isAllowed(line string) bool {
	for _, a := range allowed {
		if regexp.MustCompile(a.pattern).MatchString(line) {
			return true
		}
	}
	return false
}

// checkWarnings fails a test in whose time OVS complained of something that is not in
// the list. It comes after everything else was cleared up.
func (w *World) checkWarnings() {
	from := fileSize(w.log("ovs-vswitchd"))
	w.T.Cleanup(func() {
		for _, line := range unexpected(fileFrom(w.log("ovs-vswitchd"), from)) {
			w.T.Errorf("ovs-vswitchd complains: %s", line)
		}
	})
}

// faults are what the kernel says of a fault of its own, or of a module's. That it
// stood still is not among them: so does an emulated machine on a loaded one.
var faults = regexp.MustCompile(`WARNING: CPU|kernel BUG at|Oops[: ]|BUG [\w.-]+ \(|BUG: (unable|kernel|KASAN|sleeping|scheduling|spinlock|Bad)|refcount_t:|unregister_netdevice: waiting|general protection`)

// knownFaults are those of kernels that are none of ours, whatever does it first: since 6.10
// the copy of Geneve's options in include/net/ip_tunnels.h warns that it passes the end of a
// field, once, where OVS sets or receives them.
var knownFaults = regexp.MustCompile(`WARNING: CPU: \d+ PID: \d+ at include/net/ip_tunnels\.h:\d+ (validate_and_copy_set_tun|geneve_udp_encap_recv)\+`)

func isFault(line string) bool { return faults.MatchString(line) && !knownFaults.MatchString(line) }

// checkKernel fails a test in whose time the kernel has complained of a fault.
func (w *World) checkKernel() {
	before := kernelLog()
	w.T.Cleanup(func() {
		for line := range strings.Lines(newKernelLog(before, kernelLog())) {
			if isFault(line) {
				w.T.Errorf("the kernel complains: %s", strings.TrimSpace(line))
			}
		}
	})
}
