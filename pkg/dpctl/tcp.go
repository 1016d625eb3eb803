package dpctl

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flowshunt/flowshunt/flows"
)

// tcpOrder are the states of one side, in the order in which it passes them
// (ct_dpif_tcp_state_string, lib/ct-dpif.c).
var tcpOrder = []string{
	"CLOSED", "LISTEN", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "CLOSE_WAIT", "FIN_WAIT_1", "CLOSING", "LAST_ACK", "FIN_WAIT_2", "TIME_WAIT",
}

var stateEstablished = slices.Index(tcpOrder, "ESTABLISHED")

// setTCP reads (state_orig=S,state_reply=S,...,flags_orig=F,flags_reply=F). A
// connection is established when both sides are; when one is beyond that, a FIN or RST
// was seen.
func setTCP(e *flows.Entry, s string) error {
	s, err := inside(s)
	if err != nil {
		return err
	}
	var states [2]int
	for part := range strings.SplitSeq(s, ",") {
		name, value, _ := strings.Cut(part, "=")
		switch name {
		case "state", "state_orig":
			states[flows.Orig] = slices.Index(tcpOrder, value)
		case "state_reply":
			states[flows.Reply] = slices.Index(tcpOrder, value)
		case "flags_orig":
			e.TCP.Flags[flows.Orig] = tcpFlags(value)
		case "flags_reply":
			e.TCP.Flags[flows.Reply] = tcpFlags(value)
		}
	}
	if min(states[0], states[1]) < 0 {
		return fmt.Errorf("%w: TCP state", ErrFormat)
	}
	e.TCP.State = stateOf(states)
	if min(states[0], states[1]) >= stateEstablished {
		e.Status |= flows.StatusSeenReply | flows.StatusAssured
	}
	pickedUp(&e.TCP)
	return nil
}

func stateOf(states [2]int) flows.TCPState {
	switch first, last := min(states[0], states[1]), max(states[0], states[1]); {
	case first == 0 && last > stateEstablished:
		return flows.TCPClose
	case tcpOrder[last] == "TIME_WAIT":
		return flows.TCPTimeWait
	case last > stateEstablished:
		return flows.TCPFinWait
	case first == stateEstablished:
		return flows.TCPEstablished
	case tcpOrder[last] == "SYN_SENT":
		return flows.TCPSynSent
	}
	return flows.TCPSynRecv
}

func tcpFlags(s string) (flags uint8) {
	for name := range strings.SplitSeq(s, "|") {
		switch name {
		case "WINDOW_SCALE":
			flags |= flows.TCPFlagWindowScale
		case "SACK_PERM":
			flags |= flows.TCPFlagSACKPerm
		case "CLOSE_INIT":
			flags |= flows.TCPFlagCloseInit
		case "BE_LIBERAL":
			flags |= flows.TCPFlagBeLiberal
		case "DATA_UNACKNOWLEDGED":
			flags |= flows.TCPFlagUnacked
		case "MAXACK_SET":
			flags |= flows.TCPFlagMaxAckSet
		}
	}
	return flags
}

// pickedUp marks a connection of which the datapath saw no handshake as the kernel
// marks one. The datapath keeps nothing but the window scales by which it can be told
// (tcp_new_conn and tcp_conn_update, lib/conntrack-tcp.c), so one of stations that
// negotiate none looks the same, and is taken for the worse.
func pickedUp(tcp *flows.TCPInfo) {
	for _, f := range tcp.Flags {
		if f&flows.TCPFlagWindowScale != 0 {
			return
		}
	}
	for d := range tcp.Flags {
		tcp.Flags[d] |= flows.TCPFlagSACKPerm | flows.TCPFlagBeLiberal
	}
}
