package ofproto

import (
	"fmt"
	"strings"

	"github.com/flowshunt/flowshunt/pkg/megaflow"
)

var (
	// stateFlags are OVS_CS_F_* (include/uapi/linux/openvswitch.h).
	stateFlags = map[string]uint64{
		"new": 1 << 0, "est": 1 << 1, "rel": 1 << 2, "rpl": 1 << 3, "inv": 1 << 4, "trk": 1 << 5, "snat": 1 << 6, "dnat": 1 << 7,
	}
	// tcpFlags are the bits of the TCP header.
	tcpFlags = map[string]uint64{
		"fin": 1 << 0, "syn": 1 << 1, "rst": 1 << 2, "psh": 1 << 3, "ack": 1 << 4, "urg": 1 << 5,
		"ece": 1 << 6, "cwr": 1 << 7, "ns": 1 << 8, "[200]": 1 << 9, "[400]": 1 << 10, "[800]": 1 << 11,
	}
)

// setFlags reads flags in one of two forms: -new+est for some of them, or est|trk,
// where all the others must be clear.
func setFlags(m *megaflow.Match, f megaflow.Field, s string, names map[string]uint64) error {
	value, mask, err := someFlags(s, names)
	if !strings.HasPrefix(s, "+") && !strings.HasPrefix(s, "-") {
		value, mask, err = allFlags(s, names)
	}
	m.SetUint(f, value, mask)
	return err
}

func someFlags(s string, names map[string]uint64) (value, mask uint64, err error) {
	for s != "" {
		end := strings.IndexAny(s[1:], "+-") + 1
		if end == 0 {
			end = len(s)
		}
		bit := names[s[1:end]]
		if bit == 0 || mask&bit != 0 {
			return 0, 0, fmt.Errorf("%w: flag %q", ErrFormat, clip(s[:end]))
		}
		mask |= bit
		if s[0] == '+' {
			value |= bit
		}
		s = s[end:]
	}
	return value, mask, nil
}

func allFlags(s string, names map[string]uint64) (value, mask uint64, err error) {
	for _, bit := range names {
		mask |= bit
	}
	if s == "0" {
		return 0, mask, nil
	}
	for name := range strings.SplitSeq(s, "|") {
		bit := names[name]
		if bit == 0 {
			return 0, 0, fmt.Errorf("%w: flag %q", ErrFormat, clip(name))
		}
		value |= bit
	}
	return value, mask, nil
}
