package openflow

import (
	"slices"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	of "github.com/flowshunt/flowshunt/pkg/openflow"
)

// Aside is the bit of the metadata that no flow of ours matches. Packets come to a
// bridge without any metadata, so it makes no difference to them; a trace that has it
// sees what the bridge would do without us. Unlike a mark, a hash or a field of the
// packet it does not reach the datapath, where it could keep hardware from a flow.
const Aside uint64 = 1 << 63

// noControl are the TCP flags that must stay in sight of the slow path: FIN, SYN, RST.
const noControl = 0x07

// table is where packets come to first.
const table = 0

// matchOf returns what a rule matches at an OpenFlow port.
func matchOf(r *flows.Rule, in uint32) of.Match {
	m := outsideOf(r, in)
	if t := r.Tunnel.Value(); !r.Tunnel.IsZero() {
		m.TunnelID, m.MatchTunnelID, m.TunnelSrc = uint64(t.ID), true, t.Src
	}
	m.SrcMAC, m.DstMAC = r.SrcMAC, r.DstMAC
	m.IPProto, m.Src, m.Dst, m.NotFragment = r.Tuple.Proto, r.Tuple.Src, r.Tuple.Dst, true
	if tag := r.Tags[0]; !tag.IsZero() {
		m.VLAN, m.VLANMask = of.VLANPresent|tag.ID, of.VLANAll
		m.Priority, m.MatchPriority = tag.Priority, true
	}
	if r.Tuple.Proto.HasPorts() {
		m.Ports, m.SrcPort, m.DstPort = true, r.Tuple.SrcPort, r.Tuple.DstPort
	}
	if r.Tuple.Proto == flows.TCP {
		m.TCPFlagsMask = noControl
	}
	return m
}

// outsideOf returns what a rule and its guard have in common: where packets come in, at
// which end of tunnels, of which family they are, and whether they have a tag. Of which
// kind a tunnel is, the port tells.
func outsideOf(r *flows.Rule, in uint32) of.Match {
	m := of.Match{InPort: in, MetadataMask: Aside, EthType: of.IPv4, VLANMask: of.VLANAll, TunnelDst: r.Tunnel.Value().Dst}
	if r.Tuple.IsIPv6() {
		m.EthType = of.IPv6
	}
	if r.Tags.Len() > 0 {
		m.VLAN, m.VLANMask = of.VLANPresent, of.VLANPresent
	}
	return m
}

// actionsOf returns what a rule does: first its note, then what is done to the packet.
func actionsOf(m *mark, r *flows.Rule, out uint32) []of.Action {
	actions := appendChange([]of.Action{{Kind: of.Note, Note: m.note()}}, r)
	return append(actions, of.Action{Kind: of.Output, Port: out})
}

// additions returns what makes a rule: one flow, and of a guard several.
func (d *Driver) additions(c *eswitch.Change, in, out uint32) []of.FlowMod {
	if c.Session == 0 {
		return d.guards(c, in)
	}
	m := d.markOf(c)
	return []of.FlowMod{{
		Command: of.AddFlow, Table: table, Priority: d.cfg.Priority, Cookie: cookieOf(c.Ref.Handle),
		Hard: d.hard(), Match: matchOf(&c.Rule, in), Actions: actionsOf(&m, &c.Rule, out),
	}}
}

func (d *Driver) markOf(c *eswitch.Change) mark {
	in, out := c.Rule.Tunnel, flows.Path{Frame: c.Rule.Frame, Change: c.Rule.Change}.Leaves().Tunnel
	return mark{c.Ref.Handle, d.cfg.Generation, c.Ref.Link, c.Session, !in.IsZero() || !out.IsZero(), in.Value(), out.Value()}
}

// deletion returns what deletes a rule, whatever it looks like.
func deletion(handle uint32) of.FlowMod {
	return of.FlowMod{Command: of.DeleteFlow, Table: of.AllTables, Cookie: cookieOf(handle), CookieMask: wholeCookie}
}

// prolongation returns what makes a rule live on, if it is still there. OVS wants to see
// in the match what the actions require.
func (d *Driver) prolongation(c *eswitch.Change, in, out uint32) of.FlowMod {
	m := d.additions(c, in, out)[0]
	m.Command, m.CookieMask = of.ModifyFlow, wholeCookie
	if c.Session == 0 { // of a guard all flows do the same
		m.Match.TTL, m.Match.MatchTTL = 0, false
	}
	return m
}

// intact reports whether a flow is what this version makes of the rule.
func (d *Driver) intact(f *of.Flow, r *flows.Rule, in uint32) bool {
	return f.Table == table && f.Priority == d.cfg.Priority && f.Hard == d.hard() && f.Idle == 0 && !f.Partial &&
		r.Out != 0 && f.Match == matchOf(r, in) && sayable(r) == nil &&
		slices.EqualFunc(f.Actions[1:len(f.Actions)-1], appendChange(nil, r), of.Action.Equal)
}

func outOf(f *of.Flow) uint32 {
	if last := len(f.Actions) - 1; last > 0 && f.Actions[last].Kind == of.Output {
		return f.Actions[last].Port
	}
	return 0
}
