package engine

import (
	"fmt"

	"github.com/flowshunt/flowshunt/flows"
)

// A check is one condition on a conntrack entry. The order of checks is the
// order in which they are tried and explained.
type check struct {
	name   string
	reason flows.Reason
	fails  func(*Config, *flows.Entry) bool
	detail func(*flows.Entry) string
}

// checks repeat, from outside, what the kernel's own flow offload demands
// (tcf_ct_flow_table_process_conn in net/sched/act_ct.c, nft_flow_offload_eval in
// net/netfilter/nft_flow_offload.c), plus what only an agent must ask.
var checks = []check{
	{"entry valid", flows.Invalid, isInvalid, statusDetail},
	{"protocol", flows.Protocol, isUnsupportedProtocol, protoDetail},
	{"not closing", flows.Closing, isClosing, tcpDetail},
	{"established", flows.NotEstablished, isNotEstablished, tcpDetail},
	{"reply seen", flows.OneWay, isOneWay, statusDetail},
	{"assured", flows.NotAssured, isNotAssured, statusDetail},
	{"not denied by the CMS", flows.Blocked, isBlocked, markDetail},
	{"no master connection", flows.Related, isRelated, statusDetail},
	{"no helper", flows.Helper, hasHelper, statusDetail},
	{"sequence numbers untouched", flows.SeqAdjusted, isSeqAdjusted, statusDetail},
	{"not in the kernel's flowtable", flows.KernelOffload, isKernelOffloaded, statusDetail},
	{"counters", flows.NoCounters, hasNoCounters, nil},
	{"translation", flows.Invalid, isTranslatedOddly, replyDetail},
	{"mark permits", flows.MarkNever, isMarkedNever, markDetail},
	// The last one, since who has seen the handshake passes over it, and over nothing else.
	{"handshake seen", flows.Midstream, isMidstream, tcpDetail},
}

// Eligible returns the first reason why the entry cannot be offloaded whatever
// its size, or "" if there is none.
func (c *Config) Eligible(e *flows.Entry) flows.Reason {
	for i := range checks {
		if checks[i].fails(c, e) {
			return checks[i].reason
		}
	}
	return ""
}

func isInvalid(_ *Config, e *flows.Entry) bool {
	return !e.Key.Tuple.IsValid() || !e.Status.Has(flows.StatusConfirmed) ||
		e.Status&(flows.StatusDying|flows.StatusTemplate|flows.StatusNATClash) != 0
}

// SCTP is left out as the kernel leaves it out: its shutdown is in chunks that no
// rule can match, so the end of an offloaded association would go unseen. GRE with
// keys (PPTP) is left out because a rule cannot match the key.
func isUnsupportedProtocol(c *Config, e *flows.Entry) bool {
	t := e.Key.Tuple
	switch t.Proto {
	case flows.TCP, flows.UDP, flows.ESP, flows.AH:
		return c.Timeouts.Of(t.Proto) == 0
	case flows.GRE:
		return c.Timeouts.GRE == 0 || t.SrcPort != 0 || t.DstPort != 0
	}
	return true
}

func isClosing(_ *Config, e *flows.Entry) bool {
	return e.Key.Tuple.Proto == flows.TCP && e.TCP.State.Closing()
}

func isNotEstablished(_ *Config, e *flows.Entry) bool {
	return e.Key.Tuple.Proto == flows.TCP && e.TCP.State != flows.TCPEstablished
}

func isOneWay(_ *Config, e *flows.Entry) bool { return !e.Status.Has(flows.StatusSeenReply) }

// ESP and AH have no conntrack helper of their own and never become assured.
func isNotAssured(_ *Config, e *flows.Entry) bool {
	switch e.Key.Tuple.Proto {
	case flows.ESP, flows.AH:
		return false
	}
	return !e.Status.Has(flows.StatusAssured)
}

func isBlocked(c *Config, e *flows.Entry) bool {
	if c.Mark.Blocked.Matches(e.Mark) {
		return true
	}
	for i, mask := range c.Mark.BlockedLabel {
		if e.Labels[i]&mask != 0 {
			return true
		}
	}
	return false
}

func isRelated(_ *Config, e *flows.Entry) bool {
	return e.HasMaster || e.Status.Has(flows.StatusExpected)
}

func hasHelper(_ *Config, e *flows.Entry) bool {
	return e.HasHelper || e.Status.Has(flows.StatusHelper)
}

func isSeqAdjusted(_ *Config, e *flows.Entry) bool {
	return e.HasSeqAdj || e.HasSynPrx || e.Status.Has(flows.StatusSeqAdjust)
}

func isKernelOffloaded(_ *Config, e *flows.Entry) bool {
	return e.Status&(flows.StatusOffload|flows.StatusHWOffload) != 0
}

func hasNoCounters(_ *Config, e *flows.Entry) bool { return !e.HasCount }

// tcp_new in net/netfilter/nf_conntrack_proto_tcp.c gives a connection that it
// picks up in mid-stream SACK_PERM and BE_LIBERAL on both sides and no window
// scale; it is established at its first packet, whoever sent it.
func isMidstream(_ *Config, e *flows.Entry) bool {
	if e.Key.Tuple.Proto != flows.TCP {
		return false
	}
	const picked = flows.TCPFlagSACKPerm | flows.TCPFlagBeLiberal
	for _, f := range e.TCP.Flags {
		if f&picked != picked || f&flows.TCPFlagWindowScale != 0 {
			return false
		}
	}
	return true
}

// isTranslatedOddly reports whether the two tuples of an entry cannot be of one
// connection, or are not what its status says of them: nf_nat_setup_info in
// net/netfilter/nf_nat_core.c sets a bit exactly where it changes an end.
func isTranslatedOddly(_ *Config, e *flows.Entry) bool {
	t, plain := e.Key.Tuple, e.Reply.Reverse()
	src := t.Src != plain.Src || t.SrcPort != plain.SrcPort
	dst := t.Dst != plain.Dst || t.DstPort != plain.DstPort
	return !plain.IsValid() || plain.Proto != t.Proto || plain.IsIPv6() != t.IsIPv6() ||
		src != e.Status.Has(flows.StatusSrcNAT) || dst != e.Status.Has(flows.StatusDstNAT) ||
		(src || dst) && orientationless(plain) == orientationless(t)
}

func isMarkedNever(c *Config, e *flows.Entry) bool { return c.Mark.Never.Matches(e.Mark) }

func protoDetail(e *flows.Entry) string  { return e.Key.Tuple.Proto.String() }
func statusDetail(e *flows.Entry) string { return fmt.Sprintf("status %#x", uint32(e.Status)) }
func replyDetail(e *flows.Entry) string {
	return fmt.Sprintf("reply %s status %#x", e.Reply, uint32(e.Status))
}
func markDetail(e *flows.Entry) string {
	return fmt.Sprintf("mark %#x labels %x", e.Mark, e.Labels)
}

func tcpDetail(e *flows.Entry) string {
	if e.Key.Tuple.Proto != flows.TCP {
		return ""
	}
	return fmt.Sprintf("%s flags %#02x/%#02x", e.TCP.State, e.TCP.Flags[flows.Orig], e.TCP.Flags[flows.Reply])
}
