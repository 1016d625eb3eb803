package ofproto

import "errors"

// What a failed trace wraps, beside the caller's own errors (OVS not running, time
// ran out) and *megaflow.Refusal, which is OVS's clear answer that no rule can do
// what it does.
var (
	// ErrQuery means that OVS cannot be asked about such a packet.
	ErrQuery = errors.New("packet cannot be traced")
	// ErrBridge means that OVS has no such bridge, or no such port of the datapath, or
	// not yet: after a start it answers before its bridges are configured.
	ErrBridge = errors.New("unknown to OVS")
	// ErrStages means that the packet is recirculated more often than this package
	// follows.
	ErrStages = errors.New("too many recirculations")
	// ErrFailed means that OVS itself could not translate the packet.
	ErrFailed = errors.New("OVS failed to translate the packet")
	// ErrFormat means that the answer is not understood.
	ErrFormat = errors.New("answer not understood")
)
