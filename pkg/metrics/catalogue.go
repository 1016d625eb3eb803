package metrics

// Buckets in seconds. A rule pair takes the kernel tens of microseconds and a busy
// NIC many milliseconds; a dump of a million entries takes seconds.
var (
	quick = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	long  = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
)

// What the agent is.
var (
	buildInfo = gauge("build_info", "Always 1; the labels say which build this is.", "version", "commit", "goversion")
	modeInfo  = gauge("mode_info", "Always 1. `configured` is what --mode says, `effective` what is done; where they differ, `reason` says why.",
		"configured", "effective", "reason")
	ready       = gauge("ready", "1 while /readyz says 200.")
	componentUp = gauge("component_up", "1 while the component works, 0 while it starts or has failed. `engine` is 0 when the engine gives no answer in time; everything that it would have told is missing from that scrape.",
		"component")
	ports        = gauge("ports", "OVS ports by the reason why they cannot be used; `usable` for those that can.", "reason")
	budgetUsed   = gauge("budget_used", "What is used of a bound: sessions in the eswitch, connections followed, entries of the conntrack table.", "budget")
	budgetLimit  = gauge("budget_limit", "The bound itself. For `sessions` it is --capacity.", "budget")
	eswitchBusy  = gauge("eswitch_busy_seconds", "For how long the kernel has had the batch of rules that is in progress; removals wait for it. 0: none is.")
	startSeconds = gauge("start_time_seconds", "When the agent started, in Unix time. All counters began at 0 then.")
)

// Sessions and rules.
var (
	sessions       = gauge("sessions", "Sessions by state, from `resolving` (between which ports does it travel?) to `removing`.", "state")
	rules          = gauge("rules", "Rules that the eswitch has acknowledged and that were not acknowledged as removed.")
	connections    = gauge("connections", "Conntrack entries that are followed, by their present reason.", "reason")
	installs       = counter("session_installs_total", "Installations of sessions that the eswitch has answered, by `result`: ok, failed, or full for want of room.", "result")
	removals       = counter("session_removals_total", "Removals of sessions that the eswitch has answered, by `result`: ok or failed. One that failed is repeated.", "result")
	pulls          = counter("session_pulls_total", "Sessions that were ordered out of the eswitch, by cause.", "cause")
	adoptions      = counter("session_adoptions_total", "Sessions of an earlier agent that were confirmed and taken over.")
	installTime    = histogram("session_install_duration_seconds", quick, "From the order to install a session until the eswitch has acknowledged all of its rules. Failed ones do not count.")
	removalTime    = histogram("session_removal_duration_seconds", quick, "From the first order to remove a session until the eswitch has acknowledged that no rule of it is left, with all repetitions.")
	keepalives     = counter("keepalives_total", "Refreshes of conntrack entries of offloaded sessions that were ordered.")
	unfollowed     = counter("unfollowed_reads_total", "Reads of conntrack entries that were not followed because --max-connections is reached.")
	offloadedBytes = counter("offloaded_bytes_total", "Bytes that the eswitch forwarded for sessions, both directions, each packet once.")
	offloadedPkts  = counter("offloaded_packets_total", "Packets that the eswitch forwarded for sessions, both directions, each packet once.")
	portBytes      = counter("port_offloaded_bytes_total", "Bytes that the eswitch forwarded past OVS. `direction` is as in OVS's own statistics: rx came in on the port, tx went out of it; so each packet counts at two ports.",
		"port", "direction")
	portPkts = counter("port_offloaded_packets_total", "Packets, likewise.", "port", "direction")
)

// Tables of eswitches. `eswitch` is the kernel's phys_switch_id, empty for software.
var (
	tableRules      = gauge("table_rules", "Rules of ours in the table of an eswitch, from when they are sent until they are known to be gone. `eswitch` is the kernel's phys_switch_id; empty: software.", "eswitch")
	tableBelieved   = gauge("table_believed_rules", "Rules that the table is believed to hold, since its driver has refused more. 0: it has not.", "eswitch")
	tableWaiting    = gauge("table_waiting", "Connections that want to get in.", "eswitch")
	tableWindow     = gauge("table_window", "Sessions that may be on their way in at once, as the speed of the driver allows.", "eswitch")
	tableInstalling = gauge("table_installing", "Sessions that are on their way in.", "eswitch")
	tableInstalls   = counter("table_installs_total", "Sessions that got in.", "eswitch")
	tableRefused    = counter("table_refusals_total", "Installations that were refused for want of room.", "eswitch")
)

