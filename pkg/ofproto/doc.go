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
//   - A trace does not translate for a bare nat, and for one with a range it translates to
//     the first address of the range, whatever the entry says. It has one state, one mark,
//     one label and one original tuple, whatever the zone, and loses the marks where the
//     packet crosses a patch port. What comes behind may be the branch of a first packet, which looks
//     good and is wrong. But a stage matches on what it was traced with, and whoever
//     composes the stages puts in what conntrack really has, so a trace with the wrong
//     ones ends in "no flow", never in a wrong path.
//   - A recirculation can be asked for by itself: a packet with its recirc_id, and with
//     everything that conntrack said of it, gets what OVS froze there (registers, metadata,
//     the real port), as the datapath would. OVS keeps that for 250 to 500 ms after a
//     trace, and as long as flows of the datapath use it. That is what Follow does.
//   - in_port is the OpenFlow port of the bridge that was asked, in every stage, also
//     behind patch ports. The stages after the first are tied by their recirculation
//     id, so they are kept without it. Numbers in actions are the datapath's.
//   - A packet is written as for OpenFlow, with a bridge, or as for the datapath, with
//     the datapath's port. Only in the second form the original tuple of the connection
//     can be given, or Geneve's options, or a second tag; in the first one the tuple is
//     zero, and a pipeline that matches on ct_nw_src and the like gives stages that match
//     on zeros. One mask is missing in the text, that of ct_tp_src and ct_tp_dst where
//     ct_nw_proto is not looked at: give the datapath's port wherever it is known.
//   - A flow is for packets with a tag, or for those without, whether the text says so
//     or not, and the text does not say of which type the tag is. So a first stage holds
//     for the very tags that were asked about; and, since Geneve's options are told by
//     names that are the bridge's own, for the very tunnel.
//   - A trace has no packet, so it learns no MAC, sends nothing and changes nothing
//     but the recirculation ids, which OVS shares with the datapath's real flows.
package ofproto
