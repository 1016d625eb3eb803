package cli

import "github.com/flowshunt/flowshunt/flows"

// meaning explains a reason in a sentence or two, with what to do where there is
// something to do. Empty for a reason that only a newer agent knows.
func meaning(r flows.Reason) string { return meanings[r] }

var meanings = map[flows.Reason]string{
	flows.Elephant:    "It moved enough bytes, fast and long enough, to be worth an entry of the table.",
	flows.MarkOffload: "Its conntrack mark asks for it: a firewall or an operator decided.",

	flows.NotEstablished: "Its handshake is not complete. Only established connections are offloaded.",
	flows.OneWay:         "No reply was seen yet. If replies do arrive, they may take a way that this conntrack zone does not see.",
	flows.NotAssured:     "Conntrack does not take it for assured yet: more packets both ways are needed.",
	flows.Closing:        "A FIN or RST was seen. A connection that began to close is never offloaded again.",
	flows.Related:        "It was opened on behalf of another connection (as FTP data), which an inspector must be able to follow.",
	flows.Helper:         "A conntrack helper reads its packets, so they must pass through conntrack.",
	flows.SeqAdjusted:    "Conntrack rewrites its sequence numbers, which a rule cannot do.",
	flows.Invalid:        "Its conntrack entry is dying, not confirmed, or does not make sense.",
	flows.Midstream:      "Conntrack picked it up without its handshake, so which end opened it is not certain.",
	flows.Blocked:        "It carries the blocked mark or label of the cloud's network service: a security group denied it.",
	flows.Protocol:       "Connections of this protocol are never offloaded.",
	flows.KernelOffload:  "The kernel's own flow table has it already.",
	flows.NoCounters:     "It was opened while conntrack accounting was off (net.netfilter.nf_conntrack_acct=0), so its size is not known. New connections are counted if that is 1.",
	flows.Gone:           "Conntrack has no entry for this tuple in either direction, in the zones asked for: it ended, never passed this host, or was addressed otherwise (NAT).",

	flows.Mouse:         "It is below the elephant thresholds; the slow path serves it well enough.",
	flows.MarkNever:     "Its conntrack mark forbids it: a firewall or an operator decided.",
	flows.TableFull:     "The table is full of sessions that are worth more. It gets its turn when it is worth more, or they end.",
	flows.RateLimited:   "It waits for its turn in the budget of insertions per second.",
	flows.Displaced:     "It left the table for a session that is worth more.",
	flows.Idle:          "The eswitch saw no packet of it for the idle time, so it left the table.",
	flows.NoHits:        "Its rules saw no packet while conntrack went on counting, so they did not match its traffic and were taken out.",
	flows.RulesGone:     "Somebody else deleted a rule of it; it returns after a pause.",
	flows.ModeSwitched:  "The agent changed between observe and enforce; it is decided anew.",
	flows.OVSDBLost:     "The OVS database has not answered for too long, so the ports are not known any more.",
	flows.Tombstone:     "It was denied earlier. Only a new handshake, on a new conntrack entry, makes it eligible again.",
	flows.OVSHWOffload:  "OVS itself owns the table, so the agent only observes. To enforce: ovs-vsctl set Open_vSwitch . other_config:hw-offload=false, then restart OVS.",
	flows.TooManyFollow: "The agent follows as many connections as it may.",
	flows.Stopping:      "The agent is stopping and takes its rules out.",
	flows.InstallFailed: "The eswitch refused one of its rules, so none of them is in.",
	flows.RelaxFailed:   "The TCP window checks of conntrack could not be relaxed, so bypassed bytes would make its end look invalid.",
	flows.KeepFailed:    "Its conntrack entry could not be kept alive, so the rules came out before it expired.",

	flows.PathUnknown:   "Neither packets nor the learned addresses of OVS tell where its packets come in and go out.",
	flows.PathAmbiguous: "More than one way through OVS fits it. The agent never guesses.",
	flows.PathChanged:   "OVS would send its packets another way now; the way is being found out again.",
	flows.ZoneUnknown:   "The same tuple stands in several conntrack zones, and no port explains which belong together.",
	flows.PortOff:       "A port of it is excluded: external_ids:flowshunt=off on its interface.",
	flows.PortUnchosen:  "A port of it is not among the ports that the agent was given (--ports).",
	flows.PortDown:      "A port of it has no carrier, or is administratively down.",
	flows.PortUnready:   "A port of it cannot take rules: its qdisc, or a filter on it, belongs to someone else.",
	flows.PortGone:      "A port of it was deleted or replaced.",
	flows.PortQoS:       "A port of it has policing or QoS, which a rule would bypass.",
	flows.PortMirrored:  "A mirror, sFlow, NetFlow or IPFIX looks at a port of it, and would lose sight of its packets.",

	flows.UnsupportedNAT:      "Its addresses are translated on the way, which rules cannot do yet.",
	flows.UnsupportedVLAN:     "A VLAN tag is added, removed or changed on the way, which rules cannot do yet.",
	flows.UnsupportedRouted:   "It is routed (MAC addresses or TTL change on the way), which rules cannot do yet.",
	flows.UnsupportedInternal: "It ends at an internal port of OVS. A redirect to one delivers nothing.",
	flows.UnsupportedPatch:    "It leaves by a patch port, which is no network device.",
	flows.UnsupportedTunnel:   "It enters or leaves by a tunnel, which rules cannot do yet.",
	flows.UnsupportedPortType: "A port of it is of a type that rules cannot use.",
	flows.UnsupportedDatapath: "Its bridge runs on a datapath other than the kernel's.",
	flows.UnsupportedBond:     "A port of it is a bond, which rules cannot follow yet.",
	flows.UnsupportedHairpin:  "It leaves by the port it came in on.",
	flows.UnsupportedBridges:  "It crosses more bridges than can be followed yet.",
}