// Change and reaction.
var (
	changes         = counter("changes_total", "Changes that put paths in doubt, by `source`: where they were noticed.", "source")
	doubts          = counter("path_doubts_total", "Doubts about paths that the engine was told of, by `scope`: all sessions, those on some ports, or those with some packets. Changes that come close together make one doubt.", "scope")
	sessionDoubts   = counter("session_doubts_total", "Times that the path of a session became doubtful.")
	validations     = counter("validations_total", "Answers to the question whether OVS still does what the rules of a session do: `confirmed`, or the reason why not.", "result")
	validationTime  = histogram("validation_duration_seconds", quick, "From the order to validate a session until its answer.")
	propagationTime = histogram("propagation_duration_seconds", quick, "From an outside event until the eswitch has acknowledged the removal of a session because of it, by `source` of the event. Removals that the agent decided by itself (idle, mouse, displaced, ...) do not count.",
		"source")
)

// Security groups. `source` is ovn-sb, ovn-nb or file.
var (
	groupPorts   = gauge("security_group_ports", "Logical ports that a source of security groups knows, where they matter here.", "source")
	groupRules   = gauge("security_group_rules", "Rules of them that are compiled.", "source")
	groupMembers = gauge("security_group_members", "Addresses and prefixes in sets: members of remote groups, address groups.", "source")
	groupNews    = counter("security_group_changes_total", "Changes that a source has told.", "source")
	groupStale   = gauge("security_group_stale_seconds", "For how long a source has not told what is so: nothing new is offloaded on ports with security groups, and past --security-groups-grace what is there leaves. 0: it tells.", "source")
	groupCompile = counter("security_group_compile_seconds_total", "Time spent on compiling what was told.", "source")
)

// Virtual wires, by `wire`: the name that they have in the policy database.
var (
	wireState  = gauge("wire_state", "Always 1. `state` is what becomes of a packet: through, inspected, open (past an inspector that is away), closed (it is dropped), or unready where the wire's flows are not in force.", "wire", "state")
	wireFor    = gauge("wire_state_seconds", "For how long the wire has been in its state.", "wire")
	wireProbes = counter("wire_probes_total", "Probes that were sent through the inspector, in both directions.", "wire")
	wireLost   = counter("wire_probes_lost_total", "Those that did not come out on the other side before the next was due.", "wire")
	wireTurns  = counter("wire_transitions_total", "Changes of the wire's state.", "wire")
)

// Conntrack and taps.
var (
	overruns    = counter("conntrack_overruns_total", "Times that conntrack events were lost because they came faster than they were read (ENOBUFS).")
	resyncs     = counter("resyncs_total", "Times that all offloaded connections were read again because events were lost on the way.")
	dumps       = counter("conntrack_dumps_total", "Reads of the whole conntrack table, by `result`: complete or interrupted (the table was resized; entries not seen are not forgotten).", "result")
	dumpTime    = histogram("conntrack_dump_duration_seconds", long, "How long a read of the whole conntrack table took.")
	dumpEntries = gauge("conntrack_dump_entries", "Entries with a reply that the last dump has read.")
	hints       = counter("closing_hints_total", "FIN and RST, seen by taps, that concerned a session.")
	tapMissed   = counter("tap_missed_packets_total", "Packets that a tap did not see because they came faster than they were read.")
)

// section is a part of the reference page.
type section struct {
	title string
	list  []*definition
}

func catalogue() []section {
	return []section{
		{"The agent", []*definition{buildInfo, startSeconds, modeInfo, ready, componentUp, ports, budgetUsed, budgetLimit, eswitchBusy}},
		{"Sessions and rules", []*definition{sessions, rules, connections, installs, removals, pulls, adoptions, installTime, removalTime, keepalives, unfollowed}},
		{"Tables of eswitches", []*definition{tableRules, tableBelieved, tableWaiting, tableWindow, tableInstalling, tableInstalls, tableRefused}},
		{"Traffic", []*definition{offloadedBytes, offloadedPkts, portBytes, portPkts}},
		{"Change and reaction", []*definition{changes, doubts, sessionDoubts, validations, validationTime, propagationTime}},
		{"Security groups", []*definition{groupPorts, groupRules, groupMembers, groupNews, groupStale, groupCompile}},
		{"Virtual wires", []*definition{wireState, wireFor, wireProbes, wireLost, wireTurns}},
		{"Conntrack and taps", []*definition{overruns, resyncs, dumps, dumpTime, dumpEntries, hints, tapMissed}},
	}
}
