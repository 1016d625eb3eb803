// Package ofproto asks OVS what it does with an established packet: ofproto/trace
// of ovs-vswitchd (ovs-appctl(8)), parsed into the flows of package megaflow that
// the datapath would get. What is not understood in an answer is an error: nothing
// is guessed. The package decides nothing and composes no path.
//
// Facts of the trace, from ofproto/ofproto-dpif-trace.c and measured with OVS 3.1:
//
//   - Each recirculation through conntrack is resumed with the state of one
//     --ct-next; when these run out OVS goes on with a new connection, which is an
//     error here. Recirculations for other reasons (dp_hash groups, bonds, MPLS) are
//     not followed by OVS, which is an error too.
//   - ct_mark and ct_label of the asked packet hold in all stages of one bridge,
//     whatever the zone, and are lost where the packet crosses a patch port, though
//     the zone behind it has marks of its own. A stage matches on what it was traced
//     with; whoever composes the stages puts in the real marks, so a trace with wrong
//     ones ends in "no flow", never in a wrong path.
//   - in_port is the OpenFlow port of the bridge that was asked, in every stage, also
//     behind patch ports. The stages after the first are tied by their recirculation
//     id, so they are kept without it. Numbers in actions are the datapath's.
//   - A packet is written as for OpenFlow, with a bridge, or as for the datapath, with
//     the datapath's port. Only in the second form the original tuple of the connection
//     can be given; in the first one it is zero, and a pipeline that matches on
//     ct_nw_src and the like gives stages that match on zeros. One mask is missing in
//     the text, that of ct_tp_src and ct_tp_dst where ct_nw_proto is not looked at: give
//     the datapath's port wherever it is known.
//   - Several --ct-next have one state: a trace cannot be in the reply direction in
//     one zone and in the original one in another.
//   - A trace has no packet, so it learns no MAC, sends nothing and changes nothing
//     but the recirculation ids, which OVS shares with the datapath's real flows.
package ofproto
