package openflow

import (
	"fmt"

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

// supported returns why a rule cannot be a flow.
func supported(c *eswitch.Change) error {
	switch r := &c.Rule; {
	case c.Session == 0:
		return fmt.Errorf("%w: a guard", errCannot)
	case !r.Tunnel.IsZero():
		return fmt.Errorf("%w: a tunnel", errCannot)
	case r.Tags != (flows.Tags{}):
		return fmt.Errorf("%w: a VLAN tag", errCannot)
	case !r.Change.IsZero():
		return fmt.Errorf("%w: a change of the packet", errCannot)
	}
	return nil
}

var errCannot = fmt.Errorf("%w: the OpenFlow driver does not carry", eswitch.ErrNotSupported)

// matchOf returns what a rule matches at an OpenFlow port.
func matchOf(r *flows.Rule, in uint32) of.Match {
	m := of.Match{
		InPort: in, MetadataMask: Aside, SrcMAC: r.SrcMAC, DstMAC: r.DstMAC,
		EthType: of.IPv4, IPProto: r.Tuple.Proto, Src: r.Tuple.Src, Dst: r.Tuple.Dst, NotFragment: true,
	}
	if r.Tuple.IsIPv6() {
		m.EthType = of.IPv6
	}
	if r.Tuple.Proto.HasPorts() {
		m.Ports, m.SrcPort, m.DstPort = true, r.Tuple.SrcPort, r.Tuple.DstPort
	}
	if r.Tuple.Proto == flows.TCP {
		m.TCPFlagsMask = noControl
	}
	return m
}

// actionsOf returns what a rule does: first its note, then what is done to the packet.
func actionsOf(m *mark, out uint32) []of.Action {
	return []of.Action{{Kind: of.Note, Note: m.note()}, {Kind: of.Output, Port: out}}
}

// addition returns what makes a rule.
func (d *Driver) addition(c *eswitch.Change, in, out uint32) of.FlowMod {
	m := mark{c.Ref.Handle, d.cfg.Generation, c.Ref.Link, c.Session}
	return of.FlowMod{
		Command: of.AddFlow, Table: table, Priority: d.cfg.Priority, Cookie: cookieOf(c.Ref.Handle),
		Hard: d.hard(), Match: matchOf(&c.Rule, in), Actions: actionsOf(&m, out),
	}
}

// deletion returns what deletes a rule, whatever it looks like.
func deletion(handle uint32) of.FlowMod {
	return of.FlowMod{Command: of.DeleteFlow, Table: of.AllTables, Cookie: cookieOf(handle), CookieMask: wholeCookie}
}

// prolongation returns what makes a rule live on, if it is still there.
func (d *Driver) prolongation(c *eswitch.Change, out uint32) of.FlowMod {
	m := d.addition(c, 0, out)
	m.Command, m.CookieMask, m.Match = of.ModifyFlow, wholeCookie, of.Match{}
	return m
}

// ruleOf reads back what a flow was made from, as far as it tells.
func ruleOf(f *of.Flow, m *mark, out int32) flows.Rule {
	t := flows.Tuple{Src: f.Match.Src, Dst: f.Match.Dst, Proto: f.Match.IPProto}
	if f.Match.Ports {
		t.SrcPort, t.DstPort = f.Match.SrcPort, f.Match.DstPort
	}
	return flows.Rule{
		Dir: (eswitch.Ref{Handle: m.handle}).Dir(), In: m.link, Out: out,
		Frame: flows.Frame{SrcMAC: f.Match.SrcMAC, DstMAC: f.Match.DstMAC}, Tuple: t,
	}
}

// intact reports whether a flow is what this version makes of the rule.
func (d *Driver) intact(f *of.Flow, r *flows.Rule, in uint32) bool {
	return f.Table == table && f.Priority == d.cfg.Priority && f.Hard == d.hard() && f.Idle == 0 && !f.Partial &&
		r.Out != 0 && f.Match == matchOf(r, in) && len(f.Actions) == 2 && f.Actions[1].Kind == of.Output
}

func outOf(f *of.Flow) uint32 {
	if len(f.Actions) == 2 && f.Actions[1].Kind == of.Output {
		return f.Actions[1].Port
	}
	return 0
}
