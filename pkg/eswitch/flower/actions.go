package flower

import (
	"fmt"
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/eswitch"
	"github.com/flowshunt/flowshunt/pkg/tc"
)

// pass is all that a guard does: nothing of ours sees the packet.
var pass = tc.Action{Kind: tc.KindGact, Verdict: tc.Pass}

// appendActions appends what makes packets leave as the rule says: out of the tunnel,
// tags off, headers rewritten and their checksums, tags on, into the tunnel, out of the
// port. Headers are rewritten while as few tags as possible are in front of them, for
// software finds them behind one only.
func appendActions(to []tc.Action, r *flows.Rule) ([]tc.Action, error) {
	if r.Change.IsZero() && r.Tunnel.IsZero() {
		return append(to, redirect(r.Out)), nil
	}
	out := flows.Path{Frame: r.Frame, Change: r.Change}.Leaves()
	write, sums, err := rewrite(r, out)
	if err != nil {
		return to, err
	}
	if !r.Tunnel.IsZero() {
		to = append(to, tc.Action{Kind: tc.KindTunnelKey, Verdict: tc.Pipe, Tunnel: tc.TunnelKey{Op: tc.TunnelRelease}})
	}
	tags := retag(r.Tags, out.Tags, write.Protocol != 0 || write.IPProto != 0)
	to = tags.appendPops(to)
	if write != (tc.Rewrite{}) {
		to = append(to, tc.Action{Kind: tc.KindPedit, Verdict: tc.Pipe, Rewrite: write})
	}
	if sums != 0 {
		to = append(to, tc.Action{Kind: tc.KindCsum, Verdict: tc.Pipe, Checksums: sums})
	}
	to = tags.appendRest(to)
	if !out.Tunnel.IsZero() {
		key, err := tunnelKey(out.Tunnel.Value())
		if err != nil {
			return to, err
		}
		to = append(to, tc.Action{Kind: tc.KindTunnelKey, Verdict: tc.Pipe, Tunnel: key})
	}
	return append(to, redirect(r.Out)), nil
}

func redirect(link int32) tc.Action {
	return tc.Action{Kind: tc.KindMirred, Verdict: tc.Stolen, Op: tc.EgressRedirect, Link: link}
}

// rewrite returns what is written into the packet, and which checksums that spoils.
func rewrite(r *flows.Rule, out flows.Frame) (w tc.Rewrite, sums tc.Checksums, err error) {
	if out.SrcMAC != r.SrcMAC {
		w.SrcMAC = tc.ExactMAC(out.SrcMAC)
	}
	if out.DstMAC != r.DstMAC {
		w.DstMAC = tc.ExactMAC(out.DstMAC)
	}
	c := r.Change.Value()
	w.TTLAdd = -c.Hops
	addressed := c.Tuple != flows.Tuple{} && rewriteTuple(&w, r.Tuple, c.Tuple)
	if w.TTLAdd != 0 || w.Src.Mask.IsValid() || w.Dst.Mask.IsValid() {
		w.Protocol = network(r.Tuple.IsIPv6())
	}
	if w.IPProto == uint8(flows.SCTP) || w.IPProto == uint8(flows.DCCP) {
		return w, 0, fmt.Errorf("%w: pedit cannot rewrite ports of %s", eswitch.ErrRefused, r.Tuple.Proto)
	}
	if w.Protocol == tc.ProtocolIPv4 {
		sums |= tc.ChecksumIPv4
	}
	switch {
	case addressed && r.Tuple.Proto == flows.TCP:
		sums |= tc.ChecksumTCP
	case addressed && r.Tuple.Proto == flows.UDP: // one of zero over IPv4 stays zero
		sums |= tc.ChecksumUDP
	}
	return w, sums, nil
}

// rewriteTuple reports whether anything is different.
func rewriteTuple(w *tc.Rewrite, from, to flows.Tuple) bool {
	if to.Src != from.Src {
		w.Src = tc.ExactAddr(to.Src)
	}
	if to.Dst != from.Dst {
		w.Dst = tc.ExactAddr(to.Dst)
	}
	if to.SrcPort != from.SrcPort {
		w.SrcPort, w.IPProto = tc.ExactPort(to.SrcPort), uint8(from.Proto)
	}
	if to.DstPort != from.DstPort {
		w.DstPort, w.IPProto = tc.ExactPort(to.DstPort), uint8(from.Proto)
	}
	return to != from
}

// tunnelKey returns the header that the tunnel device shall write.
func tunnelKey(t flows.Tunnel) (tc.TunnelKey, error) {
	key := tc.TunnelKey{
		Op: tc.TunnelSet, ID: t.ID, Src: t.Src, Dst: t.Dst, DstPort: t.Port, TOS: t.TOS, TTL: t.TTL,
		NoChecksum: !t.Checksum, NoFragment: !t.MayBreak, Options: tc.GeneveOptions(t.Options),
	}
	if t.TTL == 0 { // Geneve devices write it as it is (drivers/net/geneve.c)
		return key, fmt.Errorf("%w: a tunnel without a TTL", eswitch.ErrRefused)
	}
	if !key.Src.IsValid() { // the kernel wants one; routing chooses for this
		key.Src = netip.IPv4Unspecified()
		if t.Dst.Is6() {
			key.Src = netip.IPv6Unspecified()
		}
	}
	return key, nil
}
