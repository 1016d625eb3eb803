package openflow

import (
	"encoding/binary"
	"net/netip"

	"github.com/flowshunt/flowshunt/flows"
	of "github.com/flowshunt/flowshunt/pkg/openflow"
)

// portFields and addressFields are where a tuple stands in a packet, source first.
var portFields = map[flows.Proto][2]of.Field{
	flows.TCP: {of.TCPSrc, of.TCPDst}, flows.UDP: {of.UDPSrc, of.UDPDst}, flows.SCTP: {of.SCTPSrc, of.SCTPDst},
}

var addressFields = map[bool][2]of.Field{false: {of.IPv4Src, of.IPv4Dst}, true: {of.IPv6Src, of.IPv6Dst}}

// appendChange appends what makes packets leave as a rule says. All checksums are Open
// vSwitch's business.
func appendChange(to []of.Action, r *flows.Rule) []of.Action {
	if r.Change.IsZero() {
		return to
	}
	c := r.Change.Value()
	if c.SrcMAC != r.SrcMAC {
		to = append(to, set(of.EthSrc, c.SrcMAC[:]))
	}
	if c.DstMAC != r.DstMAC {
		to = append(to, set(of.EthDst, c.DstMAC[:]))
	}
	for range c.Hops {
		to = append(to, of.Action{Kind: of.DecTTL})
	}
	if c.Tuple != (flows.Tuple{}) {
		to = appendTuple(to, r.Tuple, c.Tuple)
	}
	to = appendTag(to, r.Tags[0], c.Tags[0])
	if !c.Tunnel.IsZero() {
		to = appendTunnel(to, c.Tunnel.Value())
	}
	return to
}

func appendTuple(to []of.Action, from, tuple flows.Tuple) []of.Action {
	addresses, ports := addressFields[from.IsIPv6()], portFields[from.Proto]
	for i, pair := range [...][2]netip.Addr{{from.Src, tuple.Src}, {from.Dst, tuple.Dst}} {
		if pair[0] != pair[1] {
			to = append(to, set(addresses[i], pair[1].AsSlice()))
		}
	}
	for i, pair := range [...][2]uint16{{from.SrcPort, tuple.SrcPort}, {from.DstPort, tuple.DstPort}} {
		if pair[0] != pair[1] {
			to = append(to, set16(ports[i], pair[1]))
		}
	}
	return to
}

// appendTag makes one tag another. What is put on has neither number nor priority.
func appendTag(to []of.Action, from, tag flows.Tag) []of.Action {
	switch {
	case from == tag:
		return to
	case tag.IsZero():
		return append(to, of.Action{Kind: of.PopVLAN})
	case from.IsZero():
		to = append(to, of.Action{Kind: of.PushVLAN, EthType: tag.Type})
	}
	if tag.ID != from.ID || from.IsZero() {
		to = append(to, set16(of.VLANID, of.VLANPresent|tag.ID))
	}
	if tag.Priority != from.Priority {
		to = append(to, set(of.VLANPriority, []byte{tag.Priority}))
	}
	return to
}

func set(f of.Field, value []byte) of.Action {
	return of.Action{Kind: of.SetField, Field: f, Value: value}
}

func set16(f of.Field, value uint16) of.Action {
	return set(f, binary.BigEndian.AppendUint16(nil, value))
}
