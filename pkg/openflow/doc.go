// Package openflow tells when the OpenFlow tables of one bridge change, and
// changes them. It speaks to the bridge's management socket. Watch asks for flow
// monitoring of all tables, and reports each flow that was added, deleted or
// modified with what it matches; beside that the bridge's ports, and groups and
// meters where the protocol tells of them. A Client reads flows, and changes them
// one by one or in atomic bundles.
//
// A watcher is either watching or blind. Whoever is told Lost doubts everything
// it believed about the bridge, and doubts it once more when Watching is told:
// what happened in between is unknown.
//
// # What an event's match means
//
// A match is of packets as they are at that table. Steps before it (set_field,
// NAT, a changed in_port) can make them differ from what came in at a port; only
// the caller knows whether its pipelines do that. In one respect it is certain:
// fields that [flows.PacketMatch] cannot express are left out, so the set of
// packets is never smaller than the flow's.
//
// # Versions
//
// Measured with Open vSwitch 3.1: 1.0 to 1.2 monitor by Nicira's extension, 1.3
// by the ONF's (1870), 1.4 and 1.5 by the standard message, where the flag
// NO_ABBREV is refused as a bad one. The highest version that the bridge allows
// is used. Any error for a monitor request of 1.4 comes without our transaction
// id, because OVS answers it as if it were of 1.0.
//
// A management connection gets no asynchronous message until it asks, then no
// more than it asked for: packets only where Receive asks for those of one id.
//
// # What nobody tells
//
// All measured with Open vSwitch 3.1.
//
//   - Groups and meters: told in 1.4 and 1.5 (REQUESTFORWARD), not in 1.0 to 1.3.
//   - Hidden flows, which stand above all others: those of in-band control, and the
//     NORMAL of a standalone bridge whose controllers are away (fail-open). Told
//     are: that the first controller or the last one's removal empties the tables,
//     and the flow of a standalone bridge without controller.
//   - MAC learning, multicast snooping, spanning tree, bonds, mirrors and what else
//     NORMAL depends on: it is not in the tables.
//   - A modification that leaves a flow's actions as they were.
//   - What a table does with a packet that matches nothing (mod-table of 1.1 and
//     1.2), what a bridge does with fragments (set-frags), and tunnel metadata.
//   - The port flag no-flood, except in 1.0; later versions do not have it.
//   - Which of the flows that came and went during a pause did so. OVS pauses when
//     128 KiB of changes wait for us; that is told as Lost.
package openflow
