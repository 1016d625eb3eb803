package conntrack

import "github.com/flowshunt/flowshunt/flows"

// Attributes of CTA_PROTOINFO (enum ctattr_protoinfo, ctattr_protoinfo_tcp).
const (
	ctaProtoInfoTCP = 1

	ctaTCPState      = 1
	ctaTCPScaleOrig  = 2
	ctaTCPScaleReply = 3
	ctaTCPFlagsOrig  = 4
	ctaTCPFlagsReply = 5
)

// TCPFlags changes the flags of both directions of a TCP entry: the bits of
// Mask take the values they have in Set. The zero value changes nothing.
type TCPFlags struct {
	Set, Mask uint8 // flows.TCPFlag* bits
}

// SetLiberal makes conntrack accept packets outside the window it knows. Set it
// in every zone of a connection before packets bypass conntrack: the first one
// that comes back is far ahead of the window and would be INVALID.
var SetLiberal = TCPFlags{Set: flows.TCPFlagBeLiberal, Mask: flows.TCPFlagBeLiberal}

// ClearMaxAck sets the same and makes conntrack forget that it has seen an ACK.
// A RST is compared with the highest ACK even when the entry is liberal: after
// more than 2^31 bypassed bytes a true RST is INVALID, after fewer it leaves the
// state ESTABLISHED, and either way the connection looks alive. Write it after
// the rules are in; any packet that passes conntrack sets the bit again, so
// repeat it after slow-path packets. The price: a blind RST, too, now closes
// the entry.
var ClearMaxAck = TCPFlags{
	Set:  flows.TCPFlagBeLiberal,
	Mask: flows.TCPFlagBeLiberal | flows.TCPFlagMaxAckSet,
}

// tcpFlags writes the flags alone: a state would race with the packets that
// move it, and a window scale of 0 would overwrite the true one.
func (r *request) tcpFlags(f TCPFlags) {
	info := r.nest(ctaProtoInfo)
	tcp := r.nest(ctaProtoInfoTCP)
	both := []byte{f.Set, f.Mask} // struct nf_ct_tcp_flags
	r.bytes(ctaTCPFlagsOrig, both)
	r.bytes(ctaTCPFlagsReply, both)
	r.unnest(tcp)
	r.unnest(info)
}

// decodeProtoInfo reads the TCP part; those of DCCP and SCTP are not needed.
func decodeProtoInfo(a *attrs, tcp *flows.TCPInfo) {
	in := a.nested()
	for in.next() {
		if in.typ == ctaProtoInfoTCP {
			decodeTCP(&in, tcp)
		}
	}
	a.adopt(&in)
}

func decodeTCP(a *attrs, tcp *flows.TCPInfo) {
	in := a.nested()
	for in.next() {
		switch in.typ {
		case ctaTCPState:
			tcp.State = flows.TCPState(in.uint8())
		case ctaTCPScaleOrig:
			tcp.WindowScale[flows.Orig] = in.uint8()
		case ctaTCPScaleReply:
			tcp.WindowScale[flows.Reply] = in.uint8()
		case ctaTCPFlagsOrig:
			tcp.Flags[flows.Orig] = in.uint8()
		case ctaTCPFlagsReply:
			tcp.Flags[flows.Reply] = in.uint8()
		}
	}
	a.adopt(&in)
}
