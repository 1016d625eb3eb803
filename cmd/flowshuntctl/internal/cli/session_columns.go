package cli

import (
	"strings"
	"time"

	"github.com/flowshunt/flowshunt/flows"
	"github.com/flowshunt/flowshunt/pkg/control"
)

// sessionColumns are the columns of "sessions"; ages are told against now.
func sessionColumns(now time.Time) []column[control.Session] {
	type S = control.Session
	orig, reply := flows.Orig, flows.Reply
	bytes := func(s *S) uint64 { return s.Offloaded[orig].Bytes + s.Offloaded[reply].Bytes }
	return []column[S]{
		{name: "id", value: func(s *S) any { return sessionID(s.ID) }},
		{name: "generation", right: true, value: func(s *S) any { return s.Generation }},
		{name: "state", head: "STATE", value: func(s *S) any { return s.State.String() }},
		{name: "verdict", value: func(s *S) any { return verdict(s.Verdict) }},
		{name: "reason", head: "REASON", value: func(s *S) any { return s.Reason }},
		{name: "tuple", head: "CONNECTION", value: func(s *S) any { return s.Tuple.String() },
			cell: func(s *S) string { return arrow(s.Tuple) }},
		{name: "proto", value: func(s *S) any { return s.Tuple.Proto.String() }},
		{name: "src", value: func(s *S) any { return s.Tuple.Src.String() }},
		{name: "src_port", right: true, value: func(s *S) any { return s.Tuple.SrcPort }},
		{name: "dst", value: func(s *S) any { return s.Tuple.Dst.String() }},
		{name: "dst_port", right: true, value: func(s *S) any { return s.Tuple.DstPort }},
		{name: "zones", head: "ZONES", value: func(s *S) any { return zoneNumbers(s.Zones) },
			cell: func(s *S) string { return strings.ReplaceAll(plain(zoneNumbers(s.Zones)), " ", ",") }},
		{name: "in_port", head: "IN", value: func(s *S) any { return s.In }},
		{name: "out_port", head: "OUT", value: func(s *S) any { return s.Out }},
		{name: "rate_bytes_per_second", head: "RATE(B/s)", right: true, value: func(s *S) any { return s.Rate },
			cell: func(s *S) string { return si(s.Rate) }},
		{name: "slow_path_bytes", head: "SLOW(B)", right: true, value: func(s *S) any { return s.SlowBytes },
			cell: func(s *S) string { return si(s.SlowBytes) }},
		{name: "offloaded_bytes", head: "OFFLOADED(B)", right: true, value: func(s *S) any { return bytes(s) },
			cell: func(s *S) string { return si(bytes(s)) }},
		{name: "offloaded_orig_packets", right: true, value: func(s *S) any { return s.Offloaded[orig].Packets }},
		{name: "offloaded_orig_bytes", right: true, value: func(s *S) any { return s.Offloaded[orig].Bytes }},
		{name: "offloaded_reply_packets", right: true, value: func(s *S) any { return s.Offloaded[reply].Packets }},
		{name: "offloaded_reply_bytes", right: true, value: func(s *S) any { return s.Offloaded[reply].Bytes }},
		{name: "since", head: "AGE", right: true, value: func(s *S) any { return s.Since },
			cell: func(s *S) string { return since(now, s.Since) }},
		{name: "in_hw", head: "HW", value: func(s *S) any { return s.InHW },
			cell: func(s *S) string { return hardware(s) }},
		{name: "detail", value: func(s *S) any { return s.Detail }},
	}
}

// sessionID is empty for a connection that is no session.
func sessionID(id flows.SessionID) string {
	if id == 0 {
		return ""
	}
	return id.String()
}

func hardware(s *control.Session) string {
	if s.State != control.StateOffloaded {
		return "-"
	}
	return yesNo(s.InHW)
}

// zoneNumbers gives JSON an array of numbers, also where there is no zone.
func zoneNumbers(zones []flows.Zone) []uint16 {
	out := make([]uint16, len(zones))
	for i, z := range zones {
		out[i] = uint16(z)
	}
	return out
}
