// Package openflow makes rules of OpenFlow flows: Open vSwitch itself is the eswitch.
// It is for the userspace datapath, which offloads such flows to a NIC by rte_flow
// where it can, and for kernels without cls_flower.
//
// # What a flow looks like
//
// A rule is one flow in table 0 of the bridge of both ports. Its cookie is our magic
// and the handle of the rule, so that one flow is found, changed and deleted by its
// cookie alone. A note, which does nothing, holds what 64 bits have no room for: the
// generation, the session, and the index of the network device where packets come in.
// Flows without the magic are never touched. A guard, which leaves packets with few hops
// left to the bridge's own pipeline, is several flows with one cookie.
//
// # The dead man's switch
//
// Each flow has a hard timeout that Keep begins anew. The flows of an agent that died
// end within it, busy ones too; an idle timeout would keep those for ever.
//
// # What it must not do
//
// Put flows where somebody else removes those that he does not know: the caller
// prepares no port of such a bridge.
package openflow
