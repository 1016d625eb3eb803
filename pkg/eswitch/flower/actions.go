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
// software finds them behind one only. Software says that the kernel may be the one who
// does it.
func appendActions(to []tc.Action, r *flows.Rule, software bool) ([]tc.Action, error) {
	if r.Change.IsZero() && r.Tunnel.IsZero() {
		return append(to, redirect(r.Out)), nil
	}
	out := flows.Path{Frame: r.Frame, Change: r.Change}.Leaves()
	write, sums, err := rewrite(r, out, software)
	if err != nil {
		return to, err
	}
	if !r.Tunnel.IsZero() {
		to = append(to, tc.Action{Kind: tc.KindTunnelKey, Verdict: tc.Pipe, Tunnel: tc.TunnelKey{Op: tc.TunnelRelease}})
	}
	tags := retag(r.Tags, out.Tags, write.Protocol != 0 || write.IPProto != 0)
	to = tags.appendPops(to)
	if software && translates(r) {
		to = appendNAT(to, r)
	}
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

// translates reports whether an address changes that is part of the checksum of TCP or
// UDP (of the pseudo header). The kernel's csum action does not see to that of packets
// that are still to be segmented (TestStream).
func translates(r *flows.Rule) bool {
	if r.Change.IsZero() || r.Tuple.Proto != flows.TCP && r.Tuple.Proto != flows.UDP {
		return false
	}
	to := r.Change.Value().Tuple
	return to != flows.Tuple{} && (to.Src != r.Tuple.Src || to.Dst != r.Tuple.Dst)
}

// portsOfUDP reports whether ports of UDP change. The kernel's csum action takes what is
// still to be segmented (UDP GSO) for one packet, whose segments come out with a wrong
// checksum.
func portsOfUDP(r *flows.Rule) bool {
	if r.Change.IsZero() || r.Tuple.Proto != flows.UDP {
		return false
	}
	to := r.Change.Value().Tuple
	return to != flows.Tuple{} && (to.SrcPort != r.Tuple.SrcPort || to.DstPort != r.Tuple.DstPort)
}

// appendNAT changes addresses, and all checksums with them.
func appendNAT(to []tc.Action, r *flows.Rule) []tc.Action {
	c := r.Change.Value().Tuple
	if c.Src != r.Tuple.Src {
		to = append(to, tc.Action{Kind: tc.KindNAT, Verdict: tc.Pipe, NAT: tc.AddrChange{Old: r.Tuple.Src, New: c.Src, Source: true}})
	}
	if c.Dst != r.Tuple.Dst {
		to = append(to, tc.Action{Kind: tc.KindNAT, Verdict: tc.Pipe, NAT: tc.AddrChange{Old: r.Tuple.Dst, New: c.Dst}})
	}
	return to
}

// rewrite returns what is written into the packet, and which checksums that spoils.
func rewrite(r *flows.Rule, out flows.Frame, software bool) (w tc.Rewrite, sums tc.Checksums, err error) {
	if out.SrcMAC != r.SrcMAC {
		w.SrcMAC = tc.ExactMAC(out.SrcMAC)
	}
	if out.DstMAC != r.DstMAC {
		w.DstMAC = tc.ExactMAC(out.DstMAC)
	}
	c := r.Change.Value()
	w.TTLAdd = -c.Hops
	if c.Tuple != (flows.Tuple{}) {
		rewriteTuple(&w, r.Tuple, c.Tuple)
	}
	if software && portsOfUDP(r) {
		return w, 0, fmt.Errorf("%w: the kernel cannot rewrite ports of UDP, hardware may", eswitch.ErrRefused)
	}
	if software && translates(r) {
		if r.Tuple.IsIPv6() {
			return w, 0, fmt.Errorf("%w: the kernel cannot translate addresses of %s over IPv6, hardware may", eswitch.ErrRefused, r.Tuple.Proto)
		}
		w.Src, w.Dst = tc.AddrMatch{}, tc.AddrMatch{} // see appendNAT
	}
	addresses := w.Src.Mask.IsValid() || w.Dst.Mask.IsValid()
	if w.TTLAdd != 0 || addresses {
		w.Protocol = network(r.Tuple.IsIPv6())
	}
	if w.Protocol == tc.ProtocolIPv4 {
		sums |= tc.ChecksumIPv4
	}
	if w.IPProto != 0 || addresses {
		switch r.Tuple.Proto {
		case flows.TCP:
			sums |= tc.ChecksumTCP
		case flows.UDP: // one of zero over IPv4 stays zero
			sums |= tc.ChecksumUDP
		case flows.SCTP:
			if w.IPProto != 0 {
				return w, 0, fmt.Errorf("%w: pedit cannot rewrite ports of %s", eswitch.ErrRefused, r.Tuple.Proto)
			}
		}
	}
	return w, sums, nil
}

func rewriteTuple(w *tc.Rewrite, from, to flows.Tuple) {
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
